"""Colour conversion for the metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of MATLAB's `rgb2ycbcr` on a uint8 image, rounded to whole levels (ITU-R BT.601).

    Args:
        image: (H, W, 3), RGB.

    Returns:
        (H, W), whole numbers from 16 (black) to 235 (white).
    """
    y = image.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255) + 16
    # MATLAB rounds halves up, numpy to even.
    rounded: NDArray[np.float64] = np.floor(y + 0.5)
    return rounded
