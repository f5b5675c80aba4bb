"""Searches that proceed in rounds, written as straight algorithms."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator

from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.base import Search
from dsice.search.why import Forecast, Origin, Ray, Role

Rounds = Generator[Iterable[Point], None, str]


class RoundSearch(Search):
    """A search whose algorithm is a generator, `_rounds`.

    The generator yields the points that it needs next, a *round*, and is resumed when all their
    results are in the history. It returns the reason for its end. Points of a round that have been
    measured already are not measured again; a round without new points ends at once.

    The generator sees complete rounds only. The sequence of proposals is therefore a function of
    the results alone: neither the order in which results arrive nor the number of points asked at a
    time changes it. The generator is resumed as soon as a result completes the round, so that
    replaying the calls of an interrupted run restores its state. It starts at the first `ask` or
    `pend`; results told before are prior knowledge.
    """

    def __init__(self, grid: Grid, goal: Goal, *, seed: int = 0, capacity: int = 1) -> None:
        super().__init__(grid, goal, seed=seed, capacity=capacity)
        self._script: Rounds
        self._queue: deque[Point] = deque()  # this round's points not handed out yet, in order
        self._awaited: set[Point] = set()  # `Grid.program` of this round's points without a result
        self._origins: dict[Point, Origin] = {}
        self._end = ""

    @abstractmethod
    def _rounds(self) -> Rounds:
        """The algorithm."""

    def _begin(self) -> None:
        self._script = self._rounds()
        self._advance()

    def _skip(self, point: Point) -> None:
        # The round must end and the algorithm ranks all its points, so this one counts as failed.
        self._submit(point)
        self._learn(self.ledger.record(point, None))

    def _learn(self, point: Point) -> None:
        if self._begun:
            self._awaited.discard(self.grid.program(point))
            self._advance()

    def _advance(self) -> None:
        """Resume the generator until it needs a point without a result."""
        while not self._awaited and not self._end:
            try:
                wanted = next(self._script)
            except StopIteration as end:
                self._end = end.value
            else:
                programs: dict[Point, Point] = {}
                for point in wanted:
                    if point not in self.history:
                        programs.setdefault(self.grid.program(point), point)
                self._queue = deque(programs.values())
                self._awaited = set(programs)

    def _candidates(self) -> Iterator[Point]:
        while self._queue:
            yield self._queue.popleft()

    def _note(self, points: Iterable[Point], role: Role, line: Ray | None = None) -> None:
        """Record the role of ``points``; an earlier role is kept."""
        for point in points:
            self._origins.setdefault(self.grid.canonical(point), Origin(role, line))

    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        return self._origins[point], None

    def _ended(self) -> str:
        return self._end
