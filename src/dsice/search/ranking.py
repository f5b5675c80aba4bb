"""Rankings of evaluated points, used to lay lines and to select points for the model."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from dsice.front import dominators, spread_out
from dsice.goal import Goal
from dsice.grid import Point
from dsice.search.history import History


class Ranking:
    """The evaluated points that did not fail, best first, kept up to date.

    Args:
        history: the results.
        goal: defines which point is better.
        points: the initial evaluated points.
    """

    def __init__(self, history: History, goal: Goal, points: Iterable[Point]) -> None:
        self._history = history
        self._goal = goal
        self._ranking: list[tuple[Any, Point]] = []
        self._sort(point for point in points if history.metrics(point) is not None)

    def __len__(self) -> int:
        return len(self._ranking)

    def best(self, count: int) -> list[Point]:
        """The first ``count`` points."""
        return [point for _, point in self._ranking[:count]]

    def add(self, point: Point) -> None:
        """Insert or move a point after a result."""
        self._ranking = [entry for entry in self._ranking if entry[1] != point]
        succeeded = self._history.metrics(point) is not None
        if self._goal.swept:  # the front depends on all points
            self._sort([p for _, p in self._ranking] + [point] * succeeded)
        elif succeeded:
            bisect.insort(self._ranking, (self._history.key(point), point))

    def _sort(self, points: Iterable[Point]) -> None:
        if self._goal.swept:
            self._ranking = list(enumerate(ranked(points, self._history, self._goal)))
        else:
            self._ranking = sorted((self._history.key(point), point) for point in points)


def ranked(points: Iterable[Point], history: History, goal: Goal) -> list[Point]:
    """Sort measured points, best first; the sort is stable.

    With one bound, the key is `History.key`. With many, the front comes first, then the points that
    one other dominates, and so on; each prefix of the front is spread over it, ends first. Being
    stricter than the strictest limit is no advantage.
    """
    if not goal.swept:
        return sorted(points, key=history.key)
    feasible, others = [], []
    for point in points:
        metrics = history.metrics(point)
        if metrics is not None and goal.feasible(metrics):
            feasible.append((point, _costs(goal, goal.costs(metrics))))
        else:
            others.append(point)
    order = []
    if feasible:
        counts = dominators([costs for _, costs in feasible]).tolist()
        entries = sorted(
            (count, costs[1:], costs[0], point)
            for count, (point, costs) in zip(counts, feasible, strict=True)
        )
        for _, group in groupby(entries, key=lambda entry: entry[0]):
            alike = [entry[3] for entry in group]
            order += [alike[k] for k in spread_out(len(alike))]
    return order + sorted(others, key=history.key)


def _costs(goal: Goal, costs: tuple[float, ...]) -> tuple[float, ...]:
    first, *rest = costs
    limits = [
        -float("inf") if each.strictest is None else each.sign * each.strictest
        for each in goal.swept
    ]
    return (first, *map(max, rest, limits))
