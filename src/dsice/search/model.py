"""The model of a search: Gaussian processes on the same points for all metrics of the goal.

It computes the acquisition values of candidates and the forecasts behind them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

import numpy as np

from dsice.goal import Goal, Metrics
from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.posterior import Slots
from dsice.grid import Grid, Point
from dsice.search.duration import LEAST, Duration
from dsice.search.factors import Constraint, Feasibility, Objective
from dsice.search.guidance import NO_GUIDANCE, Guidance
from dsice.search.ledger import Ledger
from dsice.search.quantity import Factor
from dsice.search.ranking import ranked
from dsice.search.tradeoff import Tradeoff
from dsice.search.why import BoundForecast, Forecast

ACTIVE: Final = 600  # maximum number of evaluated points to condition on
FITTED: Final = 300  # maximum number of evaluated points to learn hyperparameters from


class Model:
    """Objective, constraints and feasibility, fitted once and then conditioned event by event.

    Args:
        grid: the points.
        goal: with settled bounds.
        ledger: the evaluated and pending points, with at least one success; call `submit` and
            `record` when it grows.
        random: selects among very many points.
        slots: capacity for candidates.
        lags: lags of the points whose results are predicted from reports, by metric.
        guidance: what guides the search besides its results.

    Attributes:
        ledger: as given.
        evaluated: the points with results that the fit was conditioned on, in their order: all of
            them, or a selection of very many.
        unit: how much of the objective one unit of its targets stands for near the best point; 0 if
            that is unknown or the objective is not modelled.
    """

    def __init__(
        self,
        grid: Grid,
        goal: Goal,
        ledger: Ledger,
        random: Random,
        slots: int,
        lags: Mapping[str, Mapping[Point, float]] | None = None,
        guidance: Guidance = NO_GUIDANCE,
    ) -> None:
        self.ledger: Final = ledger
        self._beliefs = guidance.beliefs
        self._believed: Array = np.zeros(slots)  # log densities of the candidates
        self._fade = 0.0
        self._goal = goal
        history = ledger.history
        self.evaluated: Final = _active(ledger, goal, random)
        pending = [point for point in ledger.pending if point not in history]
        self._row = {point: row for row, point in enumerate([*self.evaluated, *pending])}
        results = [history.metrics(point) for point in self.evaluated]
        self._objective, self._constraints, self._feasibility = factors_of(goal, results, guidance)
        self._factors: list[Factor | Tradeoff] = [
            self._objective,
            *self._constraints,
            *self._feasibility,
        ]
        seconds = [history.seconds(point) for point in self.evaluated]
        known = len(seconds) - seconds.count(None)
        self._duration = Duration() if guidance.durations and known >= LEAST else None
        points = np.array(list(self._row), dtype=np.intp)
        weights = np.array([history.weight(p) for p in self.evaluated] + [1] * len(pending), float)
        sample = np.array(_sample(self.evaluated, ledger, goal, random))
        covariance = Anova.of(grid)
        for factor in self._factors:
            for row, metrics in enumerate(results):
                factor.append()
                factor.learn(row, metrics)
            for _ in pending:
                factor.append()
            if isinstance(factor, Objective):
                factor.pause(k for k, p in enumerate(self.evaluated) if p in ledger.ended)
            found = self._lags(factor, lags or {})
            factor.fit(covariance, points, weights, sample, slots, found, guidance.sources)
        if (duration := self._duration) is not None:
            for row, took in enumerate(seconds):
                duration.append()
                duration.took(row, took)
            for _ in pending:
                duration.append()
            duration.fit(covariance, points, weights, sample, slots)

    def _lags(
        self, factor: Factor | Tradeoff, lags: Mapping[str, Mapping[Point, float]]
    ) -> Array | None:
        """The lags of ``factor`` at all points, from its metric with the largest lag."""
        if not lags or isinstance(factor, Feasibility):
            return None
        names = [factor.bound.metric] if isinstance(factor, Constraint) else self._goal.metrics
        if isinstance(factor, Objective) and factor.quantity != "violation":
            names = [self._goal.metric]
        each = [[lags[name].get(point, 0.0) for point in self._row] for name in names]
        return np.asarray(np.array(each).max(axis=0))

    @property
    def _all(self) -> list[Factor | Tradeoff]:
        """The factors and, if it is modelled, the duration."""
        return [*self._factors, *([self._duration] if self._duration is not None else [])]

    @property
    def unit(self) -> float:  # noqa: D102  (an attribute)
        return self._objective.unit

    def submit(self, point: Point, slot: int | None) -> bool:
        """Condition on a pending point, optionally that in ``slot``; False if already done."""
        if point in self._row:
            return False
        self._row[point] = len(self._row)
        for factor in self._all:
            factor.add(point, slot)
        return True

    def record(self, point: Point) -> None:
        """Record the result at a submitted point."""
        metrics = self.ledger.history.metrics(point)
        for factor in self._factors:
            factor.learn(self._row[point], metrics)
        if self._duration is not None:
            self._duration.took(self._row[point], self.ledger.history.seconds(point))

    def update(self) -> None:
        """Condition on all results recorded so far."""
        for factor in self._all:
            factor.update()
        self._fade = self._beliefs.weight(len(self.ledger.history)) if self._beliefs else 0.0

    # -- candidates --------------------------------------------------------------------------------

    def fill(self, slots: Slots, candidates: Points) -> None:
        """Put candidates into slots."""
        for factor in self._all:
            factor.fill(slots, candidates)
        if self._beliefs:
            self._believed[slots] = self._beliefs.log_density(candidates)

    def log_acquisition(self, slots: Slots) -> Array:
        """Logarithm of the acquisition function at the candidates in ``slots``."""
        return np.asarray(sum(factor.log_factor(slots) for factor in self._factors))  # (13)

    def scores(self, slots: Slots) -> Array:
        """Score the candidates in ``slots``: the log acquisition value, durations and beliefs."""
        logs = self.log_acquisition(slots)
        if self._duration is not None:
            logs = logs + self._duration.log_factor(slots)  # (23)
        if self._beliefs:
            logs = logs + self._fade * self._believed[slots]  # (22)
        return logs

    def roughly(self, candidates: Points) -> Array:
        """Score points without a slot roughly and cheaply, to choose those worth one."""
        logs = np.asarray(sum(factor.rough_log_factor(candidates) for factor in self._all))
        return logs + self._fade * self._beliefs.log_density(candidates) if self._beliefs else logs

    # -- queries -----------------------------------------------------------------------------------

    def forecast(self, points: Sequence[Point], slots: Slots | None = None) -> list[Forecast]:
        """Predict the outcomes at ``points``: any, or the candidates in ``slots``."""
        at = np.array(points, dtype=np.intp)
        prediction = self._objective.predict(at, slots)
        logs = prediction.log_factors
        bounds = []
        for constraint in self._constraints:
            mean, std, log_chances = constraint.expect(at, slots)
            logs = logs + log_chances
            estimates = constraint.estimates(mean, std)
            bounds.append((str(constraint.bound), estimates, np.exp(log_chances)))
        succeeds = None
        for feasibility in self._feasibility:
            _, _, log_chances = feasibility.expect(at, slots)
            logs = logs + log_chances
            succeeds = np.exp(log_chances)
        scores = logs + self._fade * self._beliefs.log_density(at) if self._beliefs else logs
        seconds = None
        if self._duration is not None:
            per_second = self._duration.expect(at, slots)[2]
            scores, seconds = scores + per_second, self._duration.seconds(per_second)
        return [
            Forecast(
                quantity=prediction.quantity,
                estimate=prediction.estimates[k],
                chance=float(prediction.chances[k]),
                bounds=(
                    *prediction.bounds[k],
                    *(BoundForecast(text, found[k], float(p[k])) for text, found, p in bounds),
                ),
                success=None if succeeds is None else float(succeeds[k]),
                gain=math.exp(logs[k]) * self.unit if self.unit else None,
                score=float(scores[k]),
                seconds=None if seconds is None else float(seconds[k]),
            )
            for k in range(len(points))
        ]

    def chances_to_lead(self, points: Sequence[Point]) -> Array:
        """The probability of each of ``points`` to become the best feasible one."""
        if isinstance(self._objective, Tradeoff):
            return np.ones(len(points))
        at = np.array(points, dtype=np.intp)
        found = self._objective.chances_to_lead([self._row.get(p, -1) for p in points], at)
        return found * self._chances_to_hold(at)

    def chances_in_best(self, share: float, points: Sequence[Point]) -> Array:
        """The probability of each of ``points`` to end feasible, in the best ``share`` of all."""
        if isinstance(self._objective, Tradeoff):
            return np.ones(len(points))
        at = np.array(points, dtype=np.intp)
        return self._objective.chances_in_best(share, at) * self._chances_to_hold(at)

    def _chances_to_hold(self, points: Points) -> Array:
        """The probability of each of ``points`` to succeed and to keep the bounds."""
        logs = np.zeros(len(points))
        for factor in (*self._constraints, *self._feasibility):
            logs += factor.expect(points)[2]
        return np.exp(logs)

    def lengths(self, points: Sequence[Point]) -> Array:
        """The expected durations at ``points`` in a common unit; 1 if they are not modelled."""
        if self._duration is None:
            return np.ones(len(points))
        return np.exp(-self._duration.expect(np.array(points, dtype=np.intp))[2])

    def rival(self, point: Point) -> Point | None:
        """The incumbent; for a front, the one at the bound where ``point`` gains most."""
        if not isinstance(self._objective, Tradeoff):
            return self.ledger.incumbent
        return self._at_row(self._objective.best_for(point))

    def prospects(
        self, limits: Sequence[Sequence[float]], slots: Slots
    ) -> list[tuple[Point | None, int | None, float, float]]:
        """For each of ``limits``: the best point, the slot of the best candidate, gain, chance."""
        if not isinstance(self._objective, Tradeoff):  # no point is feasible
            return [(None, None, 0.0, 0.0) for _ in limits]
        others = np.zeros(len(slots))
        for factor in (*self._constraints, *self._feasibility):
            others += factor.log_factor(slots)
        return [
            (self._at_row(row), slot, gain, chance)
            for row, slot, gain, chance in self._objective.prospects(limits, slots, others)
        ]

    def _at_row(self, row: int | None) -> Point | None:
        return next((point for point, at in self._row.items() if at == row), None)


def factors_of(
    goal: Goal, results: Sequence[Metrics | None], guidance: Guidance
) -> tuple[Objective | Tradeoff, list[Constraint], list[Feasibility]]:
    """Create the factors of the acquisition function for the results so far, with some successes.

    Bounds are included once a point is feasible, feasibility once a point has failed. A bound on a
    swept metric is the loosest of many: `Tradeoff` models all of them.
    """
    feasible = any(metrics is not None and goal.feasible(metrics) for metrics in results)
    feasibility = [Feasibility()] if None in results or guidance.sources.fail else []
    if not feasible:
        return Objective(goal, True, guidance.levelling), [], feasibility
    swept = {(each.metric, each.relation[0]) for each in goal.swept}
    others = [bound for bound in goal.bounds if (bound.metric, bound.relation[0]) not in swept]
    level = guidance.levelling
    objective = Tradeoff(goal, level) if swept else Objective(goal, False, level)
    return objective, [Constraint(bound) for bound in others], feasibility


def _active(ledger: Ledger, goal: Goal, random: Random) -> list[Point]:
    """Select the evaluated points to condition on: the best, the latest and some others."""
    known = list(ledger.history)
    if len(known) <= ACTIVE:
        return known
    chosen = set(ranked(known, ledger.history, goal)[: ACTIVE // 2])
    chosen.update(known[-ACTIVE // 4 :])
    others = [point for point in known if point not in chosen]
    chosen.update(random.sample(others, ACTIVE - len(chosen)))
    return [point for point in known if point in chosen]


def _sample(evaluated: list[Point], ledger: Ledger, goal: Goal, random: Random) -> list[int]:
    """Select the rows to learn hyperparameters from: one half are the best points."""
    if len(evaluated) <= FITTED:
        return list(range(len(evaluated)))
    row_of = {point: row for row, point in enumerate(evaluated)}
    rows = [row_of[point] for point in ranked(evaluated, ledger.history, goal)]
    half = FITTED // 2
    return sorted(rows[:half] + random.sample(rows[half:], FITTED - half))
