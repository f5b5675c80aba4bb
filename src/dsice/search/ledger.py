"""The ledger: the only record of which points are evaluated and pending.

Points with the same `Grid.program` are *equivalent*: a result is valid for all of them. The one
that was named first is the *canonical* one; the grid chooses its levels on axes that do not apply.
"""

from __future__ import annotations

from collections.abc import KeysView, Sequence
from typing import Final, NamedTuple

from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.search.curves import Curves
from dsice.search.history import History


class Event(NamedTuple):
    """An event: a point became pending, ended early, reported, has a result, or is skipped.

    Attributes:
        point: the canonical one.
        is_result: whether it is a result.
        metrics: those of the result, None if the measurement failed; or the reported ones.
        is_skip: whether the point is skipped without a result.
        step: that of a report.
        is_end: whether the trial was ended early.
        seconds: how long the measurement took, or had taken when it was ended, if known.
    """

    point: Point
    is_result: bool
    metrics: Metrics | None = None
    is_skip: bool = False
    step: float | None = None
    is_end: bool = False
    seconds: float | None = None

    @property
    def is_start(self) -> bool:
        """Whether the point became pending."""
        return not (self.is_result or self.is_skip or self.is_end or self.step is not None)


class Ledger:
    """The events so far in order, and the state that follows from them.

    Args:
        grid: the points.
        goal: defines what is feasible and which point is best.
        steps: at which trials report; None if they do not.

    Attributes:
        curves: the reported values, None if trials do not report.
        history: the results.
        events: all events.
        incumbent: the best evaluated point, None if none succeeded.
        successes: number of evaluated points that did not fail.
        feasible: whether a result was feasible.
    """

    def __init__(self, grid: Grid, goal: Goal, steps: Sequence[float] | None = None) -> None:
        self._grid = grid
        self._goal = goal
        self._steps = steps
        self._ended: dict[Point, None] = {}
        self._have_ended: set[Point] = set()
        self._lengths: dict[Point, float] = {}  # expected seconds of trials that were ended
        self.curves: Final = None if steps is None else Curves(goal, steps)
        self._canonical: dict[Point, Point] = {}  # by `Grid.program`
        self._numbers: dict[Point, int] = {}
        self._pending: dict[Point, None] = {}
        self.history: Final = History(grid, goal)
        self.events: Final[list[Event]] = []
        self.incumbent: Point | None = None
        self.successes = 0
        self.feasible = False

    @property
    def pending(self) -> KeysView[Point]:
        """The points without a result yet, in the order of their submission."""
        return self._pending.keys()

    @property
    def ended(self) -> KeysView[Point]:
        """The points that were ended early and are neither pending again nor evaluated."""
        return self._ended.keys()

    @property
    def informed(self) -> int:
        """Number of points with any information: evaluated, or reported at a rung."""
        if self.curves is None:
            return len(self.history)
        return len(self.history) + len(self.unfinished())

    @property
    def promising(self) -> int:
        """Number of points that succeeded, or have reported and may still succeed."""
        return self.successes + (len(self.unfinished()) if self.curves is not None else 0)

    @property
    def news(self) -> int:
        """Number of results and of values reported at rungs."""
        if self.curves is None:
            return len(self.history)
        return max(len(self.history), self.curves.count)

    def unfinished(self) -> list[Point]:
        """The points that have reported and have no result, pending ones first."""
        if self.curves is None:
            return []
        return [
            point
            for point in (*self._pending, *self._ended)
            if point not in self.history and self.curves.reached(point) >= 0
        ]

    def __contains__(self, point: Point) -> bool:
        """Whether ``point`` or an equivalent one is evaluated, pending or skipped."""
        return self._grid.program(point) in self._canonical

    def __len__(self) -> int:
        """Number of points evaluated, pending or skipped, equivalent ones counted once."""
        return len(self._canonical)

    def number(self, point: Point) -> int:
        """How many other points had been named before ``point``."""
        return self._numbers[self.canonical(point)]

    def canonical(self, point: Point) -> Point:
        """The canonical point of those equivalent to ``point``: itself if it is new."""
        found = self._canonical.get(self._grid.program(point))
        return self._grid.canonical(point) if found is None else found

    def submit(self, point: Point) -> Point:
        """Mark ``point`` as pending; return the canonical one."""
        point = self._named(point)
        self._pending[point] = None
        self._ended.pop(point, None)
        self.events.append(Event(point, is_result=False))
        return point

    def skip(self, point: Point) -> Point:
        """Exclude ``point`` from proposals; return the canonical one."""
        point = self._named(point)
        self.events.append(Event(point, is_result=False, is_skip=True))
        return point

    def record(self, point: Point, metrics: Metrics | None, seconds: float | None = None) -> Point:
        """Record a result, None if the measurement failed; return the canonical point.

        Raises:
            InvalidInput: a metric of the goal is missing or not finite.
        """
        point = self.canonical(point)
        failed_before = not self.history.succeeded(point)
        self.history.add(point, metrics, seconds)
        self._named(point)
        self._pending.pop(point, None)
        self._ended.pop(point, None)
        if self.curves is not None:
            self.curves.complete(point, metrics)
        self.events.append(Event(point, True, metrics, seconds=seconds))
        if metrics is not None:
            self.successes += failed_before
            self.feasible = self.feasible or self._goal.feasible(metrics)
        self._compare(point)
        return point

    def report(self, point: Point, step: float, metrics: Metrics) -> bool:
        """Record a report of a running trial; return whether it was news."""
        point = self.canonical(point)
        if self.curves is None or not self.curves.is_news(point, step, metrics):
            return False
        self.curves.report(point, step, metrics)
        self.events.append(Event(point, False, metrics, step=step))
        return True

    def end(self, point: Point, seconds: float | None = None) -> None:
        """Record that a pending trial was ended early, after ``seconds`` in all, if known."""
        point = self.canonical(point)
        self._pending.pop(point, None)
        self._ended[point] = None
        self._have_ended.add(point)
        done = 0.0 if self.curves is None else 1 - self.curves.left(point)
        if seconds is not None and done:
            self._lengths[point] = seconds / done
        self.events.append(Event(point, False, is_end=True, seconds=seconds))

    def has_ended(self, point: Point) -> bool:
        """Whether a trial was ever ended early, though it may have been resumed."""
        return self.canonical(point) in self._have_ended

    def foreseen(self) -> dict[str, dict[Point, float]]:
        """Use predictions from reports as the results of unfinished trials.

        Returns:
            for each metric, the lags of these points (`dsice.gp.lags`).
        """
        points = self.unfinished()
        if self.curves is None or not points:
            return {}
        found, lags = self.curves.foreseen(points)
        for point, metrics in zip(points, found, strict=True):
            self.history.foresee(point, metrics, self._lengths.get(point))
        return {name: dict(zip(points, each.tolist(), strict=True)) for name, each in lags.items()}

    def until(self, count: int) -> Ledger:
        """The ledger as it was after ``count`` events."""
        if count == len(self.events) and self.curves is None:
            return self._copy()
        earlier = Ledger(self._grid, self._goal, self._steps)
        for event in self.events[:count]:
            earlier.apply(event)
        return earlier

    def _copy(self) -> Ledger:
        """A copy as by replaying all events, without validating results again."""
        copy = Ledger(self._grid, self._goal)
        copy.history.take_over(self.history)
        copy.events.extend(self.events)
        copy._canonical.update(self._canonical)
        copy._numbers.update(self._numbers)
        copy._pending.update(self._pending)
        copy._ended.update(self._ended)
        copy.incumbent, copy.successes, copy.feasible = (
            self.incumbent,
            self.successes,
            self.feasible,
        )
        return copy

    def apply(self, event: Event) -> None:
        """Apply an event of another ledger."""
        if event.is_result:
            self.record(event.point, event.metrics, event.seconds)
        elif event.is_skip:
            self.skip(event.point)
        elif event.step is not None:
            self.report(event.point, event.step, event.metrics or {})
        elif event.is_end:
            self.end(event.point, event.seconds)
        else:
            self.submit(event.point)

    def _named(self, point: Point) -> Point:
        point = self.canonical(point)
        self._canonical.setdefault(self._grid.program(point), point)
        self._numbers.setdefault(point, len(self._numbers))
        return point

    def _compare(self, point: Point) -> None:
        """Update the incumbent after a result; `History.best` would search all points."""
        best = self.incumbent
        if point == best:  # measured again, so its mean may be worse
            self.incumbent = self.history.best()
        elif self.history.metrics(point) is not None and self._grid.allows(point):
            key = self.history.key
            if best is None or (key(point), point) < (key(best), best):
                self.incumbent = point
