"""Main effects and interactions of the parameters, from a Gaussian process fitted to all results.

The process (`dsice.gp.anova`) is a sum of functions of each axis, of each pair of axes and so
on, each with mean zero along each of its axes. With the posterior mean written as

    f(x) = sum_k a_k prod_i (1 + r_i(x_i, X_ki)),    a = (K + noise)^-1 y,

the effect of a set S of axes is sum_k a_k prod_{i in S} r_i(x_i, X_ki), and its variance over the
grid a' [prod_{i in S} G_i] a with G_i the mean of r_i r_i' over the levels of axis i. The shares in
the variance of f are the Sobol' indices of f over all points of the grid, exactly; conditional
parameters (`dsice.when`) have an effect where they apply only, see `dsice.explain.moments`.

Sources: C. Gu, "Smoothing Spline ANOVA Models", Springer (2013), sections 2.4 and 3.2; I. M.
Sobol', "Global sensitivity indices for nonlinear mathematical models and their Monte Carlo
estimates", Mathematics and Computers in Simulation 55 (2001).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from dsice.explain.moment import result
from dsice.explain.moments import Moments
from dsice.goal import Bound, Goal, Metrics
from dsice.gp.anova import Anova
from dsice.gp.axis import Array, terms
from dsice.gp.evidence import SCALE_COUNT, learn
from dsice.grid import Axis, Grid, Point, Value
from dsice.search.history import History
from dsice.search.targets import of_bound, of_costs, to_costs, to_values
from dsice.search.why import Estimate
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.threads import one_blas_thread

LEAST: Final = 5  # results before which nothing is said
_ACTIVE: Final = 600  # maximum number of results in the model
_FITTED: Final = 300  # results that the variances are learned from at most
_LEVELS: Final = 256  # levels of an axis that are looked at, at most
_JITTER: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Effect:
    """The main effect of an axis, averaged over all levels of all other axes.

    That of a conditional axis is averaged over the points where it applies.

    Attributes:
        axis: its name.
        levels: the levels that are evaluated: all, unless there are more than 256.
        mean: the effect at each level, in standard deviations of the results' targets
            (`dsice.search.targets`); below 0 is better (for a bound: on the safe side).
        std: its posterior standard deviation.
        estimates: the expected metric at each level, in its own units.
        share: first-order Sobol' index: of the variance of the model over the grid, 0 to 1.
        total: total Sobol' index, with all interactions; about 0 if the axis does not matter.
    """

    axis: str
    levels: tuple[Value, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    estimates: tuple[Estimate, ...]
    share: float
    total: float


@dataclass(frozen=True, slots=True)
class Interaction:
    """The interaction of two axes: their joint effect beyond the two main effects.

    Attributes:
        axes: their names.
        share: of the variance of the model over the grid, 0 to 1.
        mean: the effect by levels of the first (rows) and of the second axis, in the units of
            `Effect.mean`; the levels are those of the two axes' effects.
    """

    axes: tuple[str, str]
    share: float
    mean: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """What is expected over two axes, averaged over all levels of the others.

    Attributes:
        axes: their names: those of the largest total indices.
        means: the expected metric, in its own units, by levels of the first (rows) and of the
            second axis; the levels are those of the two axes' effects.
    """

    axes: tuple[str, str]
    means: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """How a metric depends on the axes.

    Attributes:
        metric: the objective or a bounded metric.
        results: number of measured points that it is learned from.
        effects: one for each axis, in the grid's order.
        interactions: of the pairs, the strongest first; at most `most_pairs` of `effects_of`.
        beyond: share of the interactions of three or more axes.
        joint: the two axes that matter most, together; None where there is one axis.
        explained: how much of the variance of the results' targets the model reproduces, 0 to 1;
            the rest it takes for noise.
    """

    metric: str
    results: int
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    beyond: float
    explained: float
    joint: Joint | None = None

    @property
    def by_weight(self) -> list[Effect]:
        """The effects, the most important axis first."""
        return sorted(self.effects, key=lambda effect: -effect.total)


@one_blas_thread()
def effects_of(study: Study, metric: str | None = None, most_pairs: int = 6) -> Effects | None:
    """How a metric depends on the axes, from a model of all results, whatever search chose them.

    Args:
        study: as it stands.
        metric: the objective (by default) or a metric with a bound.
        most_pairs: how many interactions are computed by level.

    Returns:
        None if fewer than `LEAST` points are measured, or all gave the same.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    goal, grid = study.goal, study.config.grid
    history = History(grid, goal)
    for trial in study.finished:
        if trial.status is Status.DONE and goal.missing(trial.metrics) is None:
            history.add(trial.point, result(trial))
    points = list(history)
    if len(points) > _ACTIVE:
        best = sorted(points, key=history.key)[: _ACTIVE // 2]
        others = sorted(set(points) - set(best))
        points = best + Random(0).sample(others, _ACTIVE - len(best))
    found = [metrics for point in points if (metrics := history.metrics(point)) is not None]
    if len(found) < LEAST:
        return None
    bound = next((b for b in goal.bounds if b.metric == metric and b.metric != goal.metric), None)
    scale: _Scale = _CostScale(found, goal) if bound is None else _BoundScale(found, bound)
    if np.ptp(scale.targets) == 0:
        return None
    weights = np.array([float(history.weight(point)) for point in points])
    return _Decomposition(grid, points, scale, weights).effects(most_pairs)


class _Scale(ABC):
    """A metric and the targets that its model is fitted to.

    Attributes:
        metric: its name.
        targets: of the results.
    """

    metric: str
    targets: Array

    def estimates(self, mean: Array, std: Array) -> tuple[Estimate, ...]:
        """The metric, in its own units, where the targets are ``mean`` +- ``std``."""
        ends = self._metric(np.stack([mean, mean - std, mean + std]))
        middle, low, high = ends[0], ends[1:].min(axis=0), ends[1:].max(axis=0)
        columns = zip(middle.tolist(), low.tolist(), high.tolist(), strict=True)
        return tuple(Estimate(*each) for each in columns)

    @abstractmethod
    def _metric(self, targets: Array) -> Array:
        """The metric that has these targets."""


class _CostScale(_Scale):
    def __init__(self, results: Sequence[Metrics], goal: Goal) -> None:
        self.metric = goal.metric
        self._sign = 1.0 if goal.maximize is None else -1.0
        self._costs = np.array([goal.cost(metrics) for metrics in results])
        self.targets = of_costs(self._costs)

    def _metric(self, targets: Array) -> Array:
        return self._sign * to_costs(targets, self.targets, self._costs)


class _BoundScale(_Scale):
    def __init__(self, results: Sequence[Metrics], bound: Bound) -> None:
        self.metric = bound.metric
        self._sign = 1.0 if bound.relation.startswith("<") else -1.0
        self._limit = self._sign * (bound.limit or 0.0)
        self._values = self._sign * np.array([metrics[bound.metric] for metrics in results])
        self.targets = of_bound(self._values, self._limit)

    def _metric(self, targets: Array) -> Array:
        return self._sign * to_values(targets, self._values, self._limit)


class _Decomposition:
    """A fitted Gaussian process, decomposed into effects."""

    def __init__(self, grid: Grid, points: Sequence[Point], scale: _Scale, weights: Array) -> None:
        self._grid, self._scale = grid, scale
        self._points = np.array(points, dtype=np.intp)
        self._centre = float(scale.targets.mean())
        self._values = scale.targets - self._centre
        anova = Anova.of(grid)
        rows = np.unique(np.linspace(0, len(points) - 1, _FITTED).round().astype(np.intp))
        sample = self._values[rows] - self._values[rows].mean()
        learned = learn(anova, self._points[rows], sample, weights[rows])
        self._anova = learned.covariance
        self._noises = (learned.noise + _JITTER) / weights
        matrix = self._anova.covariance(self._points, self._points) + np.diag(self._noises)
        self._factor = cho_factor(matrix)
        self._pull = cho_solve(self._factor, self._values)
        count = len(points) + SCALE_COUNT
        self._scale2 = (float(self._values @ self._pull) + SCALE_COUNT) / count
        self._levels = [_levels(axis) for axis in grid.axes]
        self._across = [
            self._weighed(axis, self._anova.level_terms(axis, np.array(levels), self._points))
            for axis, levels in enumerate(self._levels)
        ]
        self._moments = Moments(self._anova, self._levels, self._across, self._pull)

    def _weighed(self, axis: int, values: Array) -> Array:
        """sum_t w_t R_t of an axis."""
        mine = [k for k, (of, _) in enumerate(self._anova.terms) if of == axis]
        return np.asarray(np.tensordot(self._anova.variances[mine], values, 1))

    def effects(self, most_pairs: int) -> Effects:
        """All effects and interactions."""
        axes, moments = range(len(self._grid.axes)), self._moments
        everything = moments.square()
        constant = float(self._pull.sum())
        variance = max(everything - constant**2, 1e-300)
        single = [float(np.mean(moments.main(axis) ** 2)) / variance for axis in axes]
        pairs = {
            (i, j): float(np.mean(moments.interaction(i, j) ** 2)) / variance
            for i, j in combinations(axes, 2)
        }
        strongest = sorted(pairs, key=lambda pair: -pairs[pair])[:most_pairs]
        effects = []
        for axis in axes:
            total = (everything - moments.square(without=axis)) / variance
            effects.append(self._effect(axis, single[axis], total))
        missed = self._noises * self._pull
        explained = 1 - float(np.var(missed)) / float(np.var(self._values))
        return Effects(
            metric=self._scale.metric,
            results=len(self._points),
            effects=tuple(effects),
            interactions=tuple(self._interaction(*pair, pairs[pair]) for pair in strongest),
            beyond=min(max(1 - sum(single) - sum(pairs.values()), 0.0), 1.0),
            explained=min(max(explained, 0.0), 1.0),
            joint=self._joint(effects, constant),
        )

    def _joint(self, effects: Sequence[Effect], constant: float) -> Joint | None:
        axes = [k for k, axis in enumerate(self._grid.axes) if len(axis) > 1]
        if len(axes) < 2:
            return None
        i, j = sorted(sorted(axes, key=lambda k: -effects[k].total)[:2])
        alone = np.add.outer(self._moments.main(i), self._moments.main(j))
        together = self._moments.interaction(i, j)
        targets = (self._centre + constant + alone + together).ravel()
        found = self._scale.estimates(targets, np.zeros_like(targets))
        width = len(effects[j].mean)
        rows = [found[k : k + width] for k in range(0, len(found), width)]
        names = self._grid.names
        means = tuple(tuple(each.mean for each in row) for row in rows)
        return Joint((names[i], names[j]), means)

    def _effect(self, axis: int, share: float, total: float) -> Effect:
        weights, there = self._moments.weights(axis), self._grid.axes[axis]
        across = self._across[axis] * weights
        constant = float(self._pull @ weights)
        levels = np.array(self._levels[axis])
        own = self._weighed(axis, terms(len(there), there.ordered, levels, levels))
        variance = own * self._spread(axis) - np.einsum(
            "ij,ji->i", across, cho_solve(self._factor, across.T)
        )
        mean = across @ self._pull
        std = np.sqrt(self._scale2 * np.maximum(variance, 0.0))
        return Effect(
            axis=there.name,
            levels=tuple(there.levels[level] for level in self._levels[axis]),
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
            estimates=self._scale.estimates(self._centre + constant + mean, std),
            share=share,
            total=total,
        )

    def _spread(self, axis: int) -> float:
        """The prior variance of the read axes' factors, averaged where ``axis`` applies.

        1 if it always does.
        """
        if axis not in self._anova.whens or not (mine := self._moments.applies(axis)).any():
            return 1.0
        points = self._moments.combinations[mine]
        rows = np.unique(np.linspace(0, len(points) - 1, _FITTED).round().astype(np.intp))
        product: Array = np.ones((len(rows), len(rows)))
        for read in self._anova.whens[axis].reads:
            at, there = points[rows, read], self._grid.axes[read]
            product = product * (
                1 + self._weighed(read, terms(len(there), there.ordered, at[:, None], at))
            )
        return float(product.mean())

    def _interaction(self, i: int, j: int, share: float) -> Interaction:
        mean = self._moments.interaction(i, j)
        names = self._grid.names
        return Interaction((names[i], names[j]), share, tuple(map(tuple, mean.tolist())))


def _levels(axis: Axis) -> list[int]:
    n = len(axis)
    if n <= _LEVELS:
        return list(range(n))
    return [round(k * (n - 1) / (_LEVELS - 1)) for k in range(_LEVELS)]
