"""Groups whose combinations are too many or too hard to find to be counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.allowed.columns import Indices, evaluate
from dsice.allowed.groups import Combination, Group, placed, squares
from dsice.allowed.layers import Coupled

TRIED: Final = 10_000
"""Combinations that a function is asked about, one by one: all of them where there are no more,
else those nearest to where one is wanted."""

_BEAM: Final = 2048  # number of partial combinations that are followed (beam width)
_TRIES: Final = 2**17  # maximum number of extensions tried per axis
_BLIND: Final = 4096


class Probed(Group):
    """Coupled axes with too many distinct states to be counted.

    A beam search finds some combinations: it follows a part of all partial combinations, axis by
    axis, at random or nearest to a target.

    Args:
        axes: numbers in the grid, in the order of ``coupled``.
        coupled: the axes and their conditions.
    """

    def __init__(self, axes: Sequence[int], coupled: Coupled) -> None:
        self._order: Final = tuple(axes)
        self._coupled: Final = coupled
        self.axes = tuple(sorted(axes))
        self.count = None
        self.least = len(self.draws(_BEAM, Random(0)))

    def draws(self, count: int, random: Random) -> Indices:  # noqa: D102  (as the base)
        chance = np.random.default_rng(random.getrandbits(64))
        found = self._blind(chance)
        if len(found) < count:
            followed = self._followed(lambda paths: chance.random(len(paths)))
            found = np.concatenate([found, followed])
        distinct = np.unique(found, axis=0)
        return distinct[chance.permutation(len(distinct))[:count]]

    def nearest(self, target: Combination) -> Combination | None:  # noqa: D102
        wanted = tuple(target[self.axes.index(axis)] for axis in self._order)
        found = self._followed(lambda paths: squares(paths, wanted[: paths.shape[1]]))
        if not len(found):
            found = self.draws(_BEAM, Random(0))
        if not len(found):
            return None
        distances = squares(found, target)
        return min(tuple(row) for row in found[distances == distances.min()].tolist())

    def _blind(self, chance: np.random.Generator) -> Indices:
        """Draw combinations blindly and keep the allowed ones."""
        chosen = [chance.integers(len(d.indices), size=_BLIND) for d in self._coupled.domains]
        pairs = list(zip(self._coupled.domains, chosen, strict=True))
        known = {domain.name: domain.values.take(rows) for domain, rows in pairs}
        holds = np.ones(_BLIND, dtype=bool)
        for condition in self._coupled.conditions:
            column = evaluate(condition, known)
            holds &= column.truth() & column.mask()
        return placed(self._order, [domain.indices[rows][holds] for domain, rows in pairs])

    def _followed(self, rank: Callable[[Indices], NDArray[Any]]) -> Indices:
        """The combinations reached by following the partial ones of lowest rank."""
        states = self._coupled.root()
        paths = np.zeros((1, 0), dtype=np.intp)
        for axis, domain in enumerate(self._coupled.domains):
            chosen = np.argsort(rank(paths), kind="stable")[:_BEAM]
            paths, states = paths[chosen], states.take(chosen)
            tries = max(_TRIES, 2 * len(domain.indices))
            parents, levels, states = self._coupled.expand(states, axis, tries)
            paths = np.column_stack([paths[parents], levels])
        paths = paths[states.settled.all(axis=1)]
        return placed(self._order, list(paths.T))


class Opaque(Group):
    """All axes of a grid, with a rule that can only be tested point by point.

    Args:
        shape: of the grid.
        allows: the rule.
    """

    def __init__(self, shape: Combination, allows: Callable[[Combination], bool]) -> None:
        self.axes = tuple(range(len(shape)))
        self.count = None
        self.least = 0
        self._shape: Final = shape
        self._allows: Final = allows

    def draws(self, count: int, random: Random) -> Indices:  # noqa: D102  (as the base)
        found: dict[Combination, None] = {}
        for _ in range(16 * count):
            point = tuple(random.randrange(n) for n in self._shape)
            if self._allows(point):
                found[point] = None
                if len(found) == count:
                    break
        return np.array(list(found), dtype=np.intp).reshape(len(found), len(self.axes))

    def nearest(self, target: Combination) -> Combination | None:  # noqa: D102
        # A walk away from the target, level by level, visits all in the order of distance.
        queue = [(0, target)]
        reached = {target}
        for _ in range(TRIED):
            if not queue:
                break
            distance, candidate = heapq.heappop(queue)
            if self._allows(candidate):
                return candidate
            for axis, (k, origin) in enumerate(zip(candidate, target, strict=True)):
                steps = (-1, 1) if k == origin else (1,) if k > origin else (-1,)
                for step in steps:
                    further = (*candidate[:axis], k + step, *candidate[axis + 1 :])
                    if 0 <= k + step < self._shape[axis] and further not in reached:
                        reached.add(further)
                        heapq.heappush(queue, (distance + 2 * abs(k - origin) + 1, further))
        return None
