"""``dsice``: asynchronous collinear exploration on an N-dimensional d-Spline.

Whenever a worker is free, a Gaussian process conditioned on all results and pending points chooses
the next point on lines through the best points (`dsice.search.epoch`). No worker waits for another,
and no point is measured twice unless the best is to be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.base import END_BELOW, Search, at_least, positive
from dsice.search.beliefs import Beliefs
from dsice.search.epoch import Epoch
from dsice.search.factors import levelling
from dsice.search.guidance import Guidance
from dsice.search.random import Shuffled
from dsice.search.sources import Given, Sources
from dsice.search.start import FirstPoints
from dsice.search.stopping import Stopping
from dsice.search.wave import InformedPoints
from dsice.search.why import Forecast, Origin, Prospect, Role
from dsice.threads import one_blas_thread

_TAKEOVER: Final = 5  # minimum number of results for the model,
_TAUGHT_TAKEOVER: Final = 3  # the same if a source has taught it the objective
_SUCCESSES: Final = 3  # minimum number of these that did not fail
_GROWTH_OF_REPORTS: Final = 1.04  # the same for the amount of news, where trials report
_GROWTH: Final = 1.08  # refit the model when the number of results has grown by this factor


class _Fit(NamedTuple):
    """The last fit of the model.

    Attributes:
        due: number of results at which the next one is due.
        kind: whether any point was feasible, and whether any had failed.
        event: number of events before it.
    """

    due: int = 0
    kind: tuple[bool, bool] = (False, False)
    event: int = 0


class Dsice(Search):
    """The default search (``"dsice"``).

    A goal with swept metrics (several objectives, or one objective for a range of bounds) is
    optimised at all bounds at once, see `dsice.search.tradeoff`.

    The search starts with the centre and evenly spread points, one for each worker. The model takes
    over once there are five results, with sources three.

    The state is a function of the events in the ledger. The model is refitted each time the number
    of results has grown by some percent, which begins an *epoch*; within an epoch, events are
    applied one by one. Replaying the calls of an interrupted run is therefore cheap: only the
    events of the last epoch are computed.

    Args:
        tolerance: stop when no point is expected to improve the best one by more than this, in the
            objective's unit, and all its neighbours along the axes are measured; None: never. With
            swept metrics, the improvement is the mean over the bounds.
        repeats: how many times the best point is measured again, so that luck does not decide; the
            mean counts. 0: never.
        steps: increasing steps at which trials report (`report`); the last one is the full length
            of a trial. None: trials do not report.
        end_below: once some trials have run to their end, `ending` contains the trials whose
            probability of becoming the best feasible one is smaller than this. 0: none.
        pause: whether a trial that ended early can be resumed where it stopped. Then trials end
            where they are unlikely to be among the best third, and may be handed out again.
        sources: results of earlier studies of related programs: for each a grid and points with
            their metrics, None where the measurement failed; see `dsice.search.sources`.
        durations: whether measurements are to be worth their time: the search then prefers what
            promises most per expected second, learned from the seconds that `tell` is given.
        beliefs: for parameters by name, how promising each of their levels seems before any result:
            ``{"tile": [1, 2, 8, 2, 1]}``, one weight a level. They guide the first points and fade
            with results: see `dsice.search.beliefs`.
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
        steps: Sequence[float] | None = None,
        end_below: float = END_BELOW,
        pause: bool = False,
        sources: Sequence[Given] = (),
        durations: bool = False,
        beliefs: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__(grid, goal, seed=seed, capacity=capacity, steps=steps)
        self._stopping = Stopping(self.ledger, end_below, pause)
        self._tolerance = None if tolerance is None else positive("tolerance", tolerance)
        self._repeats = at_least("repeats", repeats, 0)
        if not isinstance(durations, bool):
            raise InvalidInput(f"durations = {durations!r}: true or false is needed")
        self._guidance = Guidance(
            Sources(grid, sources),
            Beliefs(grid, {} if beliefs is None else beliefs),
            durations,
            levelling(self.capacity),
        )
        first = FirstPoints(grid, seed, self._guidance.beliefs)
        self._start = InformedPoints(grid, goal, first, capacity, self._guidance.sources)
        self._shuffled = Shuffled(grid, seed)
        self._fit = _Fit()
        self._epoch: Epoch | None = None  # that of the fit, created on demand
        self._upcoming: Epoch | None = None  # that of a due fit, created by a query
        self._judged_at, self._certain = -1, False

    # -- events ------------------------------------------------------------------------------------

    def _submit(self, point: Point) -> None:
        if not self.is_known(point) and self._is_guided():
            self._fit_if_due()
        super()._submit(point)
        self._follow()

    def _skip(self, point: Point) -> None:
        super()._skip(point)
        self._follow()

    def _learn(self, point: Point) -> None:
        self._follow()

    def _follow(self) -> None:
        """Apply the latest event to the epoch."""
        self._upcoming = None
        if self._epoch is not None:
            self._epoch.apply(self.ledger.events[-1])

    # -- ending early ------------------------------------------------------------------------------

    @one_blas_thread()
    def ending(self, *, anew: bool = False) -> list[Point]:  # noqa: D102
        diverged = self._stopping.diverged()
        if self.ledger.curves is None:
            return diverged
        if not self._is_guided():
            return list(dict.fromkeys(diverged + self._stopping.waiting()))
        # The last fit may be some percent of all reports behind, the latest of a trial among them.
        if anew and self._fit.event != len(self.ledger.events):
            self._fit, self._epoch = self._fit_now(), None
        epoch = self._current_epoch()
        due = self._stopping.due(epoch.chances, epoch.standings)
        return list(dict.fromkeys(diverged + due))

    @one_blas_thread()
    def resume(self, count: int = 1) -> list[Point]:  # noqa: D102
        if self.ledger.curves is None or not self.ledger.ended:
            return []
        points = self._stopping.paused()
        if self._is_guided():
            epoch = self._current_epoch()
            points = self._stopping.worth_finishing(epoch.chances, epoch.standings)
        for point in (points := points[:count]):
            self._whys[point] = self._why(point)
            self._submit(point)
        return points

    def chance(self, point: Point) -> float | None:  # noqa: D102
        if self.ledger.curves is not None and self.ledger.curves.has_diverged(point):
            return 0.0
        return None if self._epoch is None else self._epoch.chances.get(point)

    def _to_resume(self) -> Point | None:
        if self.ledger.curves is None or not self.ledger.ended or not self._is_guided():
            return None
        epoch = self._current_epoch()
        return self._stopping.to_resume(
            epoch.chances, epoch.standings, epoch.chance_of_new, epoch.lengths
        )

    def _hear(self) -> None:
        if self._is_guided():
            self._fit_if_due()
        self._follow()

    # -- proposals ---------------------------------------------------------------------------------

    def _candidates(self) -> Iterator[Point]:
        while (point := self._next()) is not None:
            yield point

    def _next(self) -> Point | None:
        if not self._is_guided():
            first = self._start.first(self.is_known) if self._is_starting() else None
            return first or self._shuffled.first(self.is_known)
        if (again := self._to_repeat()) is not None:
            return again
        if self._is_certain():
            return None
        self._fit_if_due()
        if (paused := self._to_resume()) is not None:
            return paused
        return self._current_epoch().propose() or self._shuffled.first(self.is_known)

    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        if point in self.history:
            return Origin(Role.REPEAT), None
        if point in self.ledger.ended:
            return Origin(Role.RESUME), None
        if self._epoch is not None and (origin := self._epoch.origin(point)) is not None:
            return origin, self._epoch.forecast([point])[0]
        first = self._is_starting() and self._start.first(self.is_known) == point
        if first and (advice := self._start.advice(point)) is not None:
            return Origin(Role.SOURCE, advice=advice), None
        if first and self._start.is_believed(point):
            return Origin(Role.BELIEF), None
        return Origin(Role.START if first else Role.RANDOM), None

    def _rival(self, point: Point) -> Point | None:
        if self._epoch is None or not self.goal.swept:
            return super()._rival(point)
        return self._epoch.rival(point)

    @one_blas_thread()
    def prospects(self, limits: Sequence[Sequence[float]]) -> list[Prospect] | None:
        """Estimate what one more measurement would gain at each of several bounds.

        Does not change the search.

        Args:
            limits: for each bound, the limits of the goal's swept metrics in their own units.

        Returns:
            None while there are too few results for the model.
        """
        return self._next_epoch().prospects(limits) if self._is_guided() else None

    @one_blas_thread()
    def forecast(self, points: Sequence[Point]) -> list[Forecast] | None:  # noqa: D102
        return self._next_epoch().forecast(points) if self._is_guided() else None

    def _next_epoch(self) -> Epoch:
        """The epoch that the next proposal would use, for queries.

        A query does not perform a fit that is due: the next proposal does, and reuses the epoch
        created here unless an event comes first.
        """
        fit = self._due_fit()
        if fit == self._fit:
            return self._current_epoch()
        if self._upcoming is None:
            self._upcoming = self._made(fit)
        return self._upcoming

    def _is_starting(self) -> bool:
        takeover = _TAUGHT_TAKEOVER if self._start.is_recommended else _TAKEOVER
        return (
            len(self.ledger) < self.capacity
            or self.ledger.informed < takeover
            or self.ledger.promising < _SUCCESSES
        )

    def _is_guided(self) -> bool:
        """Whether the model proposes; otherwise the first points are used, as long as they last."""
        if not self.ledger.promising:
            return False
        return not self._is_starting() or self._start.first(self.is_known) is None

    def _fit_if_due(self) -> None:
        """Begin a new epoch after enough results; the model is fitted on demand."""
        if (fit := self._due_fit()) != self._fit:
            self._fit, self._epoch, self._upcoming = fit, self._upcoming, None

    def _due_fit(self) -> _Fit:
        """The fit that the next proposal must use."""
        now = self._fit_now()
        return self._fit if self.ledger.news < self._fit.due and now.kind == self._fit.kind else now

    def _fit_now(self) -> _Fit:
        results = self.ledger.news
        kind = (self.ledger.feasible, self.ledger.successes < len(self.history))
        growth = _GROWTH if self.ledger.curves is None else _GROWTH_OF_REPORTS
        return _Fit(int(results * growth) + 1, kind, len(self.ledger.events))

    def _current_epoch(self) -> Epoch:
        """The epoch of the last fit, with all later events applied."""
        if self._epoch is None:
            self._epoch = self._made(self._fit)
        return self._epoch

    def _made(self, fit: _Fit) -> Epoch:
        ledger = self.ledger.until(fit.event)
        seed = f"{self.seed} {fit.event}"
        epoch = Epoch(self.grid, self.goal, ledger, seed, self._guidance)
        for event in self.ledger.events[fit.event :]:
            epoch.apply(event)
        return epoch

    def _to_repeat(self) -> Point | None:
        if not self._repeats or (best := self.ledger.incumbent) is None or best in self.pending:
            return None
        return best if self.history.weight(best) <= self._repeats else None

    def _is_welcome(self, point: Point) -> bool:
        return (
            super()._is_welcome(point)
            or point == self._to_repeat()
            or (point in self.ledger.ended and point == self._to_resume())
        )

    # -- the end -----------------------------------------------------------------------------------

    def _is_certain(self) -> bool:
        """Whether no point is expected to gain more than the tolerance."""
        if self._tolerance is None or not self._fit.due or self._to_repeat() is not None:
            return False
        if self._judged_at != len(self.ledger.events):
            self._judged_at = len(self.ledger.events)
            self._certain = self._current_epoch().gain() <= self._tolerance
        return self._certain

    def _ended(self) -> str:
        if self._is_certain():
            return f"no point is expected to improve the best by more than {self._tolerance:g}"
        if self._shuffled.first(self.is_known) is not None:
            return ""
        return self._shuffled.why_none(len(self.history))
