"""The d-Spline: a discrete smoothing spline through measurements on one line of settings.

A line of n settings is covered with M = 3n + 2 *markers*: setting i sits on marker 3i + 2, two
markers lie between neighbouring settings and two guard markers beyond each end. The estimate f at
the markers minimises

    sum_k w_k (y_k - f[marker of k])^2 + alpha^2 ||D f||^2

where D takes second differences, (1, -2, 1) per row for equally spaced settings. f is linear in
the measured values y, so alpha does not depend on their scale.

Sources: T. Tanaka, R. Otsuka, A. Fujii, T. Katagiri, T. Imamura, "Implementation of d-spline-based
incremental performance parameter estimation method with ppOpen-AT", Scientific Programming 22
(2014), section 2, doi 10.1155/2014/310879; for the choice of alpha H. Akaike, "Likelihood and the
Bayes procedure", in Bayesian Statistics, University Press, Valencia (1980), 143-166.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lapack

from dsice.errors import InvalidInput

Vector = NDArray[np.float64]

DEFAULT_ALPHA: Final = 0.1
LOG10_ALPHA: Final = (-5.0, 5.0)
_PER_SETTING: Final = 3
_GUARDS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Spline:
    """A fitted d-Spline; see `fit`.

    Attributes:
        markers: the estimate at all M = 3n + 2 markers, in the units of the measured values.
        alpha: the smoothing parameter it was fitted with.
        abic: Akaike's Bayesian information criterion of the fit, to compare values of alpha on the
            same measurements: smaller is better. NaN with two measurements only.
    """

    markers: Vector
    alpha: float
    abic: float

    @property
    def estimates(self) -> Vector:
        """The estimate at each of the n settings."""
        return self.markers[_GUARDS::_PER_SETTING][: self._settings]

    @property
    def curvature(self) -> Vector:
        """Second difference of the estimate at each of the n settings.

        It is taken over the markers next to the setting, ``f[m-1] - 2 f[m] + f[m+1]`` with
        m = 3i + 2, and stays in marker units: a setting's own step is three markers long.
        """
        return np.diff(self.markers, 2)[_GUARDS - 1 :: _PER_SETTING][: self._settings]

    @property
    def _settings(self) -> int:
        return (len(self.markers) - _GUARDS) // _PER_SETTING


def fit(
    settings: Sequence[int],
    values: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n: int,
    positions: ArrayLike | None = None,
    alpha: float | Literal["abic"] = DEFAULT_ALPHA,
) -> Spline:
    """Fit a d-Spline to measurements on a line of ``n`` settings.

    A setting measured c times may be given c times, or once with the mean value and weight c: the
    estimate is the same.

    Args:
        settings: index of the measured setting, 0 to n - 1, for each measurement.
        values: the measured values, finite, in any unit.
        weights: positive weight of each measurement; 1 by default.
        n: number of settings of the line, measured or not.
        positions: strictly increasing coordinates of the n settings; equally spaced by default.
            Markers divide each gap evenly, guards continue the outermost gap, and a row of D is
            ``h2, -(h1 + h2), h1`` with the marker gaps h1 and h2 in units of their mean.
        alpha: the smoothing parameter, positive, or ``"abic"`` for the one between 1e-5 and 1e5
            that minimises ABIC. Two measurements say nothing about alpha, as every alpha gives the
            line through them; "abic" is then `DEFAULT_ALPHA`.

    Raises:
        InvalidInput: fewer than two distinct settings, or arguments that do not fit together.
    """
    problem = _Problem.of(settings, values, weights, n, positions)
    if alpha == "abic":
        return problem.solve(problem.choose_alpha())
    if not (isinstance(alpha, int | float) and math.isfinite(alpha) and alpha > 0):
        raise InvalidInput(f"alpha = {alpha!r}: a positive number or 'abic' is needed")
    return problem.solve(float(alpha))


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The least-squares problem of `fit`, checked, with repeats merged per marker."""

    mean: Vector  # per marker: weighted mean of its measurements, 0 where there is none
    weight: Vector  # per marker: sum of weights
    scatter: float  # sum of w (y - mean)^2 within markers: what no estimate can explain
    log_weights: float  # sum of log w
    count: int  # number of measurements
    gaps: Vector  # between neighbouring markers, shape (M - 1,), mean 1

    @classmethod
    def of(
        cls,
        settings: Sequence[int],
        values: ArrayLike,
        weights: ArrayLike | None,
        n: int,
        positions: ArrayLike | None,
    ) -> _Problem:
        k = np.asarray(settings, dtype=np.intp)
        y = np.asarray(values, dtype=np.float64)
        w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
        if not (k.ndim == 1 and k.shape == y.shape == w.shape):
            raise InvalidInput(f"settings, values, weights differ: {k.shape}, {y.shape}, {w.shape}")
        if len(set(k.tolist())) < 2:
            raise InvalidInput("a d-Spline needs measurements at two settings at least")
        if k.min() < 0 or k.max() >= n:
            raise InvalidInput(f"settings {k.tolist()} are not all between 0 and {n - 1}")
        if not (np.isfinite(y).all() and np.isfinite(w).all() and (w > 0).all()):
            raise InvalidInput("values must be finite, weights finite and positive")
        size = _PER_SETTING * n + _GUARDS
        marker = _PER_SETTING * k + _GUARDS
        weight: Vector = np.bincount(marker, w, size).astype(np.float64)
        total = np.bincount(marker, w * y, size)
        mean: Vector = total / np.where(weight > 0, weight, 1.0)
        scatter = float(np.sum(w * (y - mean[marker]) ** 2))
        gaps = _marker_gaps(n, positions)
        return cls(mean, weight, scatter, float(np.log(w).sum()), len(y), gaps)

    def solve(self, alpha: float) -> Spline:
        """The minimiser of the functional and its ABIC.

        The normal equations ``(W + alpha^2 D'D) f = W y`` lose half of the digits where few of many
        settings are measured. With the bending moment ``u = alpha D f`` as further unknowns,

            W f + alpha D' u = W y
            alpha D f  -   u = 0

        is the same problem with the condition of a QR factorisation, still banded when f and u are
        interleaved, and the determinant of ABIC falls out of its LU factors.
        """
        size = len(self.mean)
        left, right = self.gaps[:-1], self.gaps[1:]
        # Unknowns in the order f_0, -, f_1, u_0, f_2, u_1, ...: u_k, the moment at marker k + 1, is
        # next to f_{k+1} and reaches three places either way. Places 1 and 2M - 1 hold u = 0.
        half = 3
        band = np.zeros((3 * half + 1, 2 * size))
        diagonal = 2 * half

        def put(rows: NDArray[np.intp], columns: NDArray[np.intp], entries: Vector) -> None:
            band[diagonal + rows - columns, columns] = entries
            band[diagonal + columns - rows, rows] = entries

        f = 2 * np.arange(size)
        u = 2 * np.arange(1, size - 1) + 1
        put(f, f, self.weight)
        put(f + 1, f + 1, np.full(size, -1.0))
        put(u, f[:-2], alpha * right)  # (2)
        put(u, f[1:-1], -alpha * (left + right))
        put(u, f[2:], alpha * left)
        factors, pivots, failed = lapack.dgbtrf(band, half, half)
        if failed:
            raise FloatingPointError("the d-Spline's equations are singular in double precision")
        wanted = np.zeros(2 * size)
        wanted[f] = self.weight * self.mean
        solution, _ = lapack.dgbtrs(factors, half, half, wanted, pivots)
        markers = solution[f]
        residual = np.sum(self.weight * (self.mean - markers) ** 2) + np.sum(solution[u] ** 2)
        log_det = float(np.log(np.abs(factors[diagonal])).sum())
        return Spline(markers, alpha, self._abic(alpha, float(residual), log_det))

    def _abic(self, alpha: float, residual: float, log_det: float) -> float:
        """-2 log of the largest marginal likelihood + 2 (number of hyperparameters).

        With y_k ~ N(f, sigma^2 / w_k) and the prior alpha D f ~ N(0, sigma^2 I), which is flat
        along straight lines, integrating f out (Akaike 1980) gives for N measurements

            -2 log L = (N - 2) log(2 pi sigma^2) + S / sigma^2 - sum log w
                       + log |W + alpha^2 D'D| - (M - 2) log alpha^2 - log |D D'|

        S being the minimum of the functional; sigma^2 = S / (N - 2) is the best scale. By
        Cauchy-Binet |D D'| = (prod h1 / h_0)^2 (M sum x^2 - (sum x)^2), x the markers' positions.
        """
        size, free = len(self.mean), self.count - 2
        if not free:
            return math.nan
        level = residual + self.scatter
        # Measurements on a straight line leave nothing but rounding: no alpha explains it better.
        level = max(level, (1e-12 * float(np.abs(self.mean).max())) ** 2, 1e-300)
        x = np.concatenate(([0.0], np.cumsum(self.gaps)))
        x -= x.mean()
        log_rows = float(2 * np.log(self.gaps[1:-1]).sum() + math.log(size * float(x @ x)))
        return (
            free * (math.log(2 * math.pi * level / free) + 1)
            - self.log_weights
            + log_det
            - 2 * (size - 2) * math.log(alpha)
            - log_rows
            + 4
        )

    def choose_alpha(self) -> float:
        """The alpha that minimises ABIC."""
        if self.count == 2:
            return DEFAULT_ALPHA

        def abic(log10_alpha: float) -> float:
            return self.solve(10.0**log10_alpha).abic

        # ABIC may have several valleys: golden section starts in the best of a coarse scan.
        low, high = LOG10_ALPHA
        scan = np.linspace(low, high, 21).tolist()
        best = min(scan, key=abic)
        step = scan[1] - scan[0]
        answer = _golden_section(abic, max(low, best - step), min(high, best + step), 1e-4)
        return float(10.0 ** min(best, answer, key=abic))


def _marker_gaps(n: int, positions: ArrayLike | None) -> Vector:
    size = _PER_SETTING * n + _GUARDS
    if positions is None:
        return np.ones(size - 1)
    x = np.asarray(positions, dtype=np.float64)
    if x.shape != (n,) or not np.isfinite(x).all() or not (np.diff(x) > 0).all():
        raise InvalidInput(f"positions must be {n} strictly increasing numbers")
    gaps = np.repeat(np.diff(x), _PER_SETTING)
    gaps = np.concatenate((gaps[:1].repeat(_GUARDS), gaps, gaps[-1:].repeat(_GUARDS)))
    return np.asarray(gaps / gaps.mean())


def _golden_section(
    function: Callable[[float], float], low: float, high: float, width: float
) -> float:
    """A local minimum of ``function`` between ``low`` and ``high``, to within ``width``."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > width:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
