"""NIQE against figures that other programs gave for photographs that wheels carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from superres.metrics import niqe
from tests.superres.photographs import (
    Pixels,
    bicubic,
    blurred,
    clipped,
    jpeg,
    judged,
    noisy,
    photograph,
)


def same(image: Pixels) -> Pixels:
    return image


# Computed once, outside this project, by the authors' own MATLAB release (utlive/niqe), called as
# the toolbox of PIRM 2018 calls it, from RGB images stored as PNG, under GNU Octave 7.3 with its
# image package 2.14. Octave lacks MATLAB's `blkproc`, `imresize`, `nanmean` and `nancov`, which
# were written from their documentation for that.
#
# Tolerances: photographs with contrast everywhere agree to 12 digits. In places without any (sky,
# shade, what JPEG left empty, what an enlargement smoothed) rounding decides the signs of the
# coefficients, which the fits count; and the luma of a few colours ends in one half, which Octave
# may round down (8 pixels of "motorcycle"). Four equal ways to add up the window gave figures
# for these images that differ by as much as the tolerances.
@pytest.mark.parametrize(
    ("name", "change", "expected", "tolerance"),
    [
        ("astronaut", same, 3.0205269, 1e-6),
        ("chelsea", same, 2.6893130, 1e-6),
        ("coffee", same, 4.0796290, 1e-6),
        ("grass", same, 6.3419068, 1e-6),
        ("hubble", same, 7.8309510, 1e-6),
        ("chelsea", noisy, 11.3780002, 1e-6),
        ("motorcycle", noisy, 8.6435782, 1e-6),
        ("camera", same, 3.1477862, 2e-3),
        ("china", same, 4.2293085, 2e-3),
        ("flower", same, 4.8430124, 2e-3),
        ("motorcycle", same, 2.6821871, 2e-3),
        ("rocket", same, 6.7297987, 2e-3),
        ("chelsea", blurred, 7.1728531, 2e-3),
        ("motorcycle", blurred, 6.6375921, 2e-3),
        ("chelsea", bicubic, 7.8250018, 2e-3),
        ("coffee", bicubic, 7.5047702, 2e-3),
        ("motorcycle", bicubic, 7.0897188, 2e-3),
        ("china", jpeg, 4.1181471, 1e-2),
        ("chelsea", jpeg, 5.0073326, 1e-2),
        ("ihc", same, 3.2692955, 2e-2),
        ("coffee", jpeg, 6.8239620, 2e-2),
        ("coffee", clipped, 4.4320922, 2e-2),
        ("china", clipped, 4.5905115, 2e-2),
    ],
)
def test_agrees_with_the_release_of_the_authors(
    name: str, change: Callable[[Pixels], Pixels], expected: float, tolerance: float
) -> None:
    assert niqe(judged(change(photograph(name)))) == pytest.approx(expected, rel=tolerance)


# Computed once, outside this project, with the NIQE of basicsr 1.4.2, a translation of the same
# release, on the same luma but for its rounding of halves.
@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [
        ("chelsea", 2.68931, 1e-4),
        ("coffee", 4.07966, 1e-4),
        ("motorcycle", 2.68234, 1e-4),
        ("hubble", 7.83095, 1e-4),
        ("rocket", 6.7293, 2e-3),
        ("astronaut", 3.0159, 2e-3),
    ],
)
def test_agrees_with_a_translation(name: str, expected: float, tolerance: float) -> None:
    assert niqe(judged(photograph(name))) == pytest.approx(expected, rel=tolerance)
