"""A Gaussian process fitted to results, and functions drawn from its posterior.

A drawn function is one plausible truth: near the results it agrees with them up to their noise, far
from them it varies as the prior does. It is drawn as a whole, by the rule

    f(x) = p(x) + k(x, X) A^-1 (y - p(X) - e),    A = K + noise,

with p a draw from the prior and e one of the noise: f then has exactly the posterior's mean and
covariance (J. T. Wilson et al., "Efficiently sampling functions from Gaussian process posteriors",
ICML 2020, section 3). As k is a product over the axes, p is a mean of many products of one draw per
axis, which costs little on any grid and is Gaussian up to a small rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array, has_table, terms
from dsice.gp.evidence import SCALE_COUNT, learn
from dsice.grid import Grid
from dsice.threads import one_blas_thread

LEARNED: Final = 300  # results that the variances are learned from at most
_PRODUCTS: Final = 1024  # in a draw from the prior
_SUPPORTS: Final = 200  # levels of a long ordered axis at which it is drawn; straight between them
_JITTER: Final = 1e-6


@dataclass(frozen=True)
class Fit:
    """A Gaussian process fitted to values at points.

    Attributes:
        covariance: with the learned variances.
        noise: variance of one measurement, in units of the covariance.
        points: shape (N, axes).
        values: less `centre`, shape (N,).
        centre: the values' mean.
        scale: standard deviation that one unit of the covariance stands for.
        inverse: A^-1, shape (N, N).
        explained: share of the values' variance that the model predicts, each value from all the
            others; 0 or less where it predicts nothing.
    """

    covariance: Anova
    noise: float
    points: Points
    values: Array
    centre: float
    scale: float
    inverse: Array
    explained: float

    @classmethod
    @one_blas_thread()
    def of(cls, grid: Grid, points: Points, values: Array) -> Self:
        """Learn from at least two values of order 1."""
        centre = float(values.mean())
        values = values - centre
        sample = np.arange(len(values))
        if len(sample) > LEARNED:
            sample = np.sort(np.random.default_rng(0).choice(sample, LEARNED, replace=False))
        axes = Anova.of(grid)
        found = learn(axes, points[sample], values[sample], np.ones(len(sample)))
        noise = found.noise + _JITTER
        matrix = found.covariance.covariance(points, points)
        matrix.flat[:: len(points) + 1] += noise
        inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
        pull = inverse @ values
        scale = math.sqrt((float(values @ pull) + SCALE_COUNT) / (len(values) + SCALE_COUNT))
        # By how much the model of all others misses each value (Rasmussen and Williams
        # 2006, section 5.4.2), against their mean alone.
        missed = pull / np.diag(inverse)
        alone = values * len(values) / (len(values) - 1)
        variance = float(alone @ alone)
        explained = 1 - float(missed @ missed) / variance if variance > 0 else 0.0
        return cls(found.covariance, noise, points, values, centre, scale, inverse, explained)


class Path:
    """A function drawn from the posterior.

    Args:
        fit: the model.
        chance: decides which function it is.
    """

    @one_blas_thread()
    def __init__(self, fit: Fit, chance: np.random.Generator) -> None:
        self._fit = fit
        self._axes = [
            _axis_draws(fit.covariance, axis, chance) for axis in range(len(fit.covariance.shape))
        ]
        noise = fit.scale * math.sqrt(fit.noise) * chance.standard_normal(len(fit.values))
        self._pull = fit.inverse @ (fit.values - self._prior(fit.points) - noise)

    @one_blas_thread()
    def __call__(self, points: Points) -> Array:
        """The function at ``points``, shape (n, axes); without the noise of a measurement."""
        pulled = self._fit.covariance.covariance(points, self._fit.points) @ self._pull
        return np.asarray(self._prior(points) + pulled + self._fit.centre)

    def measured(self, points: Points, chance: np.random.Generator) -> Array:
        """The function with the noise of one measurement each."""
        noise = self._fit.scale * math.sqrt(self._fit.noise)
        return np.asarray(self(points) + noise * chance.standard_normal(len(points)))

    def _prior(self, points: Points) -> Array:
        product = np.full((len(points), _PRODUCTS), self._fit.scale / math.sqrt(_PRODUCTS))
        for axis, ((supports, constant, draws), at) in enumerate(
            zip(self._axes, points.T, strict=True)
        ):
            if supports[-1] == len(draws) - 1:  # all levels
                factor = draws[at]
            else:
                right = np.clip(np.searchsorted(supports, at), 1, len(supports) - 1)
                left = right - 1
                share = (at - supports[left]) / (supports[right] - supports[left])
                factor = draws[left] + share[:, None] * (draws[right] - draws[left])
            applies = self._fit.covariance.applies(axis, points)
            product *= factor if applies is None else np.where(applies[:, None], factor, constant)
        return np.asarray(product.sum(axis=1))


def _axis_draws(
    covariance: Anova, axis: int, chance: np.random.Generator
) -> tuple[Points, Array, Array]:
    """Draws of one axis' factor, shape (levels, products).

    Returns:
        At which levels, the factors where the axis does not apply, and those at the levels.
    """
    levels, ordered = covariance.shape[axis], covariance.ordered[axis]
    count = levels if has_table(levels) or not ordered else _SUPPORTS
    supports = np.unique(np.linspace(0, levels - 1, count).round().astype(np.intp))
    # The constant's draw is a sign, not a normal number: products of few terms are then nearer to
    # normal, and its variance is 1 as well.
    constant = chance.choice((-1.0, 1.0), size=_PRODUCTS)
    draws = np.broadcast_to(constant, (len(supports), _PRODUCTS)).copy()
    variances = covariance.variances[[a == axis for a, _ in covariance.terms]]
    if not len(variances):
        return supports, constant, draws
    normal = chance.standard_normal((len(supports), _PRODUCTS))
    if not ordered:  # each level for itself, less the mean
        normal -= normal.mean(axis=0)
        return (
            supports,
            constant,
            draws + math.sqrt(float(variances[0]) / (1 - 1 / levels)) * normal,
        )
    matrix = np.tensordot(variances, terms(levels, ordered, supports[:, None], supports), 1)
    values, vectors = np.linalg.eigh(matrix)
    varied = (vectors * np.sqrt(np.maximum(values, 0))) @ normal
    return supports, constant, draws + varied
