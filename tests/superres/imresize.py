"""MATLAB's `imresize(image, [height width])` with its default, bicubic, from its documentation.

Independent of `superres.resize`: every weight on its own, for any size, the kernel as the cubic
Hermite spline through an impulse instead of the two polynomials of Keys.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

Array = NDArray[np.float64]

# Catmull and Rom's spline: the slope at a sample is half the difference of its neighbours.
_KERNEL = CubicHermiteSpline([-2, -1, 0, 1, 2], [0, 0, 1, 0, 0], [0, 0.5, 0, -0.5, 0])


def imresize(image: Array, height: int, width: int) -> Array:
    """Resize (H, W), antialiased where it gets smaller, mirrored beyond the borders."""
    rows, columns = _weights(image.shape[0], height), _weights(image.shape[1], width)
    resized: Array = np.einsum("ij,jk,lk->il", rows, image, columns, optimize=True)
    return resized


def _weights(length: int, wanted: int) -> Array:
    scale = wanted / length
    stretch = max(1.0, 1 / scale)
    matrix = np.zeros((wanted, length))
    for i in range(wanted):
        centre = (i + 0.5) / scale - 0.5
        reached = range(math.ceil(centre - 2 * stretch), math.floor(centre + 2 * stretch) + 1)
        weights = [float(_KERNEL((j - centre) / stretch)) for j in reached]
        for j, weight in zip(reached, weights, strict=True):
            inside = j
            while not 0 <= inside < length:
                inside = -1 - inside if inside < 0 else 2 * length - 1 - inside
            matrix[i, inside] += weight / math.fsum(weights)
    return matrix


def imresize_levels(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize (H, W, C) as MATLAB does an image of type uint8, in whole numbers without any error.

    One dimension after the other, the first one first; what comes out of each is rounded to uint8,
    halves up.
    """
    for axis, wanted in enumerate((height, width)):
        matrix, denominator = _exact_weights(image.shape[axis], wanted)
        sums = np.moveaxis(np.tensordot(matrix, image.astype(np.int64), (1, axis)), 0, axis)
        rounded = (2 * sums + denominator) // (2 * denominator)
        image = rounded.clip(0, 255).astype(np.uint8)
    return image


def _exact_weights(length: int, wanted: int) -> tuple[NDArray[np.int64], int]:
    """Weights as whole numbers, and what to divide them by."""
    ratio = Fraction(length, wanted)
    stretch = max(Fraction(1), ratio)
    rows: list[dict[int, Fraction]] = []
    for i in range(wanted):
        centre = (i + Fraction(1, 2)) * ratio - Fraction(1, 2)
        reached = range(math.ceil(centre - 2 * stretch), math.floor(centre + 2 * stretch) + 1)
        weights = {j: _exact_kernel((j - centre) / stretch) for j in reached}
        row: dict[int, Fraction] = {}
        for j, weight in weights.items():
            inside = j
            while not 0 <= inside < length:
                inside = -1 - inside if inside < 0 else 2 * length - 1 - inside
            row[inside] = row.get(inside, Fraction(0)) + weight / sum(weights.values())
        rows.append(row)
    denominator = math.lcm(*(weight.denominator for row in rows for weight in row.values()))
    matrix = np.zeros((wanted, length), np.int64)
    for i, row in enumerate(rows):
        for j, weight in row.items():
            matrix[i, j] = int(weight * denominator)
    return matrix, denominator


def _exact_kernel(x: Fraction) -> Fraction:
    """Catmull and Rom's spline through an impulse, each piece in the Hermite basis."""
    x = abs(x)
    if x >= 2:
        return Fraction(0)
    t = x - math.floor(x)
    rises, slopes = 3 * t**2 - 2 * t**3, (t**3 - 2 * t**2 + t, t**3 - t**2)
    if x < 1:  # from 1 with slope 0 to 0 with slope -1/2
        return 1 - rises - slopes[1] / 2
    return -slopes[0] / 2  # from 0 with slope -1/2 to 0 with slope 0
