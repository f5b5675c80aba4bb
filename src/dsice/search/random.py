"""Random search: the baseline that every other search has to beat."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import Final

from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.base import ALL_MEASURED, NOTHING_ALLOWED, Search
from dsice.search.why import Forecast, Origin, Role

_PASSES: Final = 4


class RandomSearch(Search):
    """All allowed points in a random order that ``seed`` fixes, each once (``"random"``)."""

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
        return ALL_MEASURED if len(self.history) else NOTHING_ALLOWED


class Shuffled:
    """The allowed points of a grid in a random order, without a list of them.

    The order is a keyed permutation of the numbers of the points, worked out one by one, so that
    memory does not grow with the grid. A point costs one test of the grid's rule per point skipped:
    1 / (allowed share of the grid) on average.
    """

    def __init__(self, grid: Grid, seed: int) -> None:
        self._grid = grid
        self._seed = seed
        self._position = 0  # everything before it in the order is known or not allowed

    def first(self, is_known: Callable[[Point], bool]) -> Point | None:
        """The first allowed point that is not known; points once known must stay so."""
        size = self._grid.size
        while self._position < size:
            point = self._grid.at(permuted(self._position, size, self._seed))
            if not is_known(point) and self._grid.allows(point):
                return point
            self._position += 1
        return None


def permuted(number: int, size: int, seed: int) -> int:
    """The image of ``number`` under a pseudo-random permutation of 0 to ``size`` - 1.

    A Feistel network with modular addition on a table of about sqrt(size) rows and columns;
    numbers that fall outside are sent through again until they fall inside ("cycle walking").
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
