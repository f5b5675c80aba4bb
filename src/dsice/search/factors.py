"""The factors of the acquisition function: objective, constraints, feasibility.

A factor is the expected improvement of the objective, the probability that a bound holds, or the
probability of success. All of them are handled as logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from dsice.goal import Bound, Goal, Metrics
from dsice.gp.anova import Points
from dsice.gp.axis import Array
from dsice.gp.posterior import Slots
from dsice.search.acquisition import log_expected_improvement, log_probability_below
from dsice.search.quantity import Factor
from dsice.search.targets import of_bound, of_costs, to_costs, to_values
from dsice.search.why import BoundForecast, Estimate

FEW: Final = 4  # workers up to which expected improvement uses fully levelled standard deviations


def levelling(workers: int) -> float:
    """How far `Objective` levels standard deviations for so many workers: 1 for a few."""
    return min(1.0, FEW / workers)  # (24)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions of the objective at some points, one entry each.

    Attributes:
        quantity: the objective's name, or ``violation``.
        estimates: the quantity, in its own units.
        chances: probabilities of being better than the measured point it is compared with.
        bounds: predictions of the bounds that belong to this comparison.
        log_factors: as `Factor.log_factor`.
    """

    quantity: str
    estimates: list[Estimate]
    chances: Array
    bounds: list[tuple[BoundForecast, ...]]
    log_factors: Array


class Objective(Factor):
    """The quantity to minimise; its factor is the expected improvement on the best feasible point.

    The reference is the lowest posterior mean at a feasible point that was measured, or is foreseen
    unless its trial is paused, not the lowest measurement, which may be luck: the "plug-in" of
    V. Picheny, T. Wagner, D. Ginsbourger, "A benchmark of kriging-based infill criteria for noisy
    optimization", Structural and Multidisciplinary Optimization 48 (2013).

    Args:
        goal: defines the cost and which points are feasible.
        by_violation: no point is feasible yet, so the violation is minimised.
        levelling: how far expected improvement uses levelled standard deviations, from 0 to 1; see
            `dsice.search.quantity.Quantity.levelled`.

    Attributes:
        unit: the cost that one unit of the targets stands for near the best point; 0 if the
            violation is minimised.
    """

    def __init__(self, goal: Goal, by_violation: bool, levelling: float = 0.0) -> None:
        super().__init__()
        self._goal = goal
        self._by_violation = by_violation
        self.levelling = levelling
        self._eligible: list[bool] = []
        self._paused: set[int] = set()
        self._best = 0.0
        self._best_target = 0.0  # the lowest of the eligible points
        self.unit = 0.0

    def _read(self, metrics: Metrics | None) -> float:
        if metrics is None:
            return math.nan
        return self._goal.violation(metrics) if self._by_violation else self._goal.cost(metrics)

    def append(self) -> None:  # noqa: D102  (as the base)
        super().append()
        self._eligible.append(False)

    def learn(self, row: int, metrics: Metrics | None) -> None:  # noqa: D102
        super().learn(row, metrics)
        self._paused.discard(row)
        self._eligible[row] = metrics is not None and (
            self._by_violation or self._goal.feasible(metrics)
        )

    def pause(self, rows: Iterable[int]) -> None:
        """The trials at these rows are paused: nothing need be better than they may become."""
        self._paused.update(rows)

    @property
    def _rivals(self) -> list[int]:
        """The rows of the eligible points that are not paused; all of them if all are."""
        eligible = [row for row, is_eligible in enumerate(self._eligible) if is_eligible]
        return [row for row in eligible if row not in self._paused] or eligible

    def _transformed(self, values: Array) -> Array:
        return of_costs(values)

    def _targets(self) -> Array:
        targets = super()._targets()
        values, known = np.array(self._values), ~np.isnan(targets)
        best = min(self._rivals, key=lambda row: float(targets[row]))
        self._best_target = float(targets[best])
        worse = targets[known] > targets[best]
        if not self._by_violation and worse.any():
            # The mean slope between the best point and the median one of those that are worse.
            rise = float(np.median(targets[known][worse]) - targets[best])
            self.unit = (float(np.median(values[known][worse])) - float(values[best])) / rise
        return targets

    def update(self) -> None:  # noqa: D102
        super().update()
        self._best = float(self.means_measured()[self._rivals].min())

    def _log_factor(self, mean: Array, std: Array) -> Array:
        return log_expected_improvement(self._best, mean, std)

    def chances_to_lead(self, rows: Sequence[int], points: Points) -> Array:
        """Probabilities of ending below the lowest posterior mean of all rivals.

        Args:
            rows: rows of the points; -1 for points that were not appended.
            points: the points.
        """
        mean, std = self.at_points(points)
        means, rivals = np.full(len(self._eligible), np.inf), self._rivals
        means[rivals] = self.means_measured()[rivals]
        leader = int(np.argmin(means))
        lowest = np.full(len(points), means[leader])
        means[leader] = np.inf
        lowest[np.array(rows) == leader] = means.min()
        return np.asarray(ndtr((lowest - mean) / std))

    def chances_in_best(self, share: float, points: Points) -> Array:
        """Probabilities of ending in the best ``share`` of all eligible points."""
        mean, std = self.at_points(points)
        limit = np.quantile(self.means_measured()[self._eligible], share)
        return np.asarray(ndtr((limit - mean) / std))

    @property
    def key(self) -> str:  # noqa: D102
        return "violation" if self._by_violation else "cost"

    @property
    def quantity(self) -> str:
        """The estimated quantity: the objective's name or ``violation``."""
        return "violation" if self._by_violation else self._goal.metric

    def estimates(self, mean: Array, std: Array) -> list[Estimate]:
        """Convert mean and std of the targets to estimates in the quantity's units."""
        at = np.stack([mean - std, mean, mean + std])
        low, middle, high = to_costs(at, self._known_targets, self._known)
        if self._by_violation:
            low, middle, high = (np.maximum(cost, 0.0) for cost in (low, middle, high))
        elif self._goal.maximize is not None:
            low, middle, high = -high, -middle, -low
        return estimates_of(middle, low, high)

    def chances(self, mean: Array, std: Array) -> Array:
        """Probabilities of being better than the best eligible point that was measured."""
        return np.asarray(ndtr((self._best_target - mean) / std))

    def predict(self, points: Points, slots: Slots | None = None) -> Prediction:
        """Predict the objective at any points, optionally the candidates in ``slots``."""
        mean, std, log_factors = self.expect(points, slots)
        return Prediction(
            self.quantity,
            self.estimates(mean, std),
            self.chances(mean, std),
            [()] * len(points),
            log_factors,
        )


