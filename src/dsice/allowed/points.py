"""The points of a grid that a rule allows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.allowed.columns import Indices
from dsice.allowed.groups import Counted, Group, Numbers, placed, whole

Point = tuple[int, ...]
_SORTED: Final = 2**20  # points that are put in index order
_AT_ONCE: Final = 2**14


class AllowedPoints:
    """The product of the allowed combinations of independent groups of axes.

    Attributes:
        groups: groups of axes; each axis is in one of them.
        count: number of allowed points; None if unknown.
        least: lower bound on it.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups: Final = tuple(sorted(groups, key=lambda group: group.axes))
        self._counted: Final = tuple(g for g in self.groups if isinstance(g, Counted))
        self.count: int | None = None
        if any(group.count == 0 for group in self._counted):
            self.count = 0
        elif len(self._counted) == len(self.groups):
            self.count = math.prod(group.count for group in self._counted)
        known = math.prod(group.least for group in self.groups)
        self.least: Final = known if self.count is None else self.count

    def __getitem__(self, number: int) -> Point:
        """The allowed point with a number from 0 to ``count`` - 1, in an unspecified order."""
        return tuple(self._table([number])[0].tolist())

    def __iter__(self) -> Iterator[Point]:
        """Iterate over all allowed points, if they are counted; in index order up to a million."""
        if self.count is None:
            raise ValueError("points that are not counted cannot be listed")
        if not self.count:  # even if not all groups are counted
            return
        if self.count <= _SORTED:
            table = self._table(range(self.count)).astype(np.int32)
            table = table[np.lexsort(table.T[::-1])]
            for first in range(0, self.count, _AT_ONCE):
                yield from map(tuple, table[first : first + _AT_ONCE].tolist())
            return
        for first in range(0, self.count, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, self.count))
            yield from map(tuple, self._table(numbers).tolist())

    def _table(self, numbers: Numbers) -> Indices:
        axes, columns = _combined(self._counted, numbers)
        return placed(axes, columns)

    def draws(self, count: int, random: Random) -> list[Point]:
        """Draw up to ``count`` random points, possibly with duplicates.

        Each is drawn uniformly from all. If they are not counted, some are likelier than others,
        and there may be fewer.
        """
        rows = [group.draws(count, random) for group in self.groups]
        found = min(map(len, rows))
        axes = [axis for group in self.groups for axis in group.axes]
        columns = [column for each in rows for column in each[:found].T]
        return list(map(tuple, placed(axes, columns).tolist()))

    def nearest(self, point: Point) -> Point | None:
        """The allowed point at the smallest Euclidean distance in levels; None if none is found.

        Ties are broken by index order. If they are not counted, a near point is returned instead.
        """
        found = list(point)
        for group in self.groups:
            combination = group.nearest(tuple(point[axis] for axis in group.axes))
            if combination is None:
                return None
            for axis, level in zip(group.axes, combination, strict=True):
                found[axis] = level
        return tuple(found)

    def tied(self, axes: Sequence[int], most: int) -> tuple[list[int], Indices, int] | None:
        """The combinations of some axes and those that the rule couples to them.

        Returns:
            The axes, which may be more than asked for; their combinations, shape (N, axes); and the
            number of allowed points for each. None if there are more than ``most`` or they are not
            counted.
        """
        tied = [group for group in self.groups if not set(axes).isdisjoint(group.axes)]
        chosen = [group for group in tied if isinstance(group, Counted)]
        count = math.prod(group.count for group in chosen)
        if self.count is None or len(chosen) < len(tied) or count > most:
            return None
        found, columns = _combined(chosen, range(count))
        return found, np.stack(columns, axis=1), self.count // count if count else 0


def _combined(
    groups: Sequence[Counted], numbers: Numbers
) -> tuple[list[int], list[NDArray[np.intp]]]:
    """The combinations of counted groups with these numbers; the last group varies fastest.

    Returns:
        The axes, and a column for each.
    """
    rest: NDArray[Any] = np.array(numbers, dtype=whole([group.count for group in groups]))
    axes: list[int] = []
    columns: list[NDArray[np.intp]] = []
    for group in reversed(groups):
        count = max(group.count, 1)  # an empty group has no numbers
        rows = group.rows(rest % count)
        rest = rest // count
        axes += group.axes
        columns += list(rows.T)
    return axes, columns
