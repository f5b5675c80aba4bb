from __future__ import annotations

import numpy as np
import pytest

from superres.color import luma


@pytest.mark.parametrize(
    ("rgb", "y"),
    # MATLAB: rgb2ycbcr(uint8(cat(3, r, g, b))), first channel.
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
        ((128, 128, 128), 126),
        ((1, 1, 1), 17),
    ],
)
def test_luma_of_known_colours(rgb: tuple[int, int, int], y: int) -> None:
    assert luma(np.array(rgb, np.uint8).reshape(1, 1, 3)) == [[y]]
