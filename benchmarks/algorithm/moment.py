"""What the search knew at a moment of a study, and the models that this defines."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

import numpy as np

from dsice.goal import Metrics
from dsice.gp.anova import Anova
from dsice.gp.axis import Array
from dsice.gp.evidence import SCALE_COUNT, learn
from dsice.gp.posterior import Posterior
from dsice.grid import Point
from dsice.search import make_search
from dsice.search.factors import levelling
from dsice.search.guidance import Guidance
from dsice.search.history import History
from dsice.search.ledger import Ledger
from dsice.search.model import Model
from dsice.search.targets import of_bound, of_costs
from dsice.study.facts import KnownResult, Trial
from dsice.study.state import Study
from dsice.study.task import Status

_JITTER = 1e-6  # as in the search


def result(trial: Trial | KnownResult) -> Metrics | None:
    """What a search is told of a finished trial, or of a result from elsewhere."""
    return trial.metrics if trial.status is Status.DONE else None


def replayed(study: Study) -> int:
    """How many trials, from the first, today's search proposes as the journal has them."""
    config, first = study.config, study.sessions[0]
    search = make_search(
        config.search,
        config.grid,
        study.goal,
        seed=config.seed,
        capacity=first.parallel,
        **config.search_options,
    )
    for trial, ended in study.history:
        if ended:
            search.tell(trial.point, result(trial))
        elif isinstance(trial, Trial) and search.ask(1) != [trial.point]:
            return trial.number - 1
    return len(study.trials)


@dataclass(frozen=True)
class Moment:
    """What was known at a moment of a study.

    Attributes:
        study: all of it, later events included.
        ledger: the results at that moment, and the points under way.
    """

    study: Study
    ledger: Ledger

    @classmethod
    def before(cls, study: Study, trial: Trial | None) -> Self:
        """When ``trial`` was about to be proposed; None: after the last event."""
        ledger = Ledger(study.config.grid, study.goal)
        for each, ended in study.history:
            if each is trial:
                break
            if ended:
                ledger.record(each.point, result(each))
            else:
                ledger.submit(each.point)
        return cls(study, ledger)

    @property
    def history(self) -> History:
        """The results."""
        return self.ledger.history

    @property
    def pending(self) -> Collection[Point]:
        """The points under way."""
        return self.ledger.pending

    @property
    def measured(self) -> list[Point]:
        """In the order of results, failed ones included."""
        return list(self.history)

    def metrics(self, point: Point) -> Metrics:
        """What was measured at a point that succeeded."""
        metrics = self.history.metrics(point)
        assert metrics is not None
        return metrics

    def line(self, point: Point, axis: int) -> list[Point]:
        """The points that differ from ``point`` on one axis, and itself, by level."""
        levels = range(self.study.config.grid.shape[axis])
        return [(*point[:axis], level, *point[axis + 1 :]) for level in levels]

    def targets(self, metric: str) -> Array:
        """What the model of a metric is fitted to at the measured points; NaN where they failed.

        Args:
            metric: the objective or a bounded metric.
        """
        goal = self.study.goal
        results = [self.history.metrics(point) for point in self.measured]
        if metric == goal.metric:
            values = np.array([math.nan if m is None else goal.cost(m) for m in results])
            known = ~np.isnan(values)
            values[known] = of_costs(values[known])
            return values
        bound = next(bound for bound in goal.bounds if bound.metric == metric)
        sign = 1.0 if bound.relation.startswith("<") else -1.0
        values = np.array([math.nan if m is None else sign * m[metric] for m in results])
        known = ~np.isnan(values)
        values[known] = of_bound(values[known], sign * (bound.limit or 0.0))
        return values

    def ladder(self) -> list[tuple[float, float]]:
        """Costs of the successful points with their targets, ascending."""
        goal = self.study.goal
        pairs = zip(self.measured, self.targets(goal.metric).tolist(), strict=True)
        return sorted(
            (goal.cost(metrics), target)
            for point, target in pairs
            if (metrics := self.history.metrics(point)) is not None
        )

    def target_of(self, cost: float) -> float:
        """Where a cost stands among the targets: between its neighbours, or beyond the best.

        Beyond the best one it continues with the mean slope between the median and the best.
        """
        costs, targets = np.array(self.ladder()).T
        if cost >= costs[0]:
            return float(np.interp(cost, costs, targets))
        rise = (np.median(costs) - costs[0]) / (np.median(targets) - targets[0])
        return float(targets[0] - (costs[0] - cost) / rise)

    def log_acquisition(self, candidates: Sequence[Point]) -> Array:
        """Logarithm of the acquisition function at ``candidates``."""
        config, slots = self.study.config, np.arange(len(candidates))
        model = Model(
            config.grid,
            self.study.goal,
            self.ledger,
            Random(0),
            len(slots),
            guidance=Guidance(levelling=levelling(config.run.parallel)),
        )
        model.fill(slots, np.array(candidates, dtype=np.intp))
        model.update()
        return model.log_acquisition(slots)

    @property
    def points(self) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
        """Measured points, then those under way, one a row."""
        return np.array([*self.measured, *self.pending], dtype=np.intp)

    @property
    def weights(self) -> Array:
        """Number of measurements behind each of `points`."""
        weights = [float(self.history.weight(point)) for point in self.measured]
        return np.array(weights + [1.0] * len(self.pending))


