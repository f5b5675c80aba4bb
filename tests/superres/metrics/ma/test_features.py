from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.signal import convolve2d

from superres.color import luma
from superres.metrics.ma import extract
from superres.metrics.ma.features import scale_space

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def cat() -> Array:
    with (files("skimage") / "data/chelsea.png").open("rb") as file, Image.open(file) as image:
        return luma(np.asarray(image.convert("RGB")))[60:185, 150:292]


def test_agrees_with_the_program_of_the_authors(cat: Array) -> None:
    expected = np.loadtxt(Path(__file__).with_name("octave.txt"))
    found = extract(cat)
    assert [len(family) for family in found] == [18, 45, 75]
    assert found.dct == pytest.approx(expected[:18], rel=1e-8)
    # Theirs reads the filters of the pyramid off tables.
    assert found.gsm == pytest.approx(expected[18:63], rel=1e-5)
    assert found.singular == pytest.approx(expected[63:], rel=1e-8)


def test_scales_are_smoothed_and_every_second_pixel_taken(cat: Array) -> None:
    gaussian = np.exp(-(np.array([-1, 0, 1]) ** 2) / (2 * 0.5**2))
    kernel = np.outer(gaussian, gaussian) / gaussian.sum() ** 2
    full, half, quarter = scale_space(cat)
    assert (full == cat).all()
    assert half == pytest.approx(convolve2d(full, kernel, mode="same")[1::2, 1::2])
    assert quarter == pytest.approx(convolve2d(half, kernel, mode="same")[1::2, 1::2])


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="48x48"):
        extract(np.zeros((47, 100)))


@pytest.mark.parametrize("shape", [(48, 48), (49, 50), (61, 53)])
def test_the_smallest_images_have_all_features(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(0).uniform(0, 255, shape).round()
    assert all(np.isfinite(family).all() for family in extract(y))
