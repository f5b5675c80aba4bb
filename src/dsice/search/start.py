"""The first points of a search, before there are results.

The centre comes first, then the allowed points of a scrambled Sobol sequence, evenly spread. With
beliefs the most believed point does, then points that are spread by them, every fourth evenly.

Source: I. M. Sobol' (1967), doi 10.1016/0041-5553(67)90144-9; scrambling after Owen, see
`scipy.stats.qmc.Sobol`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

import numpy as np
from scipy.stats import qmc

from dsice.grid import Grid, Point
from dsice.search.beliefs import EVEN, NO_BELIEFS, Beliefs

_BLOCK: Final = 64
_BLOCKS: Final = 64


class FirstPoints:
    """Distinct allowed points, the most central one first; a few thousand at most.

    There may be few if the rule allows almost nothing; the caller needs another source then.

    Args:
        grid: the points.
        seed: of the random choices.
        beliefs: by which most are drawn, if there are any.
    """

    def __init__(self, grid: Grid, seed: int, beliefs: Beliefs = NO_BELIEFS) -> None:
        self._grid = grid
        self._beliefs = beliefs
        self._believed: set[Point] = set()  # of those drawn, the ones drawn from beliefs
        self._drawn: list[Point] = []
        self._source = self._mixed(seed) if beliefs else self._draw(seed)

    def first(self, is_taken: Callable[[Point], bool]) -> Point | None:
        """The first point that is not evaluated or pending; None if there is none."""
        for point in self._drawn:
            if not is_taken(point):
                return point
        for point in self._source:
            self._drawn.append(point)
            if not is_taken(point):
                return point
        return None

    def is_believed(self, point: Point) -> bool:
        """Whether ``point`` is one of the first points, and was drawn from beliefs."""
        return point in self._believed

    def _mixed(self, seed: int) -> Iterator[Point]:
        """Most from beliefs, one in so many evenly; evenly when nothing else is believed."""
        seen: set[Point] = set()
        believed = ((point, True) for point in self._draw_believed(seed))
        even = ((point, False) for point in self._draw(seed))
        every = round(1 / EVEN)
        while True:
            is_even = len(seen) % every == every - 1
            drawn = chain(even, believed) if is_even else chain(believed, even)
            point, is_believed = next(
                (each for each in drawn if each[0] not in seen), (None, False)
            )
            if point is None:
                return
            if is_believed:
                self._believed.add(point)
            seen.add(point)
            yield point

    def _draw_believed(self, seed: int) -> Iterator[Point]:
        grid = self._grid
        if (peak := grid.nearest(grid.canonical(self._beliefs.peak))) is not None:
            yield peak
        random = np.random.default_rng([seed, 2])
        sequence = qmc.Sobol(len(grid.shape), scramble=True, seed=random)
        for _ in range(_BLOCKS):
            for levels in self._beliefs.levels(sequence.random(_BLOCK)).tolist():
                point = grid.canonical(tuple(levels))
                if grid.allows(point):
                    yield point

    def _draw(self, seed: int) -> Iterator[Point]:
        grid = self._grid
        seen = set()
        if (centre := grid.nearest(grid.centre)) is not None:
            seen.add(centre)
            yield centre
        shape = np.array(grid.shape)
        sequence = qmc.Sobol(len(shape), scramble=True, seed=np.random.default_rng([seed, 1]))
        for _ in range(_BLOCKS):
            uniform = sequence.random(_BLOCK)
            for indices in np.minimum((uniform * shape).astype(int), shape - 1).tolist():
                point = tuple(indices)
                if point not in seen and grid.allows(point):
                    seen.add(point)
                    yield point
