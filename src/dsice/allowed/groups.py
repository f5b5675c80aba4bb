"""The allowed combinations of a group of axes: counting, numbering, drawing, nearest ones.

A grid is a product of groups: axes of different groups share no condition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.allowed.columns import Indices

Combination = tuple[int, ...]
Numbers = Sequence[int] | NDArray[Any]  # NumPy's integers, or Python's if they are large


class Group(ABC):
    """Some axes of a grid and the allowed combinations of their levels.

    Attributes:
        axes: their numbers in the grid, increasing.
        count: number of allowed combinations; None if unknown.
        least: lower bound on it.
    """

    axes: tuple[int, ...]
    count: int | None
    least: int

    @abstractmethod
    def draws(self, count: int, random: Random) -> Indices:
        """Up to ``count`` random combinations, shape (N, axes).

        Each is drawn uniformly from all. If they are not counted, some are likelier than others,
        and there may be fewer.
        """

    @abstractmethod
    def nearest(self, target: Combination) -> Combination | None:
        """The combination at the smallest Euclidean distance in levels; None if none is found.

        Ties are broken by index order. If they are not counted, a near one is returned instead.
        """


class Counted(Group):
    """A group whose combinations are counted and numbered."""

    count: int

    @abstractmethod
    def rows(self, numbers: Numbers) -> Indices:
        """The combinations with these numbers, from 0 to ``count`` - 1; shape (N, axes)."""

    def draws(self, count: int, random: Random) -> Indices:  # noqa: D102  (as the base)
        if not self.count:
            return np.zeros((0, len(self.axes)), dtype=np.intp)
        return self.rows([random.randrange(self.count) for _ in range(count)])


class Listed(Counted):
    """Combinations stored as a list.

    Args:
        axes: in increasing order.
        combinations: shape (N, axes), in index order.
    """

    def __init__(self, axes: Sequence[int], combinations: Indices) -> None:
        self.axes = tuple(axes)
        self.count = self.least = len(combinations)
        self._rows: Final = combinations

    def rows(self, numbers: Numbers) -> Indices:  # noqa: D102  (as the base)
        return self._rows[np.asarray(numbers, dtype=np.intp)]

    def nearest(self, target: Combination) -> Combination | None:  # noqa: D102
        if not self.count:
            return None
        row: list[int] = self._rows[np.argmin(squares(self._rows, target))].tolist()
        return tuple(row)


def squares(rows: Indices, target: Combination) -> Indices:
    """The squared distance of each row from ``target``."""
    return np.asarray(((rows - np.array(target, dtype=np.intp)) ** 2).sum(axis=1))


def whole(sizes: Sequence[int]) -> type:
    """The integer type that holds a product of ``sizes``: NumPy's, or Python's own."""
    product = 1
    for size in sizes:
        product *= max(size, 1)
    return np.int64 if product < 2**62 else object


def placed(axes: Sequence[int], columns: Sequence[NDArray[np.intp]]) -> Indices:
    """Arrange one column per axis as a table with the axes in increasing order."""
    return np.stack([columns[k] for k in np.argsort(axes)], axis=1)
