"""The candidates of an epoch: points in numbered slots, with their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsice.grid import Grid, Point
from dsice.search.model import Model
from dsice.search.why import Origin, Role

ANYWHERE: Final = Origin(Role.FAR)


class Pool:
    """Candidates: allowed points, neither evaluated nor pending.

    Args:
        grid: the points.
        model: scores the candidates; it holds the candidates' rows in the same slots.
        size: number of candidates kept when full; the capacity is twice as large.

    Attributes:
        origins: origins of the candidates, by slot.
    """

    def __init__(self, grid: Grid, model: Model, size: int) -> None:
        self._grid = grid
        self._model = model
        self._size = size
        self._slot: dict[Point, int] = {}
        self._at: list[Point] = [()] * (2 * size)
        self._programs: list[Point] = [()] * (2 * size)
        self.origins = [ANYWHERE] * (2 * size)
        self._apart: set[Point] = set()  # candidates that are on no line
        self._free = list(range(2 * size - 1, -1, -1))
        self._scores = np.full(2 * size, -np.inf)

    def __len__(self) -> int:
        return len(self._slot)

    @property
    def slots(self) -> NDArray[np.intp]:
        """The slots in use, in the order in which the candidates were added."""
        return np.array(list(self._slot.values()), dtype=np.intp)

    @property
    def leader(self) -> Point | None:
        """The candidate with the largest score (`Model.scores`)."""
        return self._at[int(np.argmax(self._scores))] if self._slot else None

    @property
    def largest(self) -> float:
        """Its score; -inf without candidates."""
        return float(self._scores.max())

    def at(self, slot: int) -> Point:
        """The candidate in a slot."""
        return self._at[slot]

    def slot(self, point: Point) -> int | None:
        """The slot of a candidate; None if ``point`` is not a candidate."""
        return self._slot.get(point)

    def slots_of(self, points: Sequence[Point]) -> NDArray[np.intp] | None:
        """The slots of candidates; None if any of ``points`` is not a candidate."""
        found = [self._slot.get(point, -1) for point in points]
        return None if -1 in found else np.array(found, dtype=np.intp)

    def origin(self, point: Point) -> Origin | None:
        """The origin of a candidate; None if ``point`` is not a candidate."""
        slot = self._slot.get(point)
        return None if slot is None else self.origins[slot]

    def scatter(self, points: Iterable[Point], origin: Origin, most: int | None = None) -> None:
        """Add points that are on no line; ``most`` as in `add`."""
        found = dict.fromkeys(map(self._grid.canonical, points), origin)
        self._take(found, most)
        self._apart.update(p for p in found if self.origin(p) is origin)

    def add(self, found: Mapping[Point, Origin], most: int) -> bool:
        """Add the points that are new and allowed; return whether there were any.

        Of more than ``most``, only the most promising ones are added, by a rough estimate.
        """
        found = {self._grid.canonical(point): origin for point, origin in found.items()}
        return self._take(found, most)

    def _take(self, found: Mapping[Point, Origin], most: int | None = None) -> bool:
        """`add` for canonical points."""
        for point in self._apart & found.keys():
            if found[point].line is not None:  # it is on a line as well
                self.origins[self._slot[point]] = found[point]
                self._apart.discard(point)
        new = [
            point
            for point in found
            if point not in self._slot
            and point not in self._model.ledger
            and self._grid.allows(point)
        ]
        if most is not None and len(new) > most:
            values = self._model.roughly(np.array(new, dtype=np.intp))
            leading = np.argsort(-values, kind="stable")[:most]
            new = [new[k] for k in np.sort(leading).tolist()]
        if len(new) > len(self._free):
            ranking = np.argsort(-self._scores[self.slots], kind="stable")
            candidates = list(self._slot)
            kept = max(0, 2 * self._size - max(len(new), self._size))
            self._remove([candidates[k] for k in ranking[kept:].tolist()])
            new = new[: len(self._free)]
        if not new:
            return False
        slots = np.array([self._free.pop() for _ in new], dtype=np.intp)
        for point, slot in zip(new, slots.tolist(), strict=True):
            self._slot[point] = slot
            self._at[slot] = point
            self.origins[slot] = found[point]
            self._programs[slot] = self._grid.program(point)
        self._model.fill(slots, np.array(new, dtype=np.intp))
        self._scores[slots] = self._model.scores(slots)
        return True

    def discard(self, point: Point) -> None:
        """Remove the candidates that are equivalent to ``point``."""
        if not self._grid.only_ratios_of:
            self._remove([point] if point in self._slot else [])
        else:
            program = self._grid.program(point)
            self._remove([p for p, s in self._slot.items() if self._programs[s] == program])

    def _remove(self, candidates: Iterable[Point]) -> None:
        for point in candidates:
            slot = self._slot.pop(point)
            self._apart.discard(point)
            self._scores[slot] = -np.inf
            self._free.append(slot)

    def refresh(self) -> None:
        """Score all candidates again after the model changed."""
        if slots := sorted(self._slot.values()):
            self._scores[slots] = self._model.scores(np.array(slots, dtype=np.intp))
