"""The surfaces of what the goal reads: objective, bounds, success. Each rates candidates.

All surfaces stand on the same points in the same order. A rating is the logarithm of a factor: the
expected improvement of the objective, the probability that a bound holds, that of success.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dsice.goal import Bound, Goal, Metrics
from dsice.grid import Point
from dsice.search.improvement import log_expected_improvement, log_probability_below
from dsice.search.targets import of_bound, of_costs, to_costs, to_values
from dsice.search.why import BoundForecast, Estimate
from dsice.surface.anova import Anova, Points
from dsice.surface.evidence import SCALE_COUNT, learn
from dsice.surface.field import Field, Slots

Array = NDArray[np.float64]

# Added to the variance of every measurement: two equal rows must not make the matrix singular.
_JITTER: Final = 1e-6


class Surface(ABC):
    """One quantity, its values at the points, and its surface once it is fitted."""

    def __init__(self) -> None:
        self._values: list[float] = []  # NaN where nothing is known, or the measurement failed
        self._failed: set[int] = set()
        self._guessed: dict[int, float] = {}  # targets of failed points
        self._centre = 0.0
        self._scale = 1.0
        self._known: Array = np.zeros(0)  # the values that were measured, at the last update,
        self._known_targets: Array = np.zeros(0)  # and their targets

    @abstractmethod
    def _read(self, metrics: Metrics | None) -> float:
        """The value in a result, None being a failure; NaN if it has none."""

    @abstractmethod
    def _transformed(self, values: Array) -> Array:
        """What the surface is fitted to, for all values that are known."""

    def _targets(self) -> Array:
        """What the surface is fitted to at all points, NaN where nothing is known."""
        targets = np.array(self._values)
        known = ~np.isnan(targets)
        targets[known] = self._transformed(targets[known])
        return targets

    def append(self) -> None:
        """Take note of one more point, under way so far."""
        self._values.append(math.nan)

    def learn(self, row: int, metrics: Metrics | None) -> None:
        """Take note of the result, None if it failed, at the point appended as number ``row``."""
        value = self._read(metrics)
        self._values[row] = value
        if math.isnan(value):
            self._failed.add(row)

    def fit(
        self, covariance: Anova, points: Points, weights: Array, sample: Slots, slots: int
    ) -> None:
        """Learn the surface from the points numbered ``sample`` and condition it on all of them.

        Args:
            covariance: says which axes there are.
            points: all points appended so far.
            weights: number of measurements behind each.
            sample: of some measured points.
            slots: how many candidates there is room for.
        """
        targets = self._targets()
        sample = sample[~np.isnan(targets[sample])]
        chosen = targets[sample]
        found = learn(covariance, points[sample], chosen - chosen.mean(), weights[sample])
        self._field = Field(found.covariance, found.noise + _JITTER, points, weights, slots)
        if self._failed:
            # Guessed once: it would take long to do it for all of them at each update.
            centre = float(np.nanmean(targets))
            completed = self._field.completed(targets - centre) + centre
            self._guessed = {row: float(completed[row]) for row in self._failed}

    def add(self, point: Point) -> None:
        """`append` after `fit`: the surface takes up the point."""
        self.append()
        self._field.add(point)

    def fill(self, slots: Slots, candidates: Points) -> None:
        """Put candidates into slots."""
        self._field.fill(slots, candidates)

    def update(self) -> None:
        """Take notice of all results: `rate` stands on those known at the last update."""
        targets = self._targets()
        known = ~np.isnan(targets)
        self._known, self._known_targets = np.array(self._values)[known], targets[known]
        self._centre = float(self._known_targets.mean())
        for row, guess in self._guessed.items():
            if not known[row]:
                targets[row] = guess
        white = self._field.whiten(targets - self._centre)
        count = int(known.sum()) + SCALE_COUNT
        self._scale = math.sqrt((float(white @ white) + SCALE_COUNT) / count)
        self._white = white

    def at_slots(self, slots: Slots | slice) -> tuple[Array, Array]:
        """Mean and deviation of the targets of the candidates in ``slots``."""
        mean = self._field.mean(self._white, slots) + self._centre
        return mean, self._scale * np.sqrt(self._field.variance(slots))

    def at_points(self, points: Points) -> tuple[Array, Array]:
        """Mean and deviation of the targets at any points."""
        mean, variance = self._field.look(self._white, points)
        return mean + self._centre, self._scale * np.sqrt(variance)

    def means_measured(self) -> Array:
        """Mean of the targets at the points appended, in their order."""
        return self._field.mean_at_points(self._white) + self._centre


class Output(Surface):
    """A surface by which candidates are rated."""

    @abstractmethod
    def _rate(self, mean: Array, deviation: Array) -> Array:
        """The rating of candidates from the mean and deviation of their targets."""

    def rate(self, slots: Slots | slice) -> Array:
        """The rating of the candidates in ``slots``; more is better."""
        return self._rate(*self.at_slots(slots))

    def expect(self, points: Points) -> tuple[Array, Array, Array]:
        """Mean and deviation of the targets at any points, and the rating that they give."""
        mean, deviation = self.at_points(points)
        return mean, deviation, self._rate(mean, deviation)


@dataclass(frozen=True, slots=True)
class Look:
    """What is expected of the objective at some points, one entry each.

    Attributes:
        quantity: the objective's name, or ``violation``.
        estimates: of it, in its own units.
        chances: probabilities to be better than the best point measured that it is compared with.
        bounds: what is expected of bounds that belong to this comparison.
        ratings: as `Output.rate`.
    """

    quantity: str
    estimates: list[Estimate]
    chances: Array
    bounds: list[tuple[BoundForecast, ...]]
    ratings: Array


class Objective(Output):
    """What is to be small, rated by the expected improvement on the best feasible point.

    What is improved on is the lowest posterior mean at a feasible measured point, not the lowest
    measurement, which may be luck: the "plug-in" of V. Picheny, T. Wagner, D. Ginsbourger, "A
    benchmark of kriging-based infill criteria for noisy optimization", Structural and
    Multidisciplinary Optimization 48 (2013).

    Args:
        goal: says what the cost is and which points are feasible.
        by_violation: nothing is feasible yet, and the violation is what is to be small.

    Attributes:
        unit: how much cost one unit of the targets is near the best point; 0 if it is not the cost
            that is to be small.
    """

    def __init__(self, goal: Goal, by_violation: bool) -> None:
        super().__init__()
        self._goal = goal
        self._by_violation = by_violation
        self._eligible: list[bool] = []
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
        self._eligible[row] = metrics is not None and (
            self._by_violation or self._goal.feasible(metrics)
        )

    def _transformed(self, values: Array) -> Array:
        return of_costs(values)

    def _targets(self) -> Array:
        targets = super()._targets()
        values, known = np.array(self._values), ~np.isnan(targets)
        best = int(np.flatnonzero(self._eligible)[targets[self._eligible].argmin()])
        self._best_target = float(targets[best])
        worse = targets[known] > targets[best]
        if not self._by_violation and worse.any():
            # The mean slope between the best point and the median one of those that are worse.
            rise = float(np.median(targets[known][worse]) - targets[best])
            self.unit = (float(np.median(values[known][worse])) - float(values[best])) / rise
        return targets

    def update(self) -> None:  # noqa: D102
        super().update()
        self._best = float(self.means_measured()[self._eligible].min())

    def _rate(self, mean: Array, deviation: Array) -> Array:
        return log_expected_improvement(self._best, mean, deviation)

    @property
    def quantity(self) -> str:
        """What is estimated: the objective's name or ``violation``."""
        return "violation" if self._by_violation else self._goal.metric

    def estimates(self, mean: Array, deviation: Array) -> list[Estimate]:
        """The quantity's estimates, in its own units, from mean and deviation of the targets."""
        at = np.stack([mean - deviation, mean, mean + deviation])
        low, middle, high = to_costs(at, self._known_targets, self._known)
        if self._by_violation:
            low, middle, high = (np.maximum(cost, 0.0) for cost in (low, middle, high))
        elif self._goal.maximize is not None:
            low, middle, high = -high, -middle, -low
        return estimates_of(middle, low, high)

    def chances(self, mean: Array, deviation: Array) -> Array:
        """Probabilities to be better than the best eligible point that was measured."""
        return np.asarray(ndtr((self._best_target - mean) / deviation))

    def look(self, points: Points) -> Look:
        """What is expected at any points."""
        mean, deviation, ratings = self.expect(points)
        return Look(
            self.quantity,
            self.estimates(mean, deviation),
            self.chances(mean, deviation),
            [()] * len(points),
            ratings,
        )


