from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from superres.color import luma, unrounded_luma


@pytest.mark.parametrize(
    ("rgb", "y"),
    # MATLAB: rgb2ycbcr(uint8(cat(3, r, g, b))), first channel. The full bars of BT.601 are known to
    # have 235, 210, 170, 145, 106, 81, 41 and 16.
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),
        ((0, 255, 0), 145),
        ((0, 0, 255), 41),
        ((255, 255, 0), 210),
        ((0, 255, 255), 170),
        ((255, 0, 255), 106),
        ((128, 128, 128), 126),
        ((1, 1, 1), 17),
    ],
)
def test_luma_of_known_colours(rgb: tuple[int, int, int], y: int) -> None:
    assert luma(np.array(rgb, np.uint8).reshape(1, 1, 3)) == [[y]]


def test_luma_is_rounded_exactly() -> None:
    random = np.random.default_rng(0)
    # The first six end in exactly one half, which floating point rounds either way.
    halves = [(0, 204, 68), (2, 44, 141), (4, 194, 109), (5, 65, 25), (6, 34, 182), (8, 184, 150)]
    image = np.concatenate([np.array(halves), random.integers(0, 256, (3000, 3))]).astype(np.uint8)
    weights = [Fraction(w) / 255 for w in ("65.481", "128.553", "24.966")]
    exact = [16 + sum(w * int(c) for w, c in zip(weights, rgb, strict=True)) for rgb in image]
    assert all((y - Fraction(1, 2)).denominator == 1 for y in exact[:6])
    expected = [float((y + Fraction(1, 2)) // 1) for y in exact]
    assert luma(image[None])[0].tolist() == expected
    assert unrounded_luma(image[None])[0] == pytest.approx([float(y) for y in exact], abs=1e-12)
