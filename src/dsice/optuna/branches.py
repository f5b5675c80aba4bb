"""Conditional parameters: which ones a program suggests where, learned from its trials.

A define-by-run program (``if m == "svm": kernel = ...``) asks for some parameters only at some
values of others. Two points that differ only in parameters that neither asks for are *equivalent*
and are measured once.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dsice.grid import Counts, Grid, Point

Asked = Mapping[int, int]
"""What one trial asked for: the level that it got, by axis."""
_COUNTED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Branch:
    """The points at which the same parameters are asked for.

    Attributes:
        levels: for each axis, the levels that a canonical point of the branch may have.
        active: the axes asked for.
    """

    levels: tuple[Sequence[int], ...]
    active: frozenset[int]

    def __len__(self) -> int:
        return math.prod(map(len, self.levels))

    def point(self, number: int) -> Point:
        """The canonical point with this number, counted from 0."""
        indices = []
        for levels in reversed(self.levels):
            number, k = divmod(number, len(levels))
            indices.append(levels[k])
        return tuple(reversed(indices))


class Tree:
    """A decision tree that predicts all parameters asked for from the values given so far.

    Each node splits by an axis that all its examples have. A level without examples follows the
    nearest level with examples, or, on an unordered axis, that of the newest example. That is a
    guess, which a trial at that level confirms or corrects.

    Args:
        grid: the axes.
        examples: oldest first, at least one. The newest one of contradictory examples counts.
    """

    def __init__(self, grid: Grid, examples: Sequence[Asked]) -> None:
        self.active: Final = frozenset(examples[-1])
        self.axis: Final = _deciding(grid, examples)
        self._children: dict[int, Tree] = {}
        if self.axis is None:
            return
        groups: dict[int, list[Asked]] = {}
        for example in examples:
            groups.setdefault(example[self.axis], []).append(example)
        self._children = {level: Tree(grid, group) for level, group in groups.items()}
        self._levels = sorted(self._children)
        self._newest = examples[-1][self.axis]
        self._ordered = grid.axes[self.axis].ordered

    def _nearest(self, level: int) -> int:
        if level in self._children:
            return level
        if not self._ordered:
            return self._newest
        above = bisect.bisect(self._levels, level)
        return min(
            self._levels[max(above - 1, 0) : above + 1], key=lambda known: abs(known - level)
        )

    def active_at(self, levels: Sequence[int | None]) -> frozenset[int] | None:
        """The axes asked for at a point; None if a level that determines them is unknown."""
        tree = self
        while tree.axis is not None:
            level = levels[tree.axis]
            if level is None:
                return None
            tree = tree._children[tree._nearest(level)]
        return tree.active

    def branches(self, whole: Sequence[Sequence[int]], rest: Point) -> Iterator[Branch]:
        """All branches.

        Args:
            whole: the levels of each axis that are still possible.
            rest: the default level of each axis where it is not asked for.
        """
        if self.axis is None:
            levels = (
                each if axis in self.active else (level,)
                for axis, (each, level) in enumerate(zip(whole, rest, strict=True))
            )
            yield Branch(tuple(levels), self.active)
            return
        for known, share in self._shares(whole[self.axis]):
            narrowed = [*whole[: self.axis], share, *whole[self.axis + 1 :]]
            yield from self._children[known].branches(narrowed, rest)

    def _shares(self, whole: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """The levels that follow each level with examples."""
        if self._ordered:
            between = [
                (below + above) // 2 + 1 for below, above in itertools.pairwise(self._levels)
            ]
            for level, first, end in zip(
                self._levels, [0, *between], [*between, len(whole)], strict=True
            ):
                yield level, range(first, end)
        else:
            for level in self._levels:
                yield level, [each for each in whole if self._nearest(each) == level]


def _deciding(grid: Grid, examples: Sequence[Asked]) -> int | None:
    """The axis that best predicts the examples' parameters; None if all agree or none does."""
    if len({frozenset(each) for each in examples}) == 1:
        return None

    def confusion(axis: int) -> tuple[int, bool, int, int]:
        groups: dict[int, Counter[frozenset[int]]] = {}
        for each in examples:
            groups.setdefault(each[axis], Counter())[frozenset(each)] += 1
        mixed = sum(kinds.total() - max(kinds.values()) for kinds in groups.values())
        return mixed, grid.axes[axis].ordered, grid.shape[axis], axis

    shared = set.intersection(*(set(each) for each in examples))
    return min(
        (axis for axis in shared if len({each[axis] for each in examples}) > 1),
        key=confusion,
        default=None,
    )


class BranchedGrid(Grid):
    """The grid of a program that asks for some parameters only at some values of others.

    Without a rule or ratios, only canonical points are listed and counted: where a parameter is not
    asked for, they have its middle level, or the first level of a choice. With a rule or ratios,
    all points are listed, and distinct ones are counted one by one if up to 100,000 are allowed.
    """

    def __init__(self, grid: Grid, tree: Tree) -> None:
        self._branches: list[Branch] = []
        super().__init__(grid.axes, grid.rule, grid.only_ratios_of)
        self._tree: Final = tree
        self._rest: Final = tuple(len(axis) // 2 if axis.ordered else 0 for axis in self.axes)
        if self.rule is None and not self.only_ratios_of:
            self._branches = list(tree.branches([range(n) for n in self.shape], self._rest))
        self._ends = list(itertools.accumulate(map(len, self._branches)))

    @property
    def is_conditional(self) -> bool:  # noqa: D102  (as the base)
        return True

    @property
    def size(self) -> int:  # noqa: D102
        return self._ends[-1] if self._branches else super().size

    def __iter__(self) -> Iterator[Point]:
        if not self._branches:
            return super().__iter__()
        return itertools.chain.from_iterable(itertools.product(*b.levels) for b in self._branches)

    def at(self, number: int) -> Point:  # noqa: D102
        if not self._branches:
            return super().at(number)
        k = bisect.bisect(self._ends, number)
        return self._branches[k].point(number - (self._ends[k] - len(self._branches[k])))

    def canonical(self, point: Point) -> Point:  # noqa: D102
        return self._filled(point) if self._branches else point

    def program(self, point: Point) -> Point:  # noqa: D102
        return super().program(self._filled(point))

    def active_at(self, levels: Sequence[int | None]) -> frozenset[int] | None:
        """As `Tree.active_at`."""
        return self._tree.active_at(levels)

    def place(self, levels: Sequence[int | None]) -> Point | None:
        """The point of a trial with these levels; None if one that it asks for is unknown."""
        active = self.active_at(levels)
        if active is None or any(levels[axis] is None for axis in active):
            return None
        known = (rest if k is None else k for k, rest in zip(levels, self._rest, strict=True))
        return self.canonical(tuple(known))

    def _filled(self, point: Point) -> Point:
        active = self.active_at(point) or ()
        return tuple(k if axis in active else self._rest[axis] for axis, k in enumerate(point))

    def within(self, levels: Sequence[Sequence[int]]) -> Iterator[Point]:
        """The points whose levels of all axes asked for are among the given ones."""
        if not self._branches:
            yield from super().within(levels)
        for branch in self._branches:
            chosen = (
                [k for k in own if k in given] if axis in branch.active else own
                for axis, (own, given) in enumerate(zip(branch.levels, levels, strict=True))
            )
            yield from itertools.product(*chosen)

    def _counted(self) -> Counts:
        if self._branches:
            return Counts(self.size, self.size, self.size, self.size)
        counts = super()._counted()
        few = counts.allowed is not None and counts.allowed <= _COUNTED
        return counts._replace(distinct=len(set(map(self.program, self))) if few else None)
