"""The first points of a search, before there are results.

The centre comes first, then the allowed points of a scrambled Sobol sequence, evenly spread.

Source: I. M. Sobol' (1967), doi 10.1016/0041-5553(67)90144-9; scrambling after Owen, see
`scipy.stats.qmc.Sobol`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from scipy.stats import qmc

from dsice.grid import Grid, Point

_BLOCK: Final = 64
_BLOCKS: Final = 64


class FirstPoints:
    """Distinct allowed points, the most central one first; a few thousand at most.

    There may be few if the rule allows almost nothing; the caller needs another source then.
    """

    def __init__(self, grid: Grid, seed: int) -> None:
        self._grid = grid
        self._drawn: list[Point] = []
        self._source = self._draw(seed)

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
