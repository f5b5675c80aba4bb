"""What is evaluated and what is pending: the only record of it.

Points that are the same program (`Grid.program`) are *equivalent*: a result is valid for all of
them. Of equivalent points the one that was named first is the *canonical* one.
"""

from __future__ import annotations

from collections.abc import KeysView
from typing import Final, NamedTuple

from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.search.history import History


class Event(NamedTuple):
    """A point became pending, a result arrived, or a point is to be left alone.

    Attributes:
        point: the canonical one.
        is_result: whether it is a result.
        metrics: of the result, None if the measurement failed.
        is_skip: whether the point is to be left alone, and nothing is known of it.
    """

    point: Point
    is_result: bool
    metrics: Metrics | None = None
    is_skip: bool = False


class Ledger:
    """The events so far, in their order, and what follows from them.

    Args:
        grid: the points.
        goal: says what is feasible and which point is best.

    Attributes:
        history: the results.
        events: all events.
        incumbent: the best point evaluated, None if none succeeded.
        successes: number of evaluated points that did not fail.
        feasible: whether a result was feasible.
    """

    def __init__(self, grid: Grid, goal: Goal) -> None:
        self._grid = grid
        self._goal = goal
        self._canonical: dict[Point, Point] = {}  # by program
        self._pending: dict[Point, None] = {}
        self.history: Final = History(grid, goal)
        self.events: Final[list[Event]] = []
        self.incumbent: Point | None = None
        self.successes = 0
        self.feasible = False

    @property
    def pending(self) -> KeysView[Point]:
        """The points whose result is still to come, in the order of their submission."""
        return self._pending.keys()

    def __contains__(self, point: Point) -> bool:
        """Whether ``point``, or one equivalent to it, is evaluated, pending or skipped."""
        return self._grid.program(point) in self._canonical

    def __len__(self) -> int:
        """Number of points evaluated, pending or skipped, equivalent ones counted once."""
        return len(self._canonical)

    def canonical(self, point: Point) -> Point:
        """The point that stands for those equivalent to ``point``: itself if it is new."""
        return self._canonical.get(self._grid.program(point), point)

    def submit(self, point: Point) -> Point:
        """Take ``point`` as pending; returns the canonical one."""
        point = self._canonical.setdefault(self._grid.program(point), point)
        self._pending[point] = None
        self.events.append(Event(point, is_result=False))
        return point

    def skip(self, point: Point) -> Point:
        """Take ``point`` as one to be left alone; returns the canonical one."""
        point = self._canonical.setdefault(self._grid.program(point), point)
        self.events.append(Event(point, is_result=False, is_skip=True))
        return point

    def record(self, point: Point, metrics: Metrics | None) -> Point:
        """Take a result, None if the measurement failed; returns the canonical point.

        Raises:
            InvalidInput: a metric of the goal is missing or not finite.
        """
        point = self.canonical(point)
        failed_before = point not in self.history or self.history.metrics(point) is None
        self.history.add(point, metrics)
        self._canonical.setdefault(self._grid.program(point), point)
        self._pending.pop(point, None)
        self.events.append(Event(point, True, metrics))
        if metrics is not None:
            self.successes += failed_before
            self.feasible = self.feasible or self._goal.feasible(metrics)
        self._compare(point)
        return point

    def until(self, count: int) -> Ledger:
        """The ledger as it was after ``count`` events."""
        earlier = Ledger(self._grid, self._goal)
        for event in self.events[:count]:
            earlier.apply(event)
        return earlier

    def apply(self, event: Event) -> None:
        """`submit`, `record` or `skip`, whichever the event was."""
        if event.is_result:
            self.record(event.point, event.metrics)
        elif event.is_skip:
            self.skip(event.point)
        else:
            self.submit(event.point)

    def _compare(self, point: Point) -> None:
        """Keep the best point after a result at ``point``: `History.best` looks at all of them."""
        best = self.incumbent
        if point == best:  # another measurement, and perhaps a worse mean
            self.incumbent = self.history.best()
        elif self.history.metrics(point) is not None and self._grid.allows(point):
            key = self.history.key
            if best is None or (key(point), point) < (key(best), best):
                self.incumbent = point
