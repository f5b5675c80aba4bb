"""NIQE: the distance of an image's statistics from those of natural photographs.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE
Signal Processing Letters 20(3), 2013; equation numbers below are its. The asymmetric
generalised Gaussian fit follows Lasmar et al., ICIP 2009, as the paper says. The parameters of
pristine photographs in `niqe_pristine.npz` are those of the authors' release, see
`NOTICE-NIQE.txt` beside it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate
from scipy.special import gammaln

from superres.resize import halve

BLOCK = 96
"""Side in pixels of the square blocks whose statistics are compared."""

Array = NDArray[np.float64]

# Local mean and standard deviation: a 7x7 Gaussian window, three standard deviations to either
# side. Separate passes for rows and columns would be faster but round differently, and where an
# image has no contrast, the last bits decide the signs of the coefficients.
_OFFSETS = np.arange(-3, 4)
_WINDOW = np.exp(-(_OFFSETS[:, None] ** 2 + _OFFSETS**2) / (2 * (7 / 6) ** 2))
_WINDOW /= _WINDOW.sum()

# Neighbours whose products are modelled: right, below, and the two diagonals (equation 6).
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Aggd(NamedTuple):
    """Asymmetric generalised Gaussian distributions (equation 8), one per entry.

    The density falls as exp(-(|x| / scale) ** shape), with another scale on either side of 0.
    """

    shape: Array
    left: Array
    right: Array

    @property
    def mean(self) -> Array:
        """Expectation (equation 9)."""
        ratio: Array = np.exp(gammaln(2 / self.shape) - gammaln(1 / self.shape))
        return (self.right - self.left) * ratio


def niqe(y: Array) -> float:
    """Naturalness of a grey image; lower is better, good photographs have about 2 to 5.

    Args:
        y: (H, W) grey levels from 0 to 255, both sides at least 96; what exceeds a multiple of
            96 at the bottom and on the right is not used.

    Returns:
        The distance of equation 10; NaN if no two blocks have usable statistics.

    Raises:
        ValueError: the image is smaller than one block.
    """
    rows, columns = y.shape[0] // BLOCK, y.shape[1] // BLOCK
    if not rows or not columns:
        raise ValueError(f"NIQE needs at least {BLOCK}x{BLOCK} pixels, not {y.shape}")
    y = y[: rows * BLOCK, : columns * BLOCK]
    fine = block_features(normalise(y), BLOCK)
    coarse = block_features(normalise(halve(y)), BLOCK // 2)
    features = np.concatenate([fine, coarse], axis=1)

    # A block without contrast, such as a clipped sky, has an incomplete fit. It counts in the
    # means of the features that it has and not in the covariance, as in the authors' release.
    usable = features[~np.isnan(features).any(axis=1)]
    if len(usable) < 2:
        return float("nan")
    mean, covariance = _pristine()
    difference = mean - np.nanmean(features, axis=0)
    pooled = (covariance + np.cov(usable, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))


def normalise(y: Array) -> Array:
    """Mean-subtracted contrast-normalised coefficients (equations 1 to 3)."""
    mean = _smooth(y)
    deviation = np.sqrt(np.abs(_smooth(y**2) - mean**2))
    coefficients: Array = (y - mean) / (deviation + 1)
    return coefficients


def block_features(coefficients: Array, block: int) -> Array:
    """Eighteen features of every `block` x `block` square: (blocks, 18).

    Two from the coefficients themselves, four from each of the four products of neighbours.
    """
    rows, columns = coefficients.shape[0] // block, coefficients.shape[1] // block
    grid = coefficients.reshape(rows, block, columns, block)
    tiles = grid.swapaxes(1, 2).reshape(rows * columns, block, block)
    fit = fit_aggd(tiles)
    features = [fit.shape, (fit.left + fit.right) / 2]
    for shift in _SHIFTS:
        # Neighbours wrap around at the edges of a block, as for the pristine parameters.
        fit = fit_aggd(tiles * np.roll(tiles, shift, axis=(1, 2)))
        features += [fit.shape, fit.mean, fit.left, fit.right]
    return np.stack(features, axis=1)


def fit_aggd(samples: Array) -> Aggd:
    """Fit by matching moments (Lasmar et al. 2009).

    Args:
        samples: (N, ...): N sets of samples.

    Returns:
        N distributions. A set without positive or without negative samples has the smallest shape
        of the table, as in the authors' release, and NaN on the side without samples.
    """
    samples = samples.reshape(len(samples), -1)
    square = samples**2
    negative, positive = samples < 0, samples > 0
    with np.errstate(invalid="ignore", divide="ignore"):  # sets without samples on one side
        left = np.sqrt((square * negative).sum(1) / negative.sum(1))
        right = np.sqrt((square * positive).sum(1) / positive.sum(1))
        ratio = left / right
        moments = np.abs(samples).mean(1) ** 2 / square.mean(1)
        target = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _invert_moment_ratio(target)
    to_scale = np.exp((gammaln(1 / shape) - gammaln(3 / shape)) / 2)
    return Aggd(shape, left * to_scale, right * to_scale)


def _smooth(y: Array) -> Array:
    smooth: Array = correlate(y, _WINDOW, mode="nearest")
    return smooth


@cache
def _moment_ratios() -> tuple[Array, Array]:
    """Shapes from 0.2 to 10 and, increasing with them, (E|x|)^2 / E[x^2] of the symmetric case."""
    shapes = np.arange(200, 10_001) / 1000
    ratios = np.exp(2 * gammaln(2 / shapes) - gammaln(1 / shapes) - gammaln(3 / shapes))
    return shapes, ratios


def _invert_moment_ratio(target: Array) -> Array:
    """The tabulated shape whose ratio is nearest to each target; the first one for NaN."""
    shapes, ratios = _moment_ratios()
    above = np.clip(np.searchsorted(ratios, target), 1, len(ratios) - 1)
    lower_is_nearer = target - ratios[above - 1] <= ratios[above] - target
    nearest: Array = shapes[np.where(lower_is_nearer, above - 1, above)]
    return np.where(np.isnan(target), shapes[0], nearest)


@cache
def _pristine() -> tuple[Array, Array]:
    with (
        (files("superres.metrics") / "niqe_pristine.npz").open("rb") as file,
        np.load(file) as data,
    ):
        return data["mean"], data["covariance"]
