from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma
from scipy.stats import gennorm

from superres.metrics.ma.moments import gaussian_shape, variation


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
def test_the_shape_of_samples_is_found(shape: float) -> None:
    random = np.random.default_rng(1)
    # A power of a gamma variable with a random sign; location and scale must not matter.
    sizes = random.gamma(1 / shape, size=400_000) ** (1 / shape)
    samples = 7 + 3 * sizes * random.choice([-1, 1], size=sizes.size)
    assert gaussian_shape(samples) == pytest.approx(shape, rel=0.02)


@pytest.mark.parametrize("shape", [0.8, 1.5])
def test_moments_agree_with_maximum_likelihood(shape: float) -> None:
    samples = gennorm.rvs(shape, size=20_000, random_state=2)
    likeliest, _, _ = gennorm.fit(samples, floc=0)
    assert gaussian_shape(samples) == pytest.approx(likeliest, rel=0.05)


def test_many_sets_at_once() -> None:
    sets = np.random.default_rng(0).laplace(size=(3, 4, 500))
    each = [[gaussian_shape(s) for s in row] for row in sets]
    assert gaussian_shape(sets) == pytest.approx(np.array(each), abs=0)


def test_the_nearest_ratio_of_the_table_is_chosen() -> None:
    random = np.random.default_rng(3)
    # In order: shapes far beyond the table on either side, and some within it.
    sets = np.stack([np.eye(1, 200)[0] * 9, *random.normal(size=(5, 200)), [-1.0, 1.0] * 100])
    shapes = np.linspace(0.03, 10, 9971)
    mean_sizes = gamma(2 / shapes) / gamma(1 / shapes)
    ratios = gennorm.var(shapes) / mean_sizes**2
    for samples, found in zip(sets, gaussian_shape(sets), strict=True):
        wanted = samples.var(ddof=1) / (np.abs(samples - samples.mean()).mean() ** 2 + 1e-7)
        assert found == pytest.approx(shapes[np.argmin(np.abs(ratios - wanted))], abs=1e-9)


def test_flat_samples_have_the_largest_shape_and_no_variation() -> None:
    assert gaussian_shape(np.full(10, 0.5)) == 10
    assert variation(np.zeros(10), 1e-7) == 0


def test_variation_is_deviation_over_mean() -> None:
    samples = np.array([-1.0, 2.0, -3.0])
    assert variation(samples, 0.5) == pytest.approx(1 / 2.5)
