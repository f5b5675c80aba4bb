"""Many bounds at once: models of the objective and of the metrics that are swept.

For one bound b, the acquisition value of a candidate is the expected improvement times the
probability that the bound holds. Here it is the mean of that over many bounds, so that one
measurement is chosen for all of them. If objective and bounded metrics are independent, the
integral over all bounds is the expected hypervolume improvement: at each bound b >= g, a result
(f, g) gains the amount by which f is below the best known there.

Source of that criterion: M. T. M. Emmerich, K. C. Giannakoglou, B. Naujoks,
"Single- and multiobjective evolutionary optimization assisted by Gaussian random field
metamodels", IEEE Transactions on Evolutionary Computation 10 (2006), doi 10.1109/TEVC.2005.859463.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from dsice.goal import Goal, Metrics
from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.posterior import Slots
from dsice.grid import Point
from dsice.search.acquisition import log_expected_improvement, log_probability_below
from dsice.search.bounds import range_of, spread
from dsice.search.factors import Prediction, estimates_of
from dsice.search.lesson import Lesson
from dsice.search.plain import Plain
from dsice.search.quantity import Quantity
from dsice.search.sources import NO_SOURCES, Sources
from dsice.search.targets import from_range, of_costs, of_range
from dsice.search.why import BoundForecast
from dsice.swept import Swept

# The best at a bound that no point keeps: worse than the whole front by this share of its range.
BEHIND: Final = 0.1
Moments = tuple[Array, Array]  # mean and standard deviation
_QUANTILES: Final = ndtri((np.arange(64) + 0.5) / 64)


class Tradeoff:
    """The objective and the swept metrics; the factor is the mean improvement over many bounds.

    Args:
        goal: with swept metrics.
        levelling: as in `dsice.search.factors.Objective`.

    Attributes:
        unit: the cost that one unit of the targets stands for, on average from the best point to
            the median of the others.
    """

    def __init__(self, goal: Goal, levelling: float = 0.0) -> None:
        self._goal = goal
        self._objective = Plain("cost", goal.cost)
        self._objective.levelling = levelling
        self._swept = [Plain(f"swept {each.metric}", _reader(each)) for each in goal.swept]
        self._quantities: list[Quantity] = [self._objective, *self._swept]
        self._eligible: list[bool] = []
        self._ranges: list[tuple[float, float]] = []  # range of the bounds of each swept metric
        self._limits: Array = np.zeros((0, len(goal.swept)))
        self._thresholds = self._limits  # their targets
        self._bests: Array = np.zeros(0)  # lowest mean of the objective at each of them
        self._behind = 0.0  # the same where no point keeps the bounds
        self.unit = 0.0

    def append(self) -> None:
        """Append a pending point."""
        self._eligible.append(False)
        for quantity in self._quantities:
            quantity.append()

    def learn(self, row: int, metrics: Metrics | None) -> None:
        """Record the result, None if it failed, at the point appended as number ``row``."""
        self._eligible[row] = metrics is not None and self._goal.feasible(metrics)
        for quantity in self._quantities:
            quantity.learn(row, metrics)

    def fit(
        self,
        covariance: Anova,
        points: Points,
        weights: Array,
        sample: Slots,
        slots: int,
        lags: Array | None = None,
        sources: Sources = NO_SOURCES,
    ) -> None:
        """As `Quantity.fit`, for all of them."""
        self._settle()
        for quantity in self._quantities:
            quantity.fit(covariance, points, weights, sample, slots, lags, sources)

    def taught(self, sources: Sources) -> list[Lesson]:
        """The lessons of the sources about the objective."""
        return self._objective.taught(sources)

    def add(self, point: Point, slot: int | None) -> None:
        """Condition on one more point after `fit`, optionally the candidate in ``slot``."""
        self._eligible.append(False)
        for quantity in self._quantities:
            quantity.add(point, slot)

    def fill(self, slots: Slots, candidates: Points) -> None:
        """Put candidates into slots."""
        for quantity in self._quantities:
            quantity.fill(slots, candidates)

    def update(self) -> None:
        """Condition on all results."""
        self._settle()
        for quantity in self._quantities:
            quantity.update()
        self._means = self._objective.means_measured()
        best = float(self._means[self._eligible].min())
        means = self._best_means(self._limits)
        worst = float(means[np.isfinite(means)].max(initial=best))
        self._behind = worst + BEHIND * max(worst - best, 1.0)
        self._thresholds = self._targets_of(self._limits)
        self._bests = np.minimum(means, self._behind)
        self.unit = self._slope()

    # -- bounds ------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Choose the bounds from the results, and with them the targets of the quantities."""
        eligible = np.array(self._eligible)
        costs = self._objective.values[eligible]
        values = np.stack([quantity.values[eligible] for quantity in self._swept], axis=1)
        self._ranges = [
            range_of(each, costs, values[:, k]) for k, each in enumerate(self._goal.swept)
        ]
        for quantity, (low, high) in zip(self._swept, self._ranges, strict=True):
            known = quantity.values[~np.isnan(quantity.values)]
            quantity.transform = _to_range(low, high, known)
        self._limits = spread(self._ranges)
        kept = (values[None] <= self._limits[:, None]).all(axis=2)
        bests = np.where(kept, costs, np.inf).min(axis=1)
        keep = float(bests[np.isfinite(bests)].max(initial=-np.inf))
        self._objective.transform = lambda found: of_costs(found, keep)

    def _targets_of(self, limits: Array) -> Array:
        columns = zip(self._swept, limits.T, strict=True)
        return np.stack([quantity.transform(column) for quantity, column in columns], axis=1)

    def _kept(self, limits: Array) -> Array:
        """Whether each point keeps each limit, shape (limits, points)."""
        values = np.stack([quantity.values for quantity in self._swept], axis=1)
        below = (values[None] <= limits[:, None]).all(axis=2)
        return np.asarray(below & np.array(self._eligible))

    def _best_means(self, limits: Array) -> Array:
        return np.asarray(np.where(self._kept(limits), self._means, np.inf).min(axis=1))

    def _slope(self) -> float:
        eligible = np.array(self._eligible)
        costs, means = self._objective.values[eligible], self._means[eligible]
        best = int(costs.argmin())
        worse = (costs > costs[best]) & (means > means[best])
        if not worse.any():
            return 0.0
        rise = float(np.median(means[worse]) - means[best])
        return (float(np.median(costs[worse])) - float(costs[best])) / rise

    # -- acquisition -------------------------------------------------------------------------------

    def log_factor(self, slots: Slots | slice) -> Array:
        """Logarithm of the mean gain at the candidates in ``slots``."""
        moments = [quantity.at_slots(slots) for quantity in self._quantities]
        return self._mean_gain(self._levelled(moments, self._objective.candidates(slots)))

    def rough_log_factor(self, points: Points) -> Array:
        """A cheap estimate of it at any points."""
        moments = [quantity.roughly(points) for quantity in self._quantities]
        return self._mean_gain(self._levelled(moments, points))

    def _levelled(self, moments: Sequence[Moments], points: Points) -> list[Moments]:
        mean, std = moments[0]
        return [(mean, self._objective.levelled(std, points)), *moments[1:]]

    def _mean_gain(self, moments: Sequence[Moments]) -> Array:
        parts = self._parts(moments)
        return np.asarray(logsumexp(parts, axis=0)) - math.log(len(parts))  # (15)

    def _parts(self, moments: Sequence[Moments]) -> Array:
        """Logarithm of the gain at each bound, shape (limits, candidates)."""
        return _log_gains(self._bests, self._thresholds, moments)

    def predict(self, points: Points, slots: Slots | None = None) -> Prediction:
        """Predict the outcomes at any points, relative to the best at the bound that gains most."""
        moments = [
            quantity.at_points(points) if slots is None else quantity.at_slots(slots)
            for quantity in self._quantities
        ]
        parts = self._parts(self._levelled(moments, points))
        chosen = parts.argmax(axis=0)
        mean, std = moments[0]
        low, middle, high = (self._objective.costs(mean + k * std) for k in (-1, 0, 1))
        if self._goal.maximize is not None:
            low, middle, high = -high, -middle, -low
        bounds: list[list[BoundForecast]] = [[] for _ in points]
        for k, (each, quantity) in enumerate(zip(self._goal.swept, self._swept, strict=True)):
            mean_k, std_k = moments[k + 1]
            known = quantity.values[~np.isnan(quantity.values)]
            ends = [
                each.sign * from_range(mean_k + at * std_k, *self._ranges[k], known)
                for at in (-1, 0, 1)
            ]
            estimates = estimates_of(ends[1], np.minimum(*ends[::2]), np.maximum(*ends[::2]))
            thresholds = self._thresholds[chosen, k]
            probabilities = ndtr((thresholds - mean_k) / std_k)
            for found, limit, estimate, probability in zip(
                bounds, self._limits[chosen, k], estimates, probabilities, strict=True
            ):
                text = f"{each.metric} {each.relation} {each.sign * limit:.6g}"
                found.append(BoundForecast(text, estimate, float(probability)))
        return Prediction(
            self._goal.metric,
            estimates_of(middle, low, high),
            np.asarray(ndtr((self._bests[chosen] - mean) / std)),
            [tuple(found) for found in bounds],
            np.asarray(logsumexp(parts, axis=0)) - math.log(len(parts)),
        )

    def best_for(self, point: Point) -> int | None:
        """The row of the best measured point at the bound where ``point`` gains most."""
        at = np.array([point], dtype=np.intp)
        moments = [quantity.at_points(at) for quantity in self._quantities]
        parts = self._parts(self._levelled(moments, at))
        return self._best_row(self._limits[parts[:, 0].argmax()])

    def _best_row(self, limits: Array) -> int | None:
        kept = self._kept(limits[None])[0]
        if not kept.any():
            return None
        return int(np.where(kept, self._objective.values, np.inf).argmin())

    def prospects(
        self, limits: Sequence[Sequence[float]], slots: Slots, others: Array
    ) -> list[tuple[int | None, int | None, float, float]]:
        """For each of ``limits``: row of the best point, slot of the best candidate, gain, chance.

        Args:
            limits: limits of the swept metrics, in their own units.
            slots: the candidates.
            others: logarithm of the probability that a candidate keeps all other bounds.
        """
        signs = [each.sign for each in self._goal.swept]
        wanted = np.array(limits, dtype=float) * signs
        moments = [quantity.at_slots(slots) for quantity in self._quantities]
        bests = np.minimum(self._best_means(wanted), self._behind)
        thresholds = self._targets_of(wanted)
        found: list[tuple[int | None, int | None, float, float]] = []
        for k, row in enumerate(map(self._best_row, wanted)):
            if not len(slots):
                found.append((row, None, 0.0, 0.0))
                continue
            logs = _log_gains(bests[k : k + 1], thresholds[k : k + 1], moments)[0] + others
            chances = np.exp(_log_chances(thresholds[k : k + 1], moments[1:])[0] + others)
            lead = np.argsort(-logs)[:8]  # chosen by targets; the gain is in costs
            mean, std = moments[0][0][lead], moments[0][1][lead]
            costs = self._objective.costs(mean[:, None] + std[:, None] * _QUANTILES)
            known = float(self._objective.costs(bests[k : k + 1])[0])
            gains = np.maximum(known - costs, 0.0).mean(axis=1) * chances[lead]
            top = int(gains.argmax())
            found.append((row, int(slots[lead[top]]), float(gains[top]), float(chances[lead[top]])))
        return found


def _reader(swept: Swept) -> Callable[[Metrics], float]:
    return lambda metrics: swept.sign * metrics[swept.metric]


def _to_range(low: float, high: float, known: Array) -> Callable[[Array], Array]:
    return lambda values: of_range(values, low, high, known)


def _log_gains(bests: Array, thresholds: Array, moments: Sequence[Moments]) -> Array:
    mean, std = moments[0]
    logs = log_expected_improvement(bests[:, None], mean[None], std[None])
    return np.asarray(logs + _log_chances(thresholds, moments[1:]))


def _log_chances(thresholds: Array, moments: Sequence[Moments]) -> Array:
    logs = np.zeros((len(thresholds), len(moments[0][0])))
    for column, (mean, std) in zip(thresholds.T, moments, strict=True):
        logs += log_probability_below(column[:, None], mean[None], std[None])
    return logs
