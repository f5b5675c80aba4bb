"""Random search: the baseline for every other search."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.base import ALL_MEASURED, NONE_FOUND, NOTHING_ALLOWED, Search
from dsice.search.why import Forecast, Origin, Role

_PASSES: Final = 4
_MISSES: Final = 20_000  # consecutive excluded points after which blind trials stop
_DRAWN: Final = 256


class RandomSearch(Search):
    """All allowed points, each once, in a random order fixed by ``seed`` (``"random"``)."""

    sweeps = True

    def __init__(self, grid: Grid, goal: Goal, *, seed: int = 0, capacity: int = 1) -> None:
        super().__init__(grid, goal, seed=seed, capacity=capacity)
        self._shuffled = Shuffled(grid, seed)

    def _candidates(self) -> Iterator[Point]:
        while (point := self._shuffled.first(self.is_known)) is not None:
            yield point

    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        return Origin(Role.RANDOM), None

    def _ended(self) -> str:
        if self._shuffled.first(self.is_known) is not None:
            return ""
        return self._shuffled.why_none(len(self.history))


class Shuffled:
    """The allowed points of a grid in a random order, without storing a list.

    The order is a keyed permutation of the numbers of the points, computed one by one, so that
    memory does not grow with the grid.

    Where the allowed points cannot be counted, all points are tried in this order, at the cost of
    one test of the rule each, until 20,000 in a row are excluded. From then on, points are drawn
    (`Grid.draws`) until no new ones are found.
    """

    def __init__(self, grid: Grid, seed: int) -> None:
        self._grid = grid
        self._seed = seed
        self._position = 0  # all earlier points in the order are known or not allowed
        self._missed = 0
        self._drawn: dict[Point, None] = {}
        self._waiting: deque[Point] = deque()  # drawn, possibly not known yet
        self._random = Random(f"{seed} drawn")

    def first(self, is_known: Callable[[Point], bool]) -> Point | None:
        """The first allowed point that is not known. Known points must remain known."""
        counted = self._grid.allowed_count
        if counted is None:
            return self._tried(is_known) or self._found(is_known)
        while self._position < counted:
            point = self._grid.allowed_at(permuted(self._position, counted, self._seed))
            if not is_known(point):
                return point
            self._position += 1
        return None

    def why_none(self, measured: int) -> str:
        """Why there is no other point after ``measured`` ones."""
        if self._grid.allowed_count is None and self._missed >= _MISSES:
            return NONE_FOUND
        return ALL_MEASURED if measured else NOTHING_ALLOWED

    def _tried(self, is_known: Callable[[Point], bool]) -> Point | None:
        grid, size = self._grid, self._grid.size
        while self._position < size and self._missed < _MISSES:
            point = grid.at(permuted(self._position, size, self._seed))
            if not is_known(point):
                if grid.allows(point):
                    self._missed = 0
                    return point
                self._missed += 1
            self._position += 1
        return None

    def _found(self, is_known: Callable[[Point], bool]) -> Point | None:
        while self._missed >= _MISSES:
            while self._waiting:
                if not is_known(self._waiting[0]):
                    return self._waiting[0]
                self._waiting.popleft()
            new = [p for p in self._grid.draws(_DRAWN, self._random) if p not in self._drawn]
            if not new:
                break
            self._drawn.update(dict.fromkeys(new))
            self._waiting.extend(dict.fromkeys(new))
        return None


def permuted(number: int, size: int, seed: int) -> int:
    """The image of ``number`` under a pseudo-random permutation of 0 to ``size`` - 1.

    A Feistel network with modular addition on a table of about sqrt(size) rows and columns;
    numbers outside the range are permuted again until they fall inside ("cycle walking").
    J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, sections 4 and 5.
    """
    rows = math.isqrt(size - 1) + 1 if size > 1 else 1
    columns = -(-size // rows)
    while True:
        row, column = divmod(number, columns)
        for k in range(_PASSES):
            row = (row + _hash(f"{seed} {k} row {column}")) % rows
            column = (column + _hash(f"{seed} {k} column {row}")) % columns
        number = row * columns + column
        if number < size:
            return number


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
