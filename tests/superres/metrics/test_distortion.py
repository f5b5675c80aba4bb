from __future__ import annotations

import math

import numpy as np
import pytest

from superres.metrics import mean_squared_error, psnr, rmse


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
