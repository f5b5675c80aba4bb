"""Which trials a session begins: samples, the user's first points, and the search's proposals."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from msgspec import UNSET, Raw

from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.search.base import Search
from dsice.search.why import Role, Why
from dsice.study.events import Event, Proposed, Verdict
from dsice.study.facts import KnownResult, Trial
from dsice.study.finalists import chosen
from dsice.study.further import search_of
from dsice.study.replay import replay, seconds_of
from dsice.study.run_table import RunConfig
from dsice.study.samples import Samples
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status

_NOTHING_MORE: Final = "the search has nothing more to propose"

T = TypeVar("T")


class Proposals:
    """Chooses the trials of a session, and tells the search of their results.

    Args:
        study: its state, which ``record`` updates.
        budget: of this session.
        record: writes an event to the journal and applies it to the study.
        stopping: how the driver was told to stop so far.

    Attributes:
        search: the search; None before `renew`, and after a signal has aborted a computation.
        goal: what the search minimizes in this session.
        computing: whether the search is computing, which a KeyboardInterrupt may abort: it writes
            nothing, and all that it knows is in the journal.
    """

    def __init__(
        self,
        study: Study,
        budget: RunConfig,
        record: Callable[[Event], None],
        stopping: Callable[[], Stop],
    ) -> None:
        self.search: Search | None = None
        self.goal: Goal = study.config.goal
        self.computing = False
        self._study = study
        self._budget = budget
        self._record = record
        self._stopping = stopping
        self._given: deque[Point] = deque()  # the user's first points, still to be proposed

    def renew(self) -> None:
        """Create the search anew and tell it all results, some of which a user may have changed."""
        self.search = self.computed(self._make_search)

    def _make_search(self) -> Search:
        search = search_of(self._study, self._budget.under_way, self._study.sessions[-1].sweep)
        self.goal = search.goal
        self._given = self._still_given()
        replay(search, self._study.calls, self._useful)
        return search

    def _still_given(self) -> deque[Point]:
        """The user's first points that are neither measured nor pending."""
        wanted, same = self._study.config.first, self._study.config.grid.program
        known = {same(each.point) for each, _ in self._study.history} if wanted else ()
        return deque(point for point in wanted if same(point) not in known)

    def computed(self, compute: Callable[[], T]) -> T | None:
        """Run a computation of the search; None if a signal aborted it.

        The search may then be in any state and is discarded: the next session creates a new one.
        """
        before = self._stopping()
        try:
            self.computing = True
            found = compute()
            self.computing = False
            return found
        except KeyboardInterrupt:
            if self._stopping() is before:  # requested again: leave at once
                raise
            self.search = None
            return None
        finally:
            self.computing = False

    def wave(self, free: int) -> tuple[list[Trial], str]:
        """The next trials to begin.

        Args:
            free: their maximum number.

        Returns:
            The trials, new ones having been recorded, and the reason why there are no more, which
            is empty if there may be some later. Nothing if a signal aborted the search.
        """
        search, study, run = self.search, self._study, self._budget
        if search is None:
            return [], ""
        wave = study.with_status(Status.WAITING)[:free]
        free -= len(wave)
        why = ""
        more = 0  # slots for paused trials, when no others may begin
        left = None if run.trials is None else run.trials - study.spent
        if left is not None and free > left:
            more = free
            free = max(0, left)
            more -= free
            why = self._used
        samples = Samples.of(study, run.samples)
        room = free
        if left is not None:
            room = samples.room(left, len(study.trials))
        free -= self._measure(search, samples.apart[:free], Role.SAMPLE, wave)
        new = min(free, room)
        if new < free:
            why = self._used
        given = [self._given.popleft() for _ in range(min(new, len(self._given)))]
        self._measure(search, given, Role.GIVEN, wave)
        free, new = free - len(given), new - len(given)
        paused = {t.point: t for t in study.with_status(Status.STOPPED)}
        if new:
            points = self.computed(lambda: search.ask(new))
            if points is None:
                return [], ""
            if not points:
                why = self.computed(lambda: search.reason) or _NOTHING_MORE
            for point in points:
                if point in paused:  # to be continued
                    wave.append(paused[point])
                else:
                    wave.append(self._propose(point, search.why(point)))
            free -= len(points)
        self._measure(search, samples.beside[:free], Role.SAMPLE, wave)
        if more:
            wave += [paused[p] for p in self.computed(lambda: search.resume(more)) or []]
        return wave, why

    @property
    def _used(self) -> str:
        return f"the budget of {self._budget.trials} trials is used"

    def _measure(
        self, search: Search, points: Sequence[Point], role: Role, wave: list[Trial]
    ) -> int:
        """Add proposals that the search did not make to ``wave``; returns their number."""
        for point in points:
            search.pend(point)
            wave.append(self._propose(point, Why(role, known=len(self._study.finished))))
        return len(points)

    def _propose(self, point: Point, why: Why | None) -> Trial:
        params = self._study.config.grid.params(point)
        said: Any = UNSET if why is None else Raw(json.dumps(why.as_json()).encode())
        self._record(Proposed(trial=len(self._study.trials) + 1, params=params, why=said))
        return self._study.trials[-1]

    def tell(self, trial: Trial, verdict: Verdict) -> None:
        """Tell the search of a trial that has ended for good."""
        if (search := self.search) is None:
            return
        seconds = seconds_of(trial)
        if verdict is Verdict.STOPPED:
            self.computed(lambda: search.end(trial.point, seconds=seconds))
        else:
            result = self._useful(trial)
            self.computed(lambda: search.tell(trial.point, result, seconds=seconds))

    def _useful(self, known: Trial | KnownResult) -> Metrics | None:
        """The metrics of a result for the search: None unless it has all metrics of the goal."""
        able = known.status is Status.DONE and self.goal.missing(known.metrics) is None
        return known.metrics if able else None

    def finalists(self, count: int) -> list[Trial]:
        """The trials to measure again at full length, best first."""
        return self.computed(lambda: chosen(self._study, self.search, count)) or []
