"""The first points of a search with sources: their recommendations, and evenly spread points.

Each source ranks the points of the grid by its prediction of the objective, and those that it has
measured itself by what it measured; both less the logarithm of the probability that all bounds hold
and that the measurement succeeds. The first points come from the rankings in turn (`TURNS`), except
for every `INSURED`-th one, which comes from `FirstPoints`: these cover the rest of the grid in case
the sources mislead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from scipy.special import log_ndtr

from dsice.goal import Goal
from dsice.gp.anova import Points
from dsice.gp.axis import Array
from dsice.grid import Grid, Point
from dsice.search.factors import Constraint, Feasibility, Objective
from dsice.search.lesson import Lesson
from dsice.search.sources import Sources
from dsice.search.start import FirstPoints
from dsice.search.targets import to_costs
from dsice.search.why import Advice, Estimate

INSURED: Final = 20
"""One point of so many is not recommended by a source."""
TURNS: Final = (False, True, True)
"""Which of each source's rankings is next: that of all points, or that of those it has measured.

Its measured points are more diverse, as a search has chosen them, and are known and not predicted.
"""
LEAST: Final = 5  # minimum number of recommended points
RANKED: Final = (400, 4000)  # points ranked by a source: a fiftieth of the grid, within limits


class InformedPoints:
    """The first points, the best recommendation first; a few thousand at most.

    Without a source that has learned something about the objective, they are those of
    `FirstPoints`.

    Args:
        grid: the points.
        goal: defines the objective and the bounds.
        blind: the points that no source recommends.
        capacity: how many points can be measured at the same time.
        sources: results of earlier studies.
    """

    def __init__(
        self, grid: Grid, goal: Goal, blind: FirstPoints, capacity: int, sources: Sources
    ) -> None:
        self._grid = grid
        self._goal = goal
        self._sources = sources
        self._count = max(capacity, LEAST)
        self._blind = blind
        self._order: list[Point] | None = None
        self._advice: dict[Point, Advice] = {}

    def first(self, is_taken: Callable[[Point], bool]) -> Point | None:
        """The first point that is not evaluated or pending; None if there is none."""
        for point in self._recommendations():
            if not is_taken(point):
                return point
        return self._blind.first(is_taken)

    @property
    def is_recommended(self) -> bool:
        """Whether a source recommends any point."""
        self._recommendations()
        return bool(self._advice)

    def advice(self, point: Point) -> Advice | None:
        """The recommendation of ``point``; None if no source made one."""
        return self._advice.get(point)

    def is_believed(self, point: Point) -> bool:
        """Whether ``point`` was drawn from beliefs, and no source recommended it."""
        return point not in self._advice and self._blind.is_believed(point)

    def _recommendations(self) -> list[Point]:
        if self._order is None:
            self._order = self._ordered()
        return self._order

    def _ordered(self) -> list[Point]:
        objective = Objective(self._goal, by_violation=False)
        lessons = objective.taught(self._sources)
        # Several times the same kind of ranking: each continues where the one before stopped.
        kinds = dict.fromkeys(TURNS)
        made = {kind: [self._recommended(lesson, kind) for lesson in lessons] for kind in kinds}
        waiting = deque(each for kind in TURNS for each in made[kind])
        order: dict[Point, None] = {}
        while waiting and len(order) < self._count:
            if len(order) % INSURED == INSURED - 1:
                point = self._blind.first(order.__contains__)
                if point is not None:
                    order[point] = None
                    continue
            source = waiting.popleft()
            found = next(((p, advice) for p, advice in source if p not in order), None)
            if found is not None:  # otherwise it has no further ones
                waiting.append(source)
                point, self._advice[point] = found
                order[point] = None
        return list(order)

    def _recommended(self, lesson: Lesson, measured: bool) -> Iterator[tuple[Point, Advice]]:
        """The recommendations of a source, best first."""
        ranking = self._measured(lesson) if measured else self._predicted(lesson)
        for rank, point in enumerate(ranking, start=1):
            yield point, Advice(lesson.name, rank, self._estimate(lesson, point), measured)

    def _predicted(self, lesson: Lesson) -> list[Point]:
        """The points of the grid by the source's predictions, best first."""
        few, many = RANKED
        pool = lesson.lowest(min(max(few, self._count * 4, self._grid.size // 50), many))
        return self._ranking(pool, lesson.at(np.array(pool, dtype=np.intp)))

    def _measured(self, lesson: Lesson) -> list[Point]:
        """The points that the source has measured itself, best first."""
        found = lesson.measured()
        if not found:
            return []
        return self._ranking(list(found), lesson.standardised(np.array([*found.values()])))

    def _ranking(self, pool: Sequence[Point], merits: Array) -> list[Point]:
        """Points by ``merits`` and by the probability that they are feasible."""
        at = np.array(pool, dtype=np.intp)
        for bound in self._goal.bounds:
            merits = merits - _log_chances(Constraint(bound).taught(self._sources), at, 0.0)
        merits = merits - _log_chances(Feasibility().taught(self._sources), at, -0.5)
        return [pool[k] for k in np.argsort(merits, kind="stable").tolist()]

    def _estimate(self, lesson: Lesson, point: Point) -> Estimate:
        """A source's prediction of the objective, in its own unit."""
        at = np.array([point], dtype=np.intp)
        mean, std = lesson.mean(at)[0], lesson.std(at)[0]
        ends = np.array([mean, mean - std, mean + std])
        middle, low, high = to_costs(ends, lesson.targets, lesson.values).tolist()
        if self._goal.maximize is not None:
            middle, low, high = -middle, -high, -low
        return Estimate(middle, low, high)


def _log_chances(lessons: Sequence[Lesson], points: Points, limit: float) -> Array:
    """Mean over the sources of log P(quantity <= ``limit``); success has its sign reversed."""
    if not lessons:
        return np.zeros(len(points))
    sign = 1.0 if limit == 0.0 else -1.0
    found = [
        log_ndtr((limit - sign * lesson.mean(points)) / lesson.std(points)) for lesson in lessons
    ]
    return np.asarray(np.maximum(np.mean(found, axis=0), -10.0))
