"""MATLAB's `imresize(image, [height width])` with its default, bicubic, from its documentation.

Independent of `superres.resize`: every weight on its own, for any size, the kernel as the cubic
Hermite spline through an impulse instead of the two polynomials of Keys.
"""

from __future__ import annotations

import math

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
