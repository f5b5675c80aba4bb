/* C = A B for N x N matrices, in blocks. The program that study.toml tunes: its blocks and loops
   are compiled in, so each trial compiles it anew. Prints the time of one product and its error. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef N
#define N 512
#endif
#ifndef BI /* rows, columns and depth of a block; a block of 0 is the whole matrix */
#define BI 0
#endif
#ifndef BJ
#define BJ 0
#endif
#ifndef BK
#define BK 0
#endif
#define STEP(b) ((b) > 0 && (b) < N ? (b) : N)
#define END(start, b) ((start) + STEP(b) < N ? (start) + STEP(b) : N)

static double a[N][N], b[N][N], c[N][N];

static void multiply(void) {
#pragma omp parallel for collapse(2) schedule(static)
    for (int i0 = 0; i0 < N; i0 += STEP(BI))
        for (int j0 = 0; j0 < N; j0 += STEP(BJ))
            for (int k0 = 0; k0 < N; k0 += STEP(BK))
                for (int i = i0; i < END(i0, BI); i++)
                    for (int k = k0; k < END(k0, BK); k++)
                        for (int j = j0; j < END(j0, BJ); j++)
                            c[i][j] += a[i][k] * b[k][j];
}

int main(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 7 + j * 3) % 11 - 5.0;
            b[i][j] = (i * 5 + j * 2) % 13 - 6.0;
            c[i][j] = 0.0;
        }
    double start = omp_get_wtime();
    multiply();
    double seconds = omp_get_wtime() - start;
    double error = 0.0; /* of some entries, computed the plain way */
    for (int s = 0; s < 1000; s++) {
        int i = (s * 37) % N, j = (s * 101) % N;
        double sum = 0.0;
        for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
        error = fmax(error, fabs(sum - c[i][j]));
    }
    printf("{\"seconds\": %.6f, \"error\": %g}\n", seconds, error);
    return 0;
}
