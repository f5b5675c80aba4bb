"""Agreement in structure of two images: the second factor of SSIM.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE Transactions on Image Processing 13(4), 2004, equations 9 and 10 with
C3 = C2 / 2: (2 covariance + C2) / (variance + variance + C2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Array = NDArray[np.float64]

RADIUS = 5
"""Of the Gaussian window, in pixels; its standard deviation is 1.5 pixels."""

# C2 of the paper for grey levels up to 255. The sub-bands compared here have other ranges, very
# small ones in the second comparison, but the authors keep the constant, and so do the forests.
_C2 = (0.03 * 255) ** 2

_WINDOW = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()


class Local(NamedTuple):
    """An image with its local means and variances, where the window fits into it."""

    image: Array
    mean: Array
    variance: Array


def local(image: Array) -> Local:
    """Compute the local statistics of an image (H, W) once for any number of comparisons."""
    mean = _average(image)
    return Local(image, mean, _average(image**2) - mean**2)


def agreement(a: Local, b: Local) -> float:
    """Mean over all positions: 1 for equal structure, less or negative for opposite structure."""
    covariance = _average(a.image * b.image) - a.mean * b.mean
    return float(np.mean((2 * covariance + _C2) / (a.variance + b.variance + _C2)))


def _average(image: Array) -> Array:
    rows: Array = correlate1d(image, _WINDOW, axis=1, mode="constant")[:, RADIUS:-RADIUS]
    # Along the columns of a transposed copy, which is much faster than across rows.
    turned = np.ascontiguousarray(rows.T)
    both: Array = correlate1d(turned, _WINDOW, axis=1, mode="constant")[:, RADIUS:-RADIUS].T
    return both
