"""SSIM: the similarity of the local structure of two images.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to
Structural Similarity", IEEE Transactions on Image Processing 13(4), 2004: equation 13 with the
constants and the window of section III-C, over all places where the window fits into the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Array = NDArray[np.float64]

# A Gaussian window of 11x11 pixels with a standard deviation of 1.5.
_RADIUS = 5
_WINDOW = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * 1.5**2))
_WINDOW /= _WINDOW.sum()

# They keep the quotients finite in regions without light and contrast.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(y: Array, reference: Array) -> float:
    """Mean structural similarity of two grey images; 1 for equal ones, higher is better.

    Args:
        y: (H, W) grey levels from 0 to 255, both sides at least 11.
        reference: of the same shape.

    Raises:
        ValueError: the shapes differ, or the images are smaller than the window.
    """
    if y.shape != reference.shape:
        raise ValueError(f"shapes differ: {y.shape} and {reference.shape}")
    if min(y.shape) < len(_WINDOW):
        raise ValueError(f"SSIM needs at least 11x11 pixels, not {y.shape}")
    mean, mean_reference = _local(y), _local(reference)
    variances = _local(y * y) - mean**2 + _local(reference * reference) - mean_reference**2
    covariance = _local(y * reference) - mean * mean_reference
    alike = (2 * mean * mean_reference + _C1) * (2 * covariance + _C2)
    most = (mean**2 + mean_reference**2 + _C1) * (variances + _C2)
    return float(np.mean(alike / most))


def _local(image: Array) -> Array:
    """Means under the window, (H - 10, W - 10)."""
    for axis in (0, 1):
        image = correlate1d(image, _WINDOW, axis)
    inside: Array = image[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
    return inside
