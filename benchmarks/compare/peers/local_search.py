"""A plain asynchronous iterated local search: the floor that a search must beat."""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.compare.peers.base import Peer, Task
from dsice.goal import Metrics
from dsice.grid import Point

FIRST: Final = 8
"""Points before the first step: the centre, then random ones."""

Key = tuple[bool, float, float]


class LocalSearch(Peer):
    """Tries the untried neighbours of the best point in random order; kicks it when none is left.

    Neighbours differ in one axis: by up to two levels if it is ordered, in any way if not. A kick
    changes two or three axes at random, and the search goes on from there; the better of the old
    and the new local optimum is the next one to be kicked.
    """

    def __init__(self, task: Task) -> None:
        self._grid, self._goal = task.grid, task.goal
        self._random = np.random.default_rng(task.seed)
        self._taken: set[Point] = set()
        self._kicks: set[Point] = set()
        self._here: tuple[Key, Point] | None = None
        self._best: tuple[Key, Point] | None = None

    def ask(self) -> Point | None:
        point = self._next()
        if point is not None:
            self._taken.add(point)
        return point

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        if metrics is None:
            return
        found = (self._goal.key(metrics), point)
        if self._best is None or found < self._best:
            self._best = self._here = found
        elif found < self._here if self._here else point in self._kicks:
            self._here = found

    def _next(self) -> Point | None:
        if not self._taken:
            return self._grid.nearest(self._grid.centre)
        if len(self._taken) < FIRST or self._best is None:
            return self._fresh()
        if self._here is not None:
            neighbours = [p for p in self._neighbours(self._here[1]) if self._is_new(p)]
            if neighbours:
                return neighbours[self._random.integers(len(neighbours))]
        if self._here is not None:
            self._here = None  # until the result of a kick is known
            self._kicks.clear()
        for _ in range(100):
            point = self._kicked(self._best[1])
            if self._is_new(point):
                self._kicks.add(point)
                return point
        return self._fresh()

    def _neighbours(self, point: Point) -> list[Point]:
        found = []
        for axis, (k, n) in enumerate(zip(point, self._grid.shape, strict=True)):
            ordered = self._grid.axes[axis].ordered
            levels = (k - 2, k - 1, k + 1, k + 2) if ordered else range(n)
            found += [
                (*point[:axis], level, *point[axis + 1 :])
                for level in levels
                if 0 <= level < n and level != k
            ]
        return found

    def _kicked(self, point: Point) -> Point:
        axes = min(int(self._random.integers(2, 4)), len(point))
        kicked = list(point)
        for axis in self._random.choice(len(point), axes, replace=False):
            kicked[axis] = int(self._random.integers(self._grid.shape[axis]))
        return tuple(kicked)

    def _fresh(self) -> Point | None:
        for _ in range(10_000):
            point = tuple(int(self._random.integers(n)) for n in self._grid.shape)
            if self._is_new(point):
                return point
        return next((point for point in self._grid if point not in self._taken), None)

    def _is_new(self, point: Point) -> bool:
        return point not in self._taken and self._grid.allows(point)
