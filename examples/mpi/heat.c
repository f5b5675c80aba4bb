/* Heat spreading over a square plate, rows shared out among the processes of MPI.
   usage: heat DEPTH send|isend [N STEPS]

   DEPTH rows are exchanged at once, and then DEPTH steps are made without a word, some rows being
   computed twice. Prints the time, and the largest error against the exact solution. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (argc < 3 || atoi(argv[1]) < 1) {
        if (rank == 0) fprintf(stderr, "usage: heat DEPTH send|isend [N STEPS]\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    int depth = atoi(argv[1]), overlap = strcmp(argv[2], "isend") == 0;
    int n = argc > 3 ? atoi(argv[3]) : 512, steps = argc > 4 ? atoi(argv[4]) : 400;
    int lo = 1 + (int)((long)n * rank / size), hi = 1 + (int)((long)n * (rank + 1) / size);
    if (n / size < depth) {
        if (rank == 0) fprintf(stderr, "DEPTH %d: a process has only %d rows\n", depth, n / size);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    int width = n + 2, rows = hi - lo + 2 * depth, first = lo - depth; /* of row 0 here */
    double *old = calloc((size_t)rows * width, sizeof *old);
    double *new = calloc((size_t)rows * width, sizeof *new);
    double pi = acos(-1.0), h = pi / (n + 1), c = 0.24;
    for (int i = lo; i < hi; i++)
        for (int j = 1; j <= n; j++) old[(i - first) * width + j] = sin(i * h) * sin(j * h);
    int up = rank > 0 ? rank - 1 : MPI_PROC_NULL, down = rank < size - 1 ? rank + 1 : MPI_PROC_NULL;
    int count = depth * width, own = hi - lo;
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    for (int done = 0; done < steps;) {
        double *above = old, *top = old + (size_t)depth * width;
        double *bottom = old + (size_t)own * width, *below = old + (size_t)(own + depth) * width;
        if (overlap) {
            MPI_Request request[4];
            MPI_Irecv(above, count, MPI_DOUBLE, up, 0, MPI_COMM_WORLD, &request[0]);
            MPI_Irecv(below, count, MPI_DOUBLE, down, 1, MPI_COMM_WORLD, &request[1]);
            MPI_Isend(top, count, MPI_DOUBLE, up, 1, MPI_COMM_WORLD, &request[2]);
            MPI_Isend(bottom, count, MPI_DOUBLE, down, 0, MPI_COMM_WORLD, &request[3]);
            MPI_Waitall(4, request, MPI_STATUSES_IGNORE);
        } else {
            MPI_Sendrecv(bottom, count, MPI_DOUBLE, down, 0, above, count, MPI_DOUBLE, up, 0,
                         MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Sendrecv(top, count, MPI_DOUBLE, up, 1, below, count, MPI_DOUBLE, down, 1,
                         MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
        for (int s = 1; s <= depth && done < steps; s++, done++) {
            int from = lo - depth + s > 1 ? lo - depth + s : 1;
            int to = hi + depth - s < n + 1 ? hi + depth - s : n + 1;
            for (int i = from - first; i < to - first; i++)
                for (int j = 1; j <= n; j++) {
                    double *u = old + (size_t)i * width + j;
                    new[(size_t)i * width + j] =
                        *u + c * (u[-1] + u[1] + u[-width] + u[width] - 4 * *u);
                }
            double *swap = old;
            old = new;
            new = swap;
        }
    }
    double seconds = MPI_Wtime() - start, error = 0.0, most, slowest;
    double decay = pow(1 - 4 * c * (1 - cos(h)), steps); /* the exact solution of the scheme */
    for (int i = lo; i < hi; i++)
        for (int j = 1; j <= n; j++)
            error = fmax(error, fabs(old[(size_t)(i - first) * width + j] - decay * sin(i * h) * sin(j * h)));
    MPI_Reduce(&error, &most, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(&seconds, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf("{\"seconds\": %.6f, \"error\": %g, \"ranks\": %d}\n", slowest, most, size);
    MPI_Finalize();
    return 0;
}
