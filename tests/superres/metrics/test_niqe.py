from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import gamma

from superres.metrics import niqe
from superres.metrics.niqe import fit_aggd, normalise
from tests.superres.photographs import judged, photograph


def test_blur_and_noise_look_unnatural() -> None:
    y = judged(photograph("coffee"))
    blurred = gaussian_filter(y, 2.0)
    noisy = np.clip(y + np.random.default_rng(0).normal(0, 25, y.shape), 0, 255)
    assert niqe(blurred) > niqe(y) + 1
    assert niqe(noisy) > niqe(y) + 1


def test_what_exceeds_whole_blocks_is_not_used() -> None:
    y = judged(photograph("chelsea"))
    assert niqe(y[:288, :384]) == niqe(y)


def test_a_mirrored_photograph_is_as_natural() -> None:
    y = judged(photograph("chelsea"))[:288, :384]
    assert niqe(y[:, ::-1]) == pytest.approx(niqe(y), rel=0.02)


def test_an_image_without_contrast_cannot_be_judged() -> None:
    assert np.isnan(niqe(np.full((192, 192), 100.0)))


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(ValueError, match="96x96"):
        niqe(np.zeros((95, 200)))


def test_normalised_coefficients_of_a_flat_image_are_zero() -> None:
    assert np.abs(normalise(np.full((50, 60), 37.0))).max() < 1e-9


@pytest.mark.parametrize(
    ("shape", "left", "right"), [(2.0, 1.0, 1.0), (1.0, 0.5, 0.5), (0.6, 0.2, 0.5), (3.0, 2.0, 0.7)]
)
def test_the_fit_recovers_a_known_distribution(shape: float, left: float, right: float) -> None:
    random = np.random.default_rng(1)
    count = 400_000
    # |x| / scale is a power of a gamma variable; the sides have weights in proportion to scale.
    magnitude = random.gamma(1 / shape, size=count) ** (1 / shape)
    on_left = random.random(count) < left / (left + right)
    samples = np.where(on_left, -left * magnitude, right * magnitude)
    fit = fit_aggd(samples[None])
    assert fit.shape[0] == pytest.approx(shape, rel=0.02)
    assert fit.left[0] == pytest.approx(left, rel=0.03)
    assert fit.right[0] == pytest.approx(right, rel=0.03)
    assert fit.mean[0] == pytest.approx(
        (right - left) * gamma(2 / shape) / gamma(1 / shape), abs=0.01
    )
    assert samples.mean() == pytest.approx(fit.mean[0], abs=0.02)
