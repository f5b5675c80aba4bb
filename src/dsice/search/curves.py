"""Learning curves: values that trials report as they run, and predictions of the last one.

Values are compared at *rungs*, a subset of the steps at which trials report; each is about half as
far again as the one before. A linear regression over all trials that reached two successive rungs
predicts the value at the second from that at the first; a chain of them leads to the last rung.
Trials are continued by their value at a rung, never by the following one, so the regression is
unbiased although most trials end early.

Sources: L. Li et al., "A System for
Massively Parallel Hyperparameter Tuning", MLSys (2020), arXiv 1810.05934, for the rungs; R. J. A.
Little, D. B. Rubin, "Statistical Analysis with Missing Data" (2002), section 7.2, for regressions
over monotone missing data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.gp.axis import Array
from dsice.grid import Point

_RATIO: Final = 1.35  # minimum ratio of a rung to the one before
_FALL: Final = 0.15  # expected correlation of two steps: their ratio to this power,
_FALL_COUNT: Final = 3.0  # weighted as this many trials
DIVERGED: Final = 1e300  # a value beyond this, or none that is finite, says that a trial diverged
_FINITE: Final = 3  # trials with a finite value at a step, so that another's is its own fault
# Over all trials, bad ones included, a value tells more of the last one than among the good ones,
# which matter: the lag is -log of the correlation times this.
_DISTRUST: Final = 2.0
_MANY: Final = 8  # with this many complete trials, it is also learned from them alone

Rungs = NDArray[np.intp]


def says_diverged(values: Iterable[float]) -> bool:
    """Whether one of the values of a report says that its trial has diverged."""
    return not all(abs(value) < DIVERGED for value in values)


def rungs_of(steps: Sequence[float]) -> tuple[float, ...]:
    """Choose the steps at which values are compared: the last one, and others well apart.

    Raises:
        InvalidInput: not increasing positive numbers.
    """
    numbers = all(
        isinstance(s, int | float) and not isinstance(s, bool) and 0 < s < math.inf for s in steps
    )
    if not numbers or not steps or any(a >= b for a, b in pairwise(steps)):
        raise InvalidInput(f"steps = {list(steps)!r}: positive numbers are needed, in rising order")
    found = [float(steps[-1])]
    for step in reversed(steps[:-1]):
        if step * _RATIO <= found[-1]:
            found.append(float(step))
    return tuple(reversed(found))


@dataclass(frozen=True)
class Transitions:
    """How one metric develops from each rung to the last, learned from all trials.

    Attributes:
        caps: values are clipped at these maxima, by rung.
        means: means of the values, by rung.
        stds: standard deviations of the values over all trials, by rung.
        correlations: correlations of the value at each rung with the last one.
        horizon: the furthest rung that enough trials have reached to be compared.
    """

    caps: Array
    means: Array
    stds: Array
    correlations: Array
    horizon: int

    def scores(self, values: Array, rung: Rungs) -> Array:
        """Standardise ``values`` by mean and standard deviation of their rungs."""
        capped = np.minimum(values, self.caps[rung])
        return np.asarray((capped - self.means[rung]) / self.stds[rung])

    def level(self, values: Array, rung: Rungs) -> Array:
        """The values at the horizon with the same standard scores."""
        at = self.horizon
        return np.asarray(self.means[at] + self.stds[at] * self.scores(values, rung))


class Curves:
    """The reported values, by point and rung.

    Args:
        goal: determines which metrics count.
        steps: increasing steps at which trials report; the last one is the end.
    """

    def __init__(self, goal: Goal, steps: Sequence[float]) -> None:
        self.rungs: Final = rungs_of(steps)
        self.last: Final = len(self.rungs) - 1
        self._signs = {n: 1.0 if goal.wants_small(n) else -1.0 for n in goal.metrics}
        self._rows: dict[Point, int] = {}
        self._values: dict[str, list[list[float]]] = {name: [] for name in goal.metrics}
        self._reached: list[int] = []
        self._diverged: dict[Point, int] = {}  # the rung at which they did
        self._recovers = False  # whether a trial that had diverged had a finite value later
        self.count = 0  # number of values that were news, final ones included
        self._learned: tuple[int, dict[str, Transitions]] | None = None

    def rung(self, step: float) -> int | None:
        """The furthest rung not after ``step``; None before the first."""
        found = int(np.searchsorted(self.rungs, step, side="right")) - 1
        return None if found < 0 else min(found, self.last)

    def is_news(self, point: Point, step: float, metrics: Metrics) -> bool:
        """Whether a report is in order, and either the first at its rung or a divergence."""
        rung = self.rung(step)
        if rung is None or rung < self.reached(point):
            return False
        bad = says_diverged(self._own(metrics)) and point not in self._diverged
        return bad or rung > self.reached(point)

    def has_diverged(self, point: Point) -> bool:
        """Whether a trial has reported a value that is not finite, unlike others at that step.

        Never once such a trial has had a finite value later: then such values are no verdict here.
        """
        rung = self._diverged.get(point)
        if rung is None or self._recovers:
            return False
        values = np.array(self._values[next(iter(self._values))])[:, rung:]
        return int((np.abs(values) < DIVERGED).any(axis=1).sum()) >= _FINITE

    def _own(self, metrics: Metrics) -> list[float]:
        """The values of the metrics that matter."""
        return [float(metrics[name]) for name in self._signs if name in metrics]

    def reached(self, point: Point) -> int:
        """The furthest rung at which ``point`` has reported, -1 if none."""
        row = self._rows.get(point)
        return -1 if row is None else self._reached[row]

    def left(self, point: Point) -> float:
        """The remaining share of a trial's length."""
        rung = self.reached(point)
        return 1.0 if rung < 0 else 1 - self.rungs[rung] / self.rungs[-1]

    def report(self, point: Point, step: float, metrics: Metrics) -> None:
        """Record the values at a step if they are news."""
        rung = self.rung(step)
        if rung is not None and self.is_news(point, step, metrics):
            self._take(point, rung, metrics)

    def complete(self, point: Point, metrics: Metrics | None) -> None:
        """Record the result of a trial that ran to its end; a failed one is dropped."""
        if metrics is not None:
            self._take(point, self.last, metrics)
        elif (row := self._rows.get(point)) is not None:
            self._reached[row] = -1
            for values in self._values.values():
                values[row] = [math.nan] * len(self.rungs)

    def _take(self, point: Point, rung: int, metrics: Metrics) -> None:
        row = self._rows.setdefault(point, len(self._reached))
        if row == len(self._reached):
            self._reached.append(-1)
            for values in self._values.values():
                values.append([math.nan] * len(self.rungs))
        before = self._reached[row]
        if says_diverged(self._own(metrics)):
            self._diverged.setdefault(point, rung)
        elif point in self._diverged:
            self._recovers = True
        for name, sign in self._signs.items():
            value = sign * float(metrics.get(name, math.nan))
            mine = self._values[name][row]
            mine[rung] = value if abs(value) < DIVERGED or name not in metrics else math.inf
            for skipped in range(before + 1, rung):  # a report that was missed
                share = (skipped - before) / (rung - before)
                if before >= 0:
                    mine[skipped] = (1 - share) * mine[before] + share * mine[rung]
        self._reached[row] = rung
        self.count += 1

    # -- predictions -------------------------------------------------------------------------------

    def transitions(self) -> dict[str, Transitions]:
        """The transitions of each metric learned so far."""
        if self._learned is None or self._learned[0] != self.count:
            rungs = np.array(self.rungs)
            found = {n: _learned(np.array(v), rungs) for n, v in self._values.items() if v}
            self._learned = (self.count, found)
        return self._learned[1]

    def foreseen(self, points: Sequence[Point]) -> tuple[list[Metrics], dict[str, Array]]:
        """Predict the results of unfinished trials that have reported.

        Returns:
            for each point, the metrics with the same standard scores as its latest values; and for
            each metric the *lags*, from the correlation of such a value with the last one.
        """
        rows = np.array([self._rows[p] for p in points], dtype=np.intp)
        rung = np.array([self._reached[row] for row in rows], dtype=np.intp)
        levels, lags = {}, {}
        for name, learned in self.transitions().items():
            values = np.array(self._values[name])[rows, rung]
            levels[name] = self._signs[name] * learned.level(values, rung)
            lags[name] = -_DISTRUST * np.log(learned.correlations[rung])
        metrics: list[Metrics] = [
            {name: float(found[k]) for name, found in levels.items()} for k in range(len(points))
        ]
        return metrics, lags


