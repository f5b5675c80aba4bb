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
    # 16 + (65.481 R + 128.553 G + 24.966 B) / 255 in integers: in floating point, the 194 colours
    # with a luma of exactly one half could be rounded either way. MATLAB rounds up.
    red, green, blue = np.moveaxis(image.astype(np.int32), 2, 0)
    twice = 2 * (65_481 * red + 128_553 * green + 24_966 * blue)
    rounded: NDArray[np.int32] = 16 + (twice + 255_000) // 510_000
    return rounded.astype(np.float64)


def unrounded_luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The same before rounding, (H, W) real numbers from 16 to 235."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    levels: NDArray[np.float64] = 16 + image @ weights
    return levels
