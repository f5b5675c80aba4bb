from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from scipy.special import gamma

from superres.color import luma
from superres.metrics import SHAVE, niqe
from superres.metrics.niqe import fit_aggd, normalise


def photograph(package: str, resource: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    with (files(package) / resource).open("rb") as file, Image.open(file) as image:
        y = luma(np.asarray(image.convert("RGB")))[SHAVE:-SHAVE, SHAVE:-SHAVE]
    return y.reshape(y.shape[0], y.shape[1])


# Computed once, outside this project, with the NIQE of basicsr 1.4.2 (a translation of the
# authors' MATLAB release that is within 1e-5 of it on "baboon") on the same luma. Where blocks
# with hardly any contrast occur (astronaut, rocket), the last bits of the window sums decide
# their fits, and the two differ by 0.2 %.
@pytest.mark.parametrize(
    ("package", "resource", "expected", "tolerance"),
    [
        ("skimage", "data/chelsea.png", 2.68931, 1e-4),
        ("skimage", "data/coffee.png", 4.07966, 1e-4),
        ("skimage", "data/motorcycle_left.png", 2.68234, 1e-4),
        ("skimage", "data/hubble_deep_field.jpg", 7.83095, 1e-4),
        ("skimage", "data/rocket.jpg", 6.7293, 2e-3),
        ("skimage", "data/astronaut.png", 3.0159, 2e-3),
    ],
)
def test_agrees_with_an_independent_implementation(
    package: str, resource: str, expected: float, tolerance: float
) -> None:
    assert niqe(photograph(package, resource)) == pytest.approx(expected, rel=tolerance)


def test_blur_and_noise_look_unnatural() -> None:
    y = photograph("skimage", "data/coffee.png")
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(y, 2.0)
    noisy = np.clip(y + np.random.default_rng(0).normal(0, 25, y.shape), 0, 255)
    assert niqe(blurred) > niqe(y) + 1
    assert niqe(noisy) > niqe(y) + 1


def test_what_exceeds_whole_blocks_is_not_used() -> None:
    y = photograph("skimage", "data/chelsea.png")
    assert niqe(y[:288, :384]) == niqe(y)


def test_a_mirrored_photograph_is_as_natural() -> None:
    y = photograph("skimage", "data/chelsea.png")[:288, :384]
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


def test_one_sided_samples_have_no_fit() -> None:
    assert np.isnan(fit_aggd(np.abs(np.random.default_rng(0).normal(size=(1, 100)))).left[0])
