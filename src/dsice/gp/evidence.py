"""Hyperparameters of a Gaussian process: maximum a posteriori estimation from measurements.

The values are modelled as y ~ N(0, s2 (K + noise / weight)) with K of `dsice.gp.anova`. The
scale s2 is integrated out under an inverse-gamma prior, which guards against overconfidence with
few measurements. The logarithms of the hyperparameters, the variances of the kernel terms and the
noise, have normal priors. The gradient is exact.

Source: C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press
(2006), sections 5.4.1 and 2.7; https://gaussianprocess.org/gpml.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array, Levels
from dsice.gp.lags import kinship
from dsice.threads import one_blas_thread

# Prior of the natural logarithms: mean and standard deviation.
VARIANCE: Final = (-1.0, 1.5)
NOISE: Final = (-3.0, 1.5)
RELATION: Final = (0.0, 1.5)  # variance of the coefficient of a feature
# Standard deviation of a variance's prior around the value learned by another model of these axes.
TAUGHT: Final = 1.0
# Pseudo-measurements that say s2 = 1: the values are standardised.
SCALE_COUNT: Final = 4.0
# Which variances are learned for an axis, by its number of terms: "linear" and "smooth" share one,
# as few measurements cannot tell three apart (the search was worse with three).
SHARES: Final = {1: np.eye(1), 3: np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])}
_LIMITS: Final = (-9.0, 5.0)
_ITERATIONS: Final = 20
_CLOSE: Final = 1e-5  # the last step gains a smaller share than this of the minimised value


@dataclass(frozen=True)
class Learned:
    """The hyperparameters learned from measurements.

    Attributes:
        covariance: the covariance with the learned variances.
        noise: variance of one measurement of weight 1, in units of the covariance.
        relations: variances of the features' coefficients.
        logs: for each axis, the logarithms of the learned variances.
    """

    covariance: Anova
    noise: float
    relations: Array
    logs: tuple[Array, ...]


@one_blas_thread()
def learn(
    covariance: Anova,
    points: Points,
    values: Array,
    weights: Array,
    lags: Array | None = None,
    *,
    features: Array | None = None,
    expected: Sequence[Array | None] | None = None,
) -> Learned:
    """Find the most probable hyperparameters.

    Args:
        covariance: defines the axes; its variances are ignored, so that the same measurements
            always give the same result.
        points: level indices, shape (N, axes).
        values: with mean 0 and of order 1, shape (N,).
        weights: number of measurements behind each value.
        lags: the lag of each value, see `dsice.gp.lags`.
        features: features at the points, shape (N, features), see `dsice.gp.informed`.
        expected: for each axis, the prior mean of its `Learned.logs`; None for the default prior.
    """
    evidence = _Evidence(covariance, points, values, weights, lags, features, expected)
    start = evidence.prior_mean
    found = minimize(
        evidence,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[_LIMITS] * len(start),
        options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": _CLOSE},
    )
    variances, relations, noise = evidence.apart(found.x)
    return Learned(
        covariance.with_variances(evidence.untied(variances)),
        noise,
        relations,
        evidence.by_axis(found.x),
    )


class _Axis:
    """An axis at the levels that the points have there.

    Attributes:
        shares: the share of each term in each learned variance.
        terms: covariances by learned variance, shape (variances, levels, levels).
    """

    def __init__(self, terms: Array, levels: Levels, place: Levels) -> None:
        self.shares: Final = SHARES[len(terms)]
        self.terms: Final = np.tensordot(self.shares, terms, 1)
        self._place = place  # the place of each point among the levels
        self._of_level = (np.arange(len(levels))[:, None] == place).astype(float)

    def factor(self, variances: Array) -> Array:
        """The factor of the axis between its levels."""
        return np.asarray(1 + np.tensordot(variances, self.terms, 1))

    def at_points(self, factor: Array) -> Array:
        """Expand a matrix between levels to one between points."""
        return factor.take(self._place, axis=1).take(self._place, axis=0)

    def summed(self, pairs: Array) -> Array:
        """Sum a matrix between points over the points of each pair of levels."""
        return np.asarray(self._of_level @ pairs @ self._of_level.T)


class _Evidence:
    """-log of the posterior density of the logarithms of all hyperparameters."""

    def __init__(
        self,
        covariance: Anova,
        points: Points,
        values: Array,
        weights: Array,
        lags: Array | None,
        features: Array | None,
        expected: Sequence[Array | None] | None,
    ) -> None:
        self._axes: list[_Axis] = []
        for axis in range(len(covariance.shape)):
            levels, place = np.unique(points[:, axis], return_inverse=True)
            at = np.zeros((len(levels), points.shape[1]), dtype=np.intp)
            at[:, axis] = levels
            terms = covariance.axis_terms(axis, at, at)
            if len(terms):
                self._axes.append(_Axis(terms, levels, place.reshape(-1)))
        self._values = values
        self._per_weight = 1 / weights
        self._kinship = None if lags is None else kinship(lags, lags)
        self._features = np.zeros((len(values), 0)) if features is None else features
        self._counts = [len(SHARES[n]) if n else 0 for n in _term_counts(covariance)]
        means = [np.full(n, VARIANCE[0]) for n in self._counts]
        stds = [np.full(n, VARIANCE[1]) for n in self._counts]
        for axis, logs in enumerate(expected or ()):
            if logs is not None and len(logs) == self._counts[axis]:
                means[axis], stds[axis] = logs, np.full(len(logs), TAUGHT)
        extra = self._features.shape[1]
        self.prior_mean = np.array([*np.concatenate(means), *[RELATION[0]] * extra, NOISE[0]])
        self._prior_std = np.array([*np.concatenate(stds), *[RELATION[1]] * extra, NOISE[1]])

    def apart(self, logs: Array) -> tuple[Array, Array, float]:
        """Split all logarithms into variances of the terms, relations and noise."""
        values = np.exp(logs[:-1])
        count = sum(self._counts)
        return values[:count], values[count:], math.exp(logs[-1])

    def by_axis(self, logs: Array) -> tuple[Array, ...]:
        """The logarithms of the variances of each axis."""
        ends = np.cumsum(self._counts)
        return tuple(logs[end - n : end] for end, n in zip(ends, self._counts, strict=True))

    def untied(self, variances: Array) -> Array:
        """Expand the learned variances to those of all terms."""
        first, untied = 0, []
        for axis in self._axes:
            untied.append(variances[first : first + len(axis.shares)] @ axis.shares)
            first += len(axis.shares)
        return np.concatenate(untied) if untied else variances

    def __call__(self, logs: Array) -> tuple[float, Array]:
        variances, relations, noise = self.apart(logs)
        count = len(self._values)
        product = np.ones((count, count)) if self._kinship is None else self._kinship.copy()
        factors, first = [], 0
        for axis in self._axes:
            factor = axis.factor(variances[first : first + len(axis.shares)])
            first += len(axis.shares)
            product *= axis.at_points(factor)
            factors.append(factor)
        resembled = (self._features * relations) @ self._features.T
        noisy = product + (resembled if self._kinship is None else resembled * self._kinship)
        noisy.flat[:: count + 1] += noise * self._per_weight + 1e-8
        root, failed = lapack.dpotrf(noisy, lower=1)
        if failed:
            return 1e10, np.zeros_like(logs)
        pull, _ = lapack.dpotrs(root, self._values, lower=1)
        s2 = (self._values @ pull + SCALE_COUNT) / (count + SCALE_COUNT)
        value = 0.5 * (count + SCALE_COUNT) * math.log(s2) + np.log(np.diag(root)).sum()  # (8)
        inverse, _ = lapack.dpotri(root, lower=1)  # its lower triangle, zeros above
        # The other factor is symmetric: count the lower triangle twice and the diagonal once.
        slope = np.outer(pull, pull / s2)
        slope -= 2 * inverse
        slope.flat[:: count + 1] += np.diag(inverse)
        on_diagonal = np.diag(slope).copy()
        gradient = np.empty_like(logs)
        related = slope if self._kinship is None else slope * self._kinship
        for k, feature in enumerate(self._features.T):
            pulled = relations[k] * (feature @ related @ feature)
            gradient[len(variances) + k] = -0.5 * pulled
        slope *= product
        place = 0
        for axis, factor in zip(self._axes, factors, strict=True):
            # All pairs of points of the same levels have the same terms and the same factor.
            share = axis.summed(slope) / np.where(np.abs(factor) < 1e-10, 1e-10, factor)
            for term in axis.terms:
                gradient[place] = -0.5 * variances[place] * np.vdot(share, term)
                place += 1
        gradient[-1] = -0.5 * noise * (on_diagonal @ self._per_weight)
        off = (logs - self.prior_mean) / self._prior_std
        return value + 0.5 * off @ off, gradient + off / self._prior_std


def _term_counts(covariance: Anova) -> list[int]:
    """The number of terms of each axis."""
    axes = [axis for axis, _ in covariance.terms]
    return [axes.count(axis) for axis in range(len(covariance.shape))]