class MetricModel:
    """The model of one metric at a moment, with the hyperparameters learned at that moment.

    The search learns them only now and then, so that its own may be some results older.
    """

    def __init__(self, moment: Moment, metric: str) -> None:
        grid = moment.study.config.grid
        targets = moment.targets(metric)
        self._known = np.flatnonzero(~np.isnan(targets))
        self._centre = float(targets[self._known].mean())
        waiting = np.full(len(moment.pending), np.nan)
        self._values = np.concatenate([targets, waiting]) - self._centre
        self._points, self._weights = moment.points, moment.weights
        anova = Anova(grid.shape, [axis.ordered for axis in grid.axes])
        rows = self._known
        found = learn(anova, self._points[rows], self._values[rows], self._weights[rows])
        self._anova, self._noise = found.covariance, found.noise + _JITTER

    def along(self, candidates: Sequence[Point]) -> tuple[Array, Array]:
        """Mean and std of the targets at ``candidates``."""
        slots = np.arange(len(candidates))
        field = Posterior(self._anova, self._noise, self._points, self._weights, len(slots))
        field.fill(slots, np.array(candidates, dtype=np.intp))
        white = field.whiten(self._values)
        scale = math.sqrt(self._squared_scale(float(white @ white)))
        return field.mean(white) + self._centre, scale * np.sqrt(field.variance())

    def effect(self, axis: int) -> tuple[Array, Array, float]:
        """An axis' main effect, mean and std by level, and the sum of its terms' variances.

        Averaged over all levels of the other axes, the covariance is 1 + sum_t w_t R_t of this
        axis, as all other terms have mean zero.
        """
        points, values = self._points[self._known], self._values[self._known]
        matrix = self._anova.covariance(points, points)
        matrix += np.diag(self._noise / self._weights[self._known])
        pull = np.linalg.solve(matrix, values)
        mine = [k for k, (of, _) in enumerate(self._anova.terms) if of == axis]
        variances = self._anova.variances[mine]
        levels = np.zeros((self._anova.shape[axis], points.shape[1]), dtype=np.intp)
        levels[:, axis] = np.arange(len(levels))
        across = np.tensordot(variances, self._anova.axis_terms(axis, levels, points), 1)
        own = np.diag(np.tensordot(variances, self._anova.axis_terms(axis, levels, levels), 1))
        variance = own - np.einsum("ij,ji->i", across, np.linalg.solve(matrix, across.T))
        scale2 = self._squared_scale(float(values @ pull))
        std = np.sqrt(scale2 * np.maximum(variance, 0.0))
        return across @ pull, std, float(variances.sum())

    def _squared_scale(self, energy: float) -> float:
        return (energy + SCALE_COUNT) / (len(self._known) + SCALE_COUNT)
