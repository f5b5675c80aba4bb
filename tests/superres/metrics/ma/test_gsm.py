from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from superres.metrics.ma.gsm import gsm_features, normalised_bands, scale_factors
from superres.metrics.ma.moments import gaussian_shape
from superres.metrics.ma.pyramid import steerable_pyramid
from superres.metrics.ma.structure import agreement, local


def test_factors_of_known_mixtures_are_found() -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(14, 14))
    factors = random.gamma(2, size=50_000)
    vectors = factors * (mixing @ random.normal(size=(14, 50_000)))
    found = scale_factors(vectors, 14)
    assert np.corrcoef(np.log(found), np.log(factors))[0, 1] > 0.95
    # The estimate is normalised: the mean of its square is the number of components over length.
    assert np.mean(found**2) == pytest.approx(1)


def test_factors_by_the_formula() -> None:
    vectors = np.random.default_rng(1).normal(size=(5, 300)) * np.arange(1, 6)[:, None]
    inverse = np.linalg.inv(vectors @ vectors.T / 300)
    expected = [np.sqrt(v @ inverse @ v / 3) for v in vectors.T]
    assert scale_factors(vectors, 3) == pytest.approx(np.array(expected))


def test_directions_without_variance_are_left_out() -> None:
    vectors = np.random.default_rng(2).normal(size=(3, 200))
    twice = np.concatenate([vectors, vectors])
    assert scale_factors(twice, 3) == pytest.approx(scale_factors(vectors, 3))


def test_division_makes_a_mixture_gaussian() -> None:
    # Noise whose strength changes slowly from place to place: peaked before, Gaussian after.
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:200, :200]
    strength = np.exp(2 * np.sin(rows / 30) * np.cos(columns / 25))
    pyramid = steerable_pyramid(100 * strength * random.normal(size=(200, 200)), 2, 6)
    fine, coarse = normalised_bands(pyramid)
    assert [band.shape for band in (*fine, *coarse)] == 6 * [(166, 166)] + 6 * [(82, 82)]
    assert gaussian_shape(pyramid.bands[0][0].ravel()) < 1
    assert gaussian_shape(fine[0].ravel()) > 1.7


def test_agreement_is_the_second_factor_of_ssim() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(0, 40, (2, 60, 70))
    b += a
    # Local means taken off, the first factor of SSIM is 1; two windows then lie inside.
    a, b = a * 1.0, b * 1.0
    _, whole = structural_similarity(  # type: ignore[no-untyped-call]
        a, b, data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    means, c1 = (local(a).mean, local(b).mean), (0.01 * 255) ** 2
    first = (2 * means[0] * means[1] + c1) / (means[0] ** 2 + means[1] ** 2 + c1)
    assert agreement(local(a), local(b)) == pytest.approx(np.mean(whole[5:-5, 5:-5] / first))
    assert agreement(local(a), local(a)) == pytest.approx(1)


def test_features_in_their_order() -> None:
    y = np.random.default_rng(5).uniform(0, 255, (64, 72))
    pyramid = steerable_pyramid(y, 2, 6)
    fine, coarse = normalised_bands(pyramid)
    found = gsm_features(y)
    assert found[7] == gaussian_shape(coarse[1].ravel())
    assert found[14] == gaussian_shape(np.concatenate([fine[2].ravel(), coarse[2].ravel()]))
    assert found[21] == pytest.approx(
        agreement(local(pyramid.bands[0][3]), local(pyramid.high)), abs=1e-12
    )
    assert found[44] == pytest.approx(agreement(local(fine[4]), local(fine[5])), abs=1e-12)
