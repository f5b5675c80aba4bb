"""``dsice``: asynchronous collinear exploration on an N-dimensional d-Spline.

Whenever a worker is free, the next point is chosen on lines through the best points, by the surface
that all results so far and all points under way define (`dsice.search.guide`). No worker waits for
another, and nothing is measured twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.search.base import ALL_MEASURED, NOTHING_ALLOWED, Search, at_least, positive
from dsice.search.guide import Guide
from dsice.search.history import History
from dsice.search.random import Shuffled
from dsice.search.start import FirstPoints
from dsice.search.tradeoff import Prospect
from dsice.search.why import Forecast, Origin, Role
from dsice.threads import one_blas_thread

_TAKEOVER: Final = 5  # results that the surface needs at least
_SUCCESSES: Final = 3  # of them that did not fail
_GROWTH: Final = 1.08  # the surface is fitted anew when there are so many times the results


class Dsice(Search):
    """The default search (``"dsice"``).

    A goal with swept metrics (several objectives, or one for a range of bounds) is looked for at
    all bounds at once: see `dsice.search.tradeoff`.

    It starts with central, spread-out points, one for each worker; the surface takes over as soon
    as five results are known.

    The state is a function of the calls received so far: an *event* for each point that became
    pending and for each result. The surface is fitted anew each time the results have grown by some
    percent; between two fits it takes up events one by one. To repeat the calls of an earlier life
    therefore costs little: only what follows the last fit is gone through in earnest.

    Args:
        tolerance: stop when no point is expected to improve the best one by more than this, in the
            objective's unit, and all its neighbours along the axes are measured; None: never. With
            swept metrics the improvement is the mean over the bounds.
        repeats: how many times the best point is measured again, so that luck does not decide; the
            mean counts. 0: never.
    """

    sweeps = True

    def __init__(
        self,
        grid: Grid,
        goal: Goal,
        *,
        seed: int = 0,
        capacity: int = 1,
        tolerance: float | None = None,
        repeats: int = 0,
    ) -> None:
        super().__init__(grid, goal, seed=seed, capacity=capacity)
        self._tolerance = None if tolerance is None else positive("tolerance", tolerance)
        self._repeats = at_least("repeats", repeats, 0)
        self._start = FirstPoints(grid, seed)
        self._shuffled = Shuffled(grid, seed)
        self._events: list[tuple[Point, Metrics | None, bool]] = []  # the last: is it a result?
        self._measured: dict[Point, bool] = {}  # and whether it succeeded
        self._successes = 0
        self._taken: set[Point] = set()  # programs
        self._feasible = False
        self._fit_at = 0  # number of results at which the next fit is due
        self._fitted_on = (False, False)
        self._fit_event = 0
        self._guide: Guide | None = None
        self._seen = History(grid, goal)  # what the guide was told
        self._judged_at, self._certain = -1, False

    # -- events ------------------------------------------------------------------------------------

    def _learn(self, point: Point, metrics: Metrics | None) -> None:
        self._events.append((point, metrics, True))
        self._taken.add(self.grid.program(point))
        succeeded = self._measured.get(point, False)
        self._measured[point] = succeeded or metrics is not None
        self._successes += self._measured[point] - succeeded
        self._feasible = self._feasible or (metrics is not None and self.goal.feasible(metrics))
        if self._guide is not None:
            self._seen.add(point, metrics)
            self._guide.learn(point)

    def _expect(self, point: Point) -> None:
        if not self._is_taken(point) and self._is_guided():
            self._fit_if_due()
        self._events.append((point, None, False))
        self._taken.add(self.grid.program(point))
        if self._guide is not None:
            self._guide.pend(point)

    # -- proposals ---------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Point]:
        while (point := self._next()) is not None:
            yield point

    def _next(self) -> Point | None:
        if not self._is_guided():
            first = self._start.first(self._is_taken) if self._is_starting() else None
            return first or self._shuffled.first(self.is_known)
        if (again := self._to_repeat()) is not None:
            return again
        if self._is_certain():
            return None
        self._fit_if_due()
        return self._told_guide().propose() or self._shuffled.first(self.is_known)

    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        if point in self.history:
            return Origin(Role.REPEAT), None
        if self._guide is not None and (origin := self._guide.origin(point)) is not None:
            return origin, self._guide.forecast([point])[0]
        first = self._is_starting() and self._start.first(self._is_taken) == point
        return Origin(Role.START if first else Role.RANDOM), None

    def _rival(self, point: Point) -> Point | None:
        if self._guide is None or not self.goal.swept:
            return super()._rival(point)
        return self._guide.rival(point)

    @one_blas_thread()
    def prospects(self, limits: Sequence[Sequence[float]]) -> list[Prospect] | None:
        """What one more measurement is expected to gain at each of several bounds.

        To ask changes nothing.

        Args:
            limits: for each bound the limits of the goal's swept metrics, in their own units.

        Returns:
            None while too little is known for the surfaces.
        """
        if not self._is_guided():
            return None
        with self._fitted() as guide:
            return guide.prospects(limits)

    @one_blas_thread()
    def forecast(self, points: Sequence[Point]) -> list[Forecast] | None:  # noqa: D102
        if not self._is_guided():
            return None
        with self._fitted() as guide:
            return guide.forecast(points)

    @contextmanager
    def _fitted(self) -> Iterator[Guide]:
        """The guide as the next proposal would find it, for questions.

        A proposal may be due for a new fit, which a question must not bring about.
        """
        before = self._fit_at, self._fitted_on, self._fit_event, self._guide, self._seen
        try:
            self._fit_if_due()
            yield self._told_guide()
        finally:
            self._fit_at, self._fitted_on, self._fit_event, self._guide, self._seen = before

    def _is_taken(self, point: Point) -> bool:
        return self.grid.program(point) in self._taken

    def _is_starting(self) -> bool:
        return (
            len(self._taken) < self.capacity
            or len(self._measured) < _TAKEOVER
            or self._successes < _SUCCESSES
        )

    def _is_guided(self) -> bool:
        """Whether the surface decides; otherwise the first points do, while there are any."""
        if not self._successes:
            return False
        return not self._is_starting() or self._start.first(self._is_taken) is None

    def _fit_if_due(self) -> None:
        kind = (self._feasible, self._successes < len(self._measured))
        if len(self._measured) < self._fit_at and kind == self._fitted_on:
            return
        self._fit_at = int(len(self._measured) * _GROWTH) + 1
        self._fitted_on = kind
        self._fit_event = len(self._events)
        self._guide = None

    def _told_guide(self) -> Guide:
        """The guide of the last fit, told all events since."""
        if self._guide is None:
            self._seen = History(self.grid, self.goal)
            pending: dict[Point, None] = {}
            for point, metrics, is_result in self._events[: self._fit_event]:
                if is_result:
                    self._seen.add(point, metrics)
                    pending.pop(point, None)
                else:
                    pending[point] = None
            seed = f"{self.seed} {self._fit_event}"
            self._guide = Guide(self.grid, self.goal, self._seen, pending, seed)
            for point, metrics, is_result in self._events[self._fit_event :]:
                if is_result:
                    self._seen.add(point, metrics)
                    self._guide.learn(point)
                else:
                    self._guide.pend(point)
        return self._guide

    def _to_repeat(self) -> Point | None:
        if not self._repeats or (best := self.history.best()) is None or best in self.pending:
            return None
        return best if self.history.weight(best) <= self._repeats else None

    def _is_welcome(self, point: Point) -> bool:
        return super()._is_welcome(point) or point == self._to_repeat()

    # -- the end -----------------------------------------------------------------------------------

    def _is_certain(self) -> bool:
        """Whether nothing worth the tolerance is to be gained."""
        if self._tolerance is None or not self._fit_at or self._to_repeat() is not None:
            return False
        if self._judged_at != len(self._events):
            self._judged_at = len(self._events)
            self._certain = self._told_guide().gain() <= self._tolerance
        return self._certain

    def _ended(self) -> str:
        if self._is_certain():
            return f"no point is expected to improve the best by more than {self._tolerance:g}"
        if self._shuffled.first(self.is_known) is not None:
            return ""
        return ALL_MEASURED if len(self.history) else NOTHING_ALLOWED
