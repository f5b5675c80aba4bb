"""Targets of the Gaussian processes: transforms that make measured values well-behaved.

Costs of programs have heavy tails, cliffs and ties, and the worst of them would dominate a
least-squares fit. `of_costs` keeps the order everywhere and the distances only among the better
half; `of_bound` keeps the side of the limit that a value is on and how close it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

Array = NDArray[np.float64]

# The share of the normal scores; the search was worse with 0 or 1 (benchmarks.compare).
RANKS: Final = 0.5


def of_costs(costs: Array, keep: float = -np.inf) -> Array:
    """Average normal scores and values clipped at the median; mean 0, variance 1.

    Values are clipped at ``keep`` instead if it is above the median.

    The normal score of the r-th smallest of N is the normal quantile of (r - 1/2) / N; equal costs
    share their mean rank. If all costs are equal, the result is 0.
    """
    scores = ndtri((rankdata(costs) - 0.5) / len(costs))
    # Halved so that the difference of two costs of opposite sign cannot overflow.
    clipped = np.minimum(costs, max(np.median(costs), keep)) / 2
    values = _standardised(clipped - clipped.min())
    return _standardised(RANKS * _standardised(scores) + (1 - RANKS) * values)  # (11)


def of_bound(values: Array, limit: float) -> Array:
    """Signed logarithms of the distances from ``limit``, negative below it; variance about 1.

    The unit is the median distance.
    """
    apart = np.clip(values / 2 - limit / 2, -1e300, 1e300)
    return np.asarray(np.sign(apart) * np.log1p(np.abs(apart / _unit(apart))))  # (12)


def to_costs(at: Array, targets: Array, costs: Array) -> Array:
    """Convert the targets ``at`` to costs, given that `of_costs` mapped ``costs`` to ``targets``.

    Interpolates linearly between measured costs and extrapolates with the mean slope of the better
    or the worse half.
    """
    order = np.argsort(costs)
    t, c = targets[order], costs[order] / 2  # halved: differences must not overflow
    middle = len(t) // 2
    found = np.interp(at, t, c)
    below, above = at < t[0], at > t[-1]
    found[below] += (at[below] - t[0]) * _slope(t[0], t[middle], c[0], c[middle])
    found[above] += (at[above] - t[-1]) * _slope(t[middle], t[-1], c[middle], c[-1])
    return np.asarray(np.clip(found, -5e299, 5e299) * 2)


def _slope(t0: float, t1: float, c0: float, c1: float) -> float:
    return float((c1 - c0) / (t1 - t0)) if t1 > t0 else 0.0


def to_values(at: Array, values: Array, limit: float) -> Array:
    """Convert the targets ``at`` to values, given that `of_bound` was applied to ``values``."""
    unit = _unit(values / 2 - limit / 2)
    apart = np.sign(at) * np.expm1(np.minimum(np.abs(at), 600.0)) * min(unit, 1e30)
    return np.asarray(limit + 2 * apart)


def of_range(values: Array, low: float, high: float, measured: Array) -> Array:
    """As `of_bound` for all limits from ``low`` to ``high``: distances within the range are kept.

    Beyond the range they become logarithms, as in `of_bound`. The unit is the median distance of
    the ``measured`` values from the middle of the range.
    """
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    apart = np.clip(values / 2 - middle / 2, -1e300, 1e300)
    unit = _unit(np.clip(measured / 2 - middle / 2, -1e300, 1e300))
    inside = np.clip(apart, -half / 2, half / 2)
    beyond = apart - inside
    return np.asarray(inside / unit + np.sign(beyond) * np.log1p(np.abs(beyond / unit)))


def from_range(at: Array, low: float, high: float, measured: Array) -> Array:
    """Convert the targets ``at`` of `of_range` to values."""
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    unit = _unit(np.clip(measured / 2 - middle / 2, -1e300, 1e300))
    inside = np.clip(at, -half / 2 / unit, half / 2 / unit)
    beyond = at - inside
    far = np.sign(beyond) * np.expm1(np.minimum(np.abs(beyond), 600.0)) * min(unit, 1e30)
    return np.asarray(middle + 2 * (inside * unit + far))


def _unit(apart: Array) -> float:
    sizes = np.abs(apart)
    return float(np.median(sizes)) or float(sizes.max()) or 1.0


def _standardised(values: Array) -> Array:
    largest = float(np.abs(values).max())
    if largest == 0:
        return np.zeros_like(values)
    values = values / largest  # the square of a large number would overflow
    centred = values - values.mean()
    std = float(centred.std())
    return centred / std if std > 1e-12 else np.zeros_like(values)
