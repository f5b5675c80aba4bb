from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from superres.metrics import ssim
from tests.superres.photographs import bicubic, blurred, jpeg, judged, noisy, photograph, whole


def by_definition(y: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Window by window, in plain sums."""
    weights = [[math.exp(-(i * i + j * j) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)]
    total = math.fsum(math.fsum(row) for row in weights)
    found = []
    for top in range(y.shape[0] - 10):
        for left in range(y.shape[1] - 10):
            places = [(i, j) for i in range(11) for j in range(11)]
            window = [
                (weights[i][j] / total, y[top + i, left + j], reference[top + i, left + j])
                for i, j in places
            ]
            mean = math.fsum(w * a for w, a, _ in window)
            other = math.fsum(w * b for w, _, b in window)
            one = math.fsum(w * (a - mean) ** 2 for w, a, _ in window)
            two = math.fsum(w * (b - other) ** 2 for w, _, b in window)
            both = math.fsum(w * (a - mean) * (b - other) for w, a, b in window)
            light = (2 * mean * other + 6.5025) / (mean**2 + other**2 + 6.5025)
            found.append(light * (2 * both + 58.5225) / (one + two + 58.5225))
    return math.fsum(found) / len(found)


def test_it_is_the_published_definition() -> None:
    random = np.random.default_rng(0)
    y, reference = (random.integers(16, 236, (17, 14)).astype(float) for _ in range(2))
    for one, other in ((y, reference), (y, 0.5 * y + 40), (np.full_like(y, 30.0), reference)):
        assert ssim(one, other) == pytest.approx(by_definition(one, other), abs=1e-10)


@pytest.mark.parametrize("degrade", [bicubic, blurred, jpeg, noisy])
def test_photographs_score_as_in_scikit_image(degrade: object) -> None:
    assert callable(degrade)
    image = photograph("chelsea")
    y, reference = judged(degrade(image)), judged(whole(image))
    theirs = structural_similarity(  # type: ignore[no-untyped-call]
        y, reference, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(y, reference) == pytest.approx(theirs, abs=1e-9)


def test_equal_images_score_one() -> None:
    y = np.random.default_rng(0).uniform(0, 255, (40, 30))
    assert ssim(y, y) == pytest.approx(1, abs=1e-12)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        ssim(np.zeros((20, 20)), np.zeros((20, 21)))
    with pytest.raises(ValueError, match="11x11"):
        ssim(np.zeros((20, 10)), np.zeros((20, 10)))
