from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import mean_squared_error as other_mean_squared_error
from skimage.metrics import peak_signal_noise_ratio

from superres.judging import Pair, judge
from superres.metrics import mean_squared_error, psnr, rmse
from superres.scores import Scores
from tests.superres.photographs import Pixels, bicubic, noisy, photograph, whole


def test_mean_squared_error_is_in_squared_levels() -> None:
    assert mean_squared_error(np.full((4, 5), 7.0), np.full((4, 5), 10.0)) == 9.0


def test_images_of_different_shape_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        mean_squared_error(np.zeros((4, 5)), np.zeros((5, 4)))


def test_rmse_is_the_root_of_the_mean_and_not_the_mean_of_the_roots() -> None:
    assert rmse([1.0, 49.0]) == 5.0


def test_psnr() -> None:
    assert psnr(255.0**2) == 0.0
    assert psnr(65.025) == pytest.approx(30.0)
    assert psnr(0.0) == math.inf


def shaved_luma(image: Pixels) -> Pixels:
    """As the toolbox of PIRM 2018 has it: whole levels of 8 bits, 4 pixels less on every side."""
    y = 16 + (65.481 * image[..., 0] + 128.553 * image[..., 1] + 24.966 * image[..., 2]) / 255
    # One in 86,000 colours ends in one half, which the last bits could round either way.
    levels: Pixels = np.floor(y + (0.5 + 1e-9)).astype(np.uint8)
    return levels[4:-4, 4:-4]


def test_figures_of_a_set_are_those_of_the_challenge() -> None:
    pairs = [
        (bicubic(photograph("chelsea")), whole(photograph("chelsea"))),
        (noisy(photograph("coffee")), whole(photograph("coffee"))),
    ]
    scores = Scores(tuple(judge(Pair("p", *pair), with_features=False)[0] for pair in pairs))
    planes = [(shaved_luma(original), shaved_luma(result)) for result, original in pairs]
    errors = [other_mean_squared_error(*p) for p in planes]
    assert [i.squared_error for i in scores.images] == pytest.approx(errors, rel=1e-12)
    assert scores.rmse == pytest.approx(math.sqrt((errors[0] + errors[1]) / 2), rel=1e-12)
    peaks = [peak_signal_noise_ratio(*p) for p in planes]  # type: ignore[no-untyped-call]
    assert [i.psnr for i in scores.images] == pytest.approx(peaks, rel=1e-12)


def test_what_is_shaved_off_does_not_count() -> None:
    original = whole(photograph("chelsea"))
    result = original.copy()
    result[:4], result[-4:], result[:, :4], result[:, -4:] = 0, 0, 255, 255
    assert judge(Pair("p", result, original), with_features=False)[0].squared_error == 0
    result[4, 4] ^= 255
    assert judge(Pair("p", result, original), with_features=False)[0].squared_error > 0