def _learned(values: Array, rungs: Array) -> Transitions:
    """Fit the regressions from rung to rung.

    Args:
        values: smaller is better, NaN where a trial has not reached a rung, shape (trials, rungs).
        rungs: their steps.
    """
    count = len(rungs)
    caps, means, stds = np.full(count, np.inf), np.zeros(count), np.ones(count)
    squares = np.ones(count)  # squared correlation of a rung with the next
    horizon = 0
    for k in range(count):
        column = values[:, k]
        caps[k] = _cap(column[~np.isnan(column)])
    capped = np.minimum(values, caps)
    start = int(np.argmax((~np.isnan(values)).any(axis=0)))
    first = capped[:, start][~np.isnan(capped[:, start])]
    if len(first):
        means[: start + 1], stds[: start + 1] = first.mean(), first.std() or 1.0
        horizon = start
    for k in range(start):
        squares[k] = (rungs[k] / rungs[k + 1]) ** (2 * _FALL)
    for k in range(start, count - 1):
        expected = (rungs[k] / rungs[k + 1]) ** (2 * _FALL)
        both = ~np.isnan(values[:, k]) & ~np.isnan(values[:, k + 1])
        x, y = capped[both, k], capped[both, k + 1]
        n = len(x)
        if n >= 3 and horizon == k:
            horizon = k + 1
        if n < 3 or x.std() == 0 or y.std() == 0:
            means[k + 1], stds[k + 1] = means[k], stds[k]
            squares[k] = expected
            if n:
                means[k + 1] += y.mean() - x.mean()
            continue
        dx = x - x.mean()
        slope = max(float(dx @ (y - y.mean())) / float(dx @ dx), 1e-3 * y.std() / x.std())
        left = y - y.mean() - slope * dx
        noise = float(left @ left) / max(n - 2, 1)
        explained = slope**2 * stds[k] ** 2
        seen = explained / (explained + noise)  # (18)
        missed = ((n - 2) * (1 - seen) + _FALL_COUNT * (1 - expected)) / (n - 2 + _FALL_COUNT)
        squares[k] = 1 - missed
        means[k + 1] = y.mean() + slope * (means[k] - x.mean())
        stds[k + 1] = math.sqrt(explained + noise)
    correlations = np.ones(count)
    for k in reversed(range(count - 1)):
        correlations[k] = correlations[k + 1] * math.sqrt(squares[k])
    for k in range(count - 1):  # noise of single reports is counted at each rung on the way
        correlations[k] = max(correlations[k], _direct(capped[:, k], capped[:, -1]))
    return Transitions(caps, means, stds, np.maximum(correlations, 1e-3), horizon)


def _direct(x: Array, y: Array) -> float:
    """The correlation over trials with both values, less its standard error; 0 if too few."""
    both = ~np.isnan(x) & ~np.isnan(y)
    n = int(both.sum())
    if n < _MANY or x[both].std() == 0 or y[both].std() == 0:
        return 0.0
    found = float(np.corrcoef(x[both], y[both])[0, 1])
    return found - (1 - found**2) / math.sqrt(n)


def _cap(column: Array) -> float:
    """The value as far above the median as the best is below it."""
    finite = column[np.isfinite(column)]
    if not len(finite):
        return 0.0
    middle = float(np.median(np.where(np.isfinite(column), column, finite.max())))
    cap = 2 * middle - float(finite.min())
    return cap if cap > middle else float(finite.max())