class Limited(Output):
    """A bounded metric, rated by the probability that the bound holds."""

    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self.bound: Final = bound
        self._metric = bound.metric
        self._sign = 1.0 if bound.relation.startswith("<") else -1.0
        self._limit = self._sign * (bound.limit or 0.0)

    def _read(self, metrics: Metrics | None) -> float:
        return math.nan if metrics is None else self._sign * metrics[self._metric]

    def _transformed(self, values: Array) -> Array:
        return of_bound(values, self._limit)

    def _rate(self, mean: Array, deviation: Array) -> Array:
        return log_probability_below(0.0, mean, deviation)

    def estimates(self, mean: Array, deviation: Array) -> list[Estimate]:
        """The metric's estimates, in its own units, from mean and deviation of the targets."""
        at = np.stack([mean - deviation, mean, mean + deviation])
        low, middle, high = self._sign * to_values(at, self._known, self._limit)
        return estimates_of(middle, np.minimum(low, high), np.maximum(low, high))


class Success(Output):
    """Whether measurements succeed (1) or fail (0), rated by the probability of more than half."""

    def _read(self, metrics: Metrics | None) -> float:
        return 0.0 if metrics is None else 1.0

    def _transformed(self, values: Array) -> Array:
        return values

    def _rate(self, mean: Array, deviation: Array) -> Array:
        return log_probability_below(-0.5, -mean, deviation)


def estimates_of(middle: Array, low: Array, high: Array) -> list[Estimate]:
    """Estimates from their columns."""
    columns = (column.tolist() for column in (middle, low, high))
    return [Estimate(*each) for each in zip(*columns, strict=True)]