class Constraint(Factor):
    """A bounded metric; its factor is the probability that the bound holds."""

    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self.bound: Final = bound
        self._metric = bound.metric
        self._sign = 1.0 if bound.relation.startswith("<") else -1.0
        self._limit = self._sign * (bound.limit or 0.0)

    @property
    def key(self) -> str:  # noqa: D102
        return self.bound.exact

    def _read(self, metrics: Metrics | None) -> float:
        return math.nan if metrics is None else self._sign * metrics[self._metric]

    def _transformed(self, values: Array) -> Array:
        return of_bound(values, self._limit)

    def _taught(self, values: Array) -> Array:
        return of_bound(values, self._limit)

    def _log_factor(self, mean: Array, std: Array) -> Array:
        return log_probability_below(0.0, mean, std)

    def estimates(self, mean: Array, std: Array) -> list[Estimate]:
        """Convert mean and std of the targets to estimates in the metric's units."""
        at = np.stack([mean - std, mean, mean + std])
        low, middle, high = self._sign * to_values(at, self._known, self._limit)
        return estimates_of(middle, np.minimum(low, high), np.maximum(low, high))


class Feasibility(Factor):
    """Whether measurements succeed (1) or fail (0); its factor is the probability of over 1/2."""

    @property
    def key(self) -> str:  # noqa: D102
        return "success"

    def _read(self, metrics: Metrics | None) -> float:
        return 0.0 if metrics is None else 1.0

    def _transformed(self, values: Array) -> Array:
        return values

    def _taught(self, values: Array) -> Array:
        return values

    def _log_factor(self, mean: Array, std: Array) -> Array:
        return log_probability_below(-0.5, -mean, std)


def estimates_of(middle: Array, low: Array, high: Array) -> list[Estimate]:
    """Build estimates from their columns."""
    columns = (column.tolist() for column in (middle, low, high))
    return [Estimate(*each) for each in zip(*columns, strict=True)]
