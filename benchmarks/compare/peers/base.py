"""What the benchmark needs of a tuner, and help for libraries that lack a part of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point


@dataclass(frozen=True)
class Task:
    """All that a tuner is told about a problem.

    Attributes:
        grid: the points, with the static rule.
        goal: minimise ``cost``, perhaps with a bound on ``second``.
        workers: how many points are measured at the same time.
        budget: how many points will be measured.
        seed: of all random choices.
    """

    grid: Grid
    goal: Goal
    workers: int
    budget: int
    seed: int


class Peer(ABC):
    """A tuner under measurement; see `benchmarks.compare.simulate` for how it is used."""

    @abstractmethod
    def ask(self) -> Point | None:
        """A point to measure; None: nothing to propose before the next result."""

    @abstractmethod
    def tell(self, point: Point, metrics: Metrics | None) -> None:
        """The result at a proposed point; None if it failed or the rule excludes it."""

    def close(self) -> None:  # noqa: B027  (most have nothing to give back)
        """Give back threads and files."""


class Penalty:
    """One number for a library that knows neither failures nor bounds.

    A feasible point counts as its cost; a point that breaks a bound as the worst feasible cost seen
    so far plus the relative violation; a failed point as the worst number handed out so far.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._worst_feasible: float | None = None
        self._worst: float = 0.0
        self._used = False

    def cost(self, metrics: Metrics | None) -> float:
        if metrics is None:
            return self._worst
        value = self._goal.cost(metrics)
        if self._goal.feasible(metrics):
            known = self._worst_feasible
            self._worst_feasible = value if known is None else max(known, value)
        else:
            base = value if self._worst_feasible is None else self._worst_feasible
            value = base + self._goal.violation(metrics)
        self._worst = max(self._worst, value) if self._used else value
        self._used = True
        return value


class Handles:
    """A library's own handles of its open proposals, found again by point."""

    def __init__(self) -> None:
        self._open: dict[Point, list[Any]] = defaultdict(list)

    def add(self, point: Point, handle: Any) -> Point:
        self._open[point].append(handle)
        return point

    def take(self, point: Point) -> Any:
        handles = self._open[point]
        handle = handles.pop()
        if not handles:
            del self._open[point]
        return handle


class Escape:
    """Random new points for a library that goes on proposing what it has proposed before.

    Args:
        grid: where new points are drawn.
        seed: of the drawing.
        patience: how many old points in a row are borne.
    """

    def __init__(self, grid: Grid, seed: int, patience: int) -> None:
        self._grid = grid
        self._random = np.random.default_rng([seed, 77])
        self._patience = patience
        self._old = 0
        self._taken: set[Point] = set()

    def note(self, point: Point) -> None:
        """The library has proposed ``point``."""
        self._old = self._old + 1 if point in self._taken else 0
        self._taken.add(point)

    def due(self) -> Point | None:
        """An allowed new point if patience has run out."""
        if self._old < self._patience:
            return None
        for _ in range(1000):
            point = tuple(int(self._random.integers(n)) for n in self._grid.shape)
            if point not in self._taken and self._grid.allows(point):
                return point
        return None


def values(grid: Grid, point: Point) -> dict[str, int | str]:
    """A point as level indices by name, for libraries that tell unordered axes by strings."""
    return {
        axis.name: level if axis.ordered else str(level)
        for axis, level in zip(grid.axes, point, strict=True)
    }


class Unsuitable(Exception):
    """A library cannot do a task; the message says why."""
