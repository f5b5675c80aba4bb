"""Measured points from the best to the worst: what lines are laid through and surfaces stand on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from dsice.front import dominators, spread_out
from dsice.goal import Goal
from dsice.grid import Point
from dsice.search.history import History


def ranked(points: Iterable[Point], history: History, goal: Goal) -> list[Point]:
    """Measured points, best first; the order of equals is theirs.

    For one bound, by `History.key`. For many, first the front, then the points that one other
    dominates, and so on; each beginning of the front is spread over it, ends first. Points that are
    stricter than the strictest limit are no better for that.
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
