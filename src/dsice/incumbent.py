"""The incumbent: which measured point is the best, now and earlier. All views use this rule.

A point that was measured several times counts by the median of its measurements, so that one lucky
measurement does not win. The incumbent can therefore become worse when its point is measured again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dsice.goal import Goal, Metrics
from dsice.grid import Point

Key = tuple[bool, float, float, int]


class Measured(Protocol):
    """A measurement of a point that has every metric of the goal."""

    @property
    def number(self) -> int:
        """Tells equally good ones apart: the lower one comes first."""

    @property
    def point(self) -> Point:
        """Level indices."""

    @property
    def metrics(self) -> Metrics:
        """What was measured."""


M = TypeVar("M", bound=Measured)


@dataclass(frozen=True, slots=True)
class Standing(Generic[M]):
    """All measurements of a point, and the one that stands for it.

    Attributes:
        of: its measurements, from best to worst.
        by_best: whether the best of them counts, instead of the median: `Goal.of_repeats`.
    """

    of: tuple[M, ...]
    by_best: bool = False

    @property
    def counted(self) -> M:
        """The measurement that stands for the point.

        The median, of an even number the worse middle one; or the best, if the goal says so.
        """
        return self.of[0 if self.by_best else len(self.of) // 2]

    def spread(self, metric: str) -> tuple[float, float]:
        """The least and the largest value of a metric."""
        values = [each.metrics[metric] for each in self.of]
        return min(values), max(values)


@dataclass(frozen=True, slots=True)
class Incumbent(Generic[M]):
    """The best point from one moment on.

    Attributes:
        after: number of measurements up to then.
        latest: the measurement that made it the incumbent.
        standing: of the best point then.
    """

    after: int
    latest: M
    standing: Standing[M]

    @property
    def best(self) -> M:
        """The measurement that stands for the best point."""
        return self.standing.counted


def standings(measured: Iterable[M], goal: Goal) -> list[Standing[M]]:
    """The standing of each point, in the order of the measurements that stand for them."""
    points: dict[Point, list[M]] = {}
    for each in measured:
        points.setdefault(each.point, []).append(each)
    found = [_standing(each, goal) for each in points.values()]
    return sorted(found, key=lambda standing: standing.counted.number)


def best_standing(measured: Iterable[M], goal: Goal) -> Standing[M] | None:
    """The standing of the best feasible point; None if there is none."""
    found = min(standings(measured, goal), key=lambda s: _key(s.counted, goal), default=None)
    return found if found is not None and goal.feasible(found.counted.metrics) else None


def incumbents(measured: Sequence[M], goal: Goal) -> list[Incumbent[M]]:
    """The best point after each measurement that changed it, or that changed how it stands.

    While no point is feasible, the best is the one with the smallest violation. The last incumbent
    is that of `best_standing`, if it keeps the bounds.

    Args:
        measured: in the order in which they came.
        goal: its bounds settled.
    """
    points: dict[Point, list[M]] = {}
    now: dict[Point, Standing[M]] = {}
    keys: dict[Point, Key] = {}  # of what stands for each point
    found: list[Incumbent[M]] = []
    best: Point | None = None
    for after, each in enumerate(measured, 1):
        point = each.point
        points.setdefault(point, []).append(each)
        before = None if best is None else keys[best]
        now[point] = _standing(points[point], goal)
        keys[point] = _key(now[point].counted, goal)
        if before is None or keys[point] < before:
            best = point
        elif point != best:
            continue
        else:
            # It may have become worse than another.
            best = min(keys, key=keys.__getitem__)
        found.append(Incumbent(after, each, now[best]))
    return found


def _standing(measurements: Sequence[M], goal: Goal) -> Standing[M]:
    of = tuple(measurements)
    if len(of) > 1:
        of = tuple(sorted(of, key=lambda each: _key(each, goal)))
    return Standing(of, by_best=goal.of_repeats == "best")


def _key(measured: Measured, goal: Goal) -> Key:
    return (*goal.key(measured.metrics), measured.number)
