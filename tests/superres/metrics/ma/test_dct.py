from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from superres.metrics.ma.dct import block_frequencies, dct_features, direction_groups


def test_every_block_is_transformed_with_its_surroundings() -> None:
    image = np.random.default_rng(0).uniform(size=(11, 13))
    found = block_frequencies(image)
    # 4x5 squares of 3x3 pixels, two black pixels around, black up to 12x15 pixels.
    padded = np.zeros((16, 19))
    padded[2:13, 2:15] = image
    expected = [
        dctn(padded[top : top + 7, left : left + 7], norm="ortho").ravel()[1:]
        for top in range(0, 12, 3)
        for left in range(0, 15, 3)
    ]
    assert found == pytest.approx(np.array(expected))


def test_groups_divide_the_frequencies() -> None:
    horizontal, diagonal, vertical = direction_groups()
    everything = np.concatenate([horizontal, diagonal, vertical])
    assert sorted(everything) == list(range(48))
    assert len(horizontal) == len(diagonal) == len(vertical) == 16
    rows, columns = np.divmod(np.arange(1, 49), 7)
    assert (columns[horizontal] > rows[horizontal]).all()
    assert (rows[vertical] > columns[vertical]).all()
    assert np.abs(np.arctan2(rows, columns)[diagonal] - np.pi / 4).max() < np.pi / 8


def test_the_figures_of_independent_noise() -> None:
    # Coefficients of white noise are Gaussian: of shape 2, which so few overestimate, their sizes
    # varying by sqrt(pi / 2 - 1), and no direction differs from the others but by chance. Where
    # the image ends, black around it makes another picture: 1 of 25 blocks.
    noise = np.random.default_rng(1).normal(0.5, 0.1, (300, 300))
    low_shape, shape, high_variation, mean_variation, _, direction = dct_features(noise)
    assert low_shape < shape
    assert shape == pytest.approx(2, abs=0.4)
    assert mean_variation == pytest.approx(np.sqrt(np.pi / 2 - 1), rel=0.05)
    assert high_variation > mean_variation
    stripes = noise + 0.3 * np.sin(np.arange(300) * 1.8)
    assert dct_features(stripes)[5] > 2 * direction


def test_lowest_and_highest_tenths() -> None:
    image = np.random.default_rng(2).uniform(size=(15, 18))  # 30 blocks
    coefficients = block_frequencies(image)
    spread = np.sort(
        np.abs(coefficients).std(axis=1, ddof=1) / (np.abs(coefficients).mean(axis=1) + 1e-7)
    )
    # MATLAB's fix(30 * 0.9) is the 27th of 30 counted from 1: four blocks.
    assert dct_features(image)[2] == pytest.approx(spread[-4:].mean())
    assert dct_features(image)[3] == pytest.approx(spread.mean())
