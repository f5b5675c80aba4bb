"""The interface of every search."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, KeysView, Sequence
from typing import ClassVar, Final

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.search.history import History
from dsice.search.ledger import Ledger
from dsice.search.why import Forecast, Origin, Why
from dsice.threads import one_blas_thread

END_BELOW: Final = 0.02
"""A trial ends early when its probability to become the best one is smaller, by default."""
NOTHING_ALLOWED: Final = "the rule allows no point of the grid"
ALL_MEASURED: Final = "every allowed point is measured"
NONE_FOUND: Final = "no other point that the rule allows was found in 20,000 tries"


class Search(ABC):
    """Decides which points to measure next.

    The life of a search:

    1. It is made by `dsice.make_search`. Measurements from elsewhere may be told at once: *prior
       knowledge*, which spares measuring these points again.
    2. `ask` hands out points; they are *pending* until `tell` reports their metrics, in any order,
       or their failure. A point is handed out once only, and never if it has been measured, except
       by a search that repeats the best one (``repeats``). Nor is one whose program is the same as
       that of such a point (`Grid.program`): a result is true for all points of its program, and a
       program goes by the first of its points that was named.
    3. It is `finished` when nothing is pending and nothing left to propose. There is no stall: if
       `ask` gives no point, either some are pending or the search is finished from then on.

    A search is a pure function of its arguments and of the calls it has received: it knows no file,
    clock or process and no random numbers but those of ``seed``. To carry on after a crash, make it
    anew and repeat the calls in their order: `pend` for each point started, `tell` for each result,
    `skip` for each point whose result was discarded.

    For implementers: `_candidates` is the algorithm, `_reason` says where a candidate came from,
    `_ended` when it is over; `_begin`, `_submit` and `_learn` are called before the first proposal,
    for each point that becomes pending and for each result.

    Args:
        grid: the points.
        goal: what to look for; its bounds must be settled.
        seed: of all random choices, 0 or more.
        capacity: how many points can be measured at the same time, 1 or more.

    Attributes:
        ledger: what is evaluated and pending.
    """

    sweeps: ClassVar[bool] = False
    """Whether it looks for a front: several objectives, or a range of bounds."""

    def __init__(
        self,
        grid: Grid,
        goal: Goal,
        *,
        seed: int = 0,
        capacity: int = 1,
        steps: Sequence[float] | None = None,
    ) -> None:
        if goal.swept and not self.sweeps:
            raise InvalidInput(
                f"the goal {str(goal)!r} asks for a whole front, which only the searches 'dsice' "
                "and 'random' look for"
            )
        for bound in goal.bounds:
            if bound.limit is None:
                raise InvalidInput(f"bound {bound.text!r} must be settled before the search starts")
        self.grid: Final = grid
        self.goal: Final = goal
        self.seed: Final = at_least("seed", seed, 0)
        self.capacity: Final = at_least("capacity", capacity, 1)
        self.ledger: Final = Ledger(grid, goal, steps)
        self._whys: dict[Point, Why] = {}
        self._begun = False

    @property
    def history(self) -> History:
        """The measurements so far."""
        return self.ledger.history

    @property
    def pending(self) -> KeysView[Point]:
        """The points handed out, or reported by `pend`, whose result is still to come."""
        return self.ledger.pending

    @one_blas_thread()
    def ask(self, count: int = 1) -> list[Point]:
        """Up to ``count`` points to measure, most wanted first; they are pending from now on.

        They are distinct programs, allowed, and were never asked, pended or measured before, but
        for repeats of the best one. There are fewer if the search has nothing more to propose
        before it is told some of the pending results.
        """
        at_least("count", count, 0)
        self._begin_once()
        points: list[Point] = []
        if count:
            for point in self._candidates():
                if not self._is_welcome(point):
                    continue
                point = self.ledger.canonical(point)
                self._whys[point] = self._why(point)
                self._submit(point)
                points.append(point)
                if len(points) == count:
                    break
        return points

    @one_blas_thread()
    def tell(self, point: Point, metrics: Metrics | None) -> None:
        """Report the metrics measured at ``point``, None if the measurement failed.

        A point that was never asked is prior knowledge. A point told again was measured again: the
        mean counts.

        Raises:
            InvalidInput: no point of the grid, or a metric of the goal is missing or not finite.
        """
        self._check(point)
        self._learn(self.ledger.record(point, metrics))

    @one_blas_thread()
    def pend(self, point: Point) -> None:
        """Count ``point`` as asked: somebody is measuring it.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        self._begin_once()
        self._submit(self.ledger.canonical(point))

    @one_blas_thread()
    def skip(self, point: Point) -> None:
        """Leave ``point`` alone: it is never handed out, and nothing is learned of it.

        What was measured there still counts.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        self._begin_once()
        self._skip(self.ledger.canonical(point))

    @one_blas_thread()
    def report(self, point: Point, step: float, metrics: Metrics) -> None:
        """Take what the trial at ``point`` reported on its way, at ``step``.

        A report that was heard before, or of an earlier step than another, changes nothing; nor
        does any if the search was made without steps.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        if self.ledger.report(point, step, metrics):
            self._hear()

    def ending(self) -> list[Point]:
        """The pending points whose trials should end now, most hopeless first; see `end`."""
        return []

    def end(self, point: Point) -> None:
        """Take the trial at the pending ``point`` as ended early.

        Its reports stay known. A search that may pause trials may hand it out again.

        Raises:
            InvalidInput: ``point`` is not pending.
        """
        self._check(point)
        if self.ledger.canonical(point) not in self.pending:
            raise InvalidInput(f"{point!r} is not pending, so that it cannot end")
        self.ledger.end(point)
        self._hear()

    def resume(self, count: int = 1) -> list[Point]:
        """Up to ``count`` paused points that are worth going on with, though no new one may begin.

        They are pending from now on.
        """
        return []

    def chance(self, point: Point) -> float | None:
        """The probability that the trial at ``point`` becomes the best feasible one.

        None if nothing is known of it, as of trials that have not reported.
        """
        return None

    def why(self, point: Point) -> Why | None:
        """Why ``point`` was handed out, the last time; None if it never was."""
        return self._whys.get(point)

    def forecast(self, points: Sequence[Point]) -> list[Forecast] | None:
        """What is expected at ``points``, measured or not, if the search had to propose now.

        None if it expects nothing: it knows too little yet, or works without expectations. To ask
        changes nothing.
        """
        return None

    @property
    def finished(self) -> bool:
        """Whether the search has nothing left to propose and waits for nothing."""
        return bool(self.reason)

    @property
    @one_blas_thread()
    def reason(self) -> str:
        """Why the search is finished, in plain words; empty while it is not."""
        return "" if self.pending else self._ended()

    def is_known(self, point: Point) -> bool:
        """Whether ``point``, or another of the same program, is measured, pending or skipped."""
        return point in self.ledger

    def _why(self, point: Point) -> Why:
        """Why ``point`` is about to be handed out."""
        origin, forecast = self._reason(point)
        known, pending = len(self.history), len(self.pending)
        return Why(
            origin.role, origin.line, known, pending, self._rival(point), forecast, origin.advice
        )

    def _rival(self, point: Point) -> Point | None:
        """The best point measured: the one that ``point`` is to improve on."""
        return self.ledger.incumbent

    @abstractmethod
    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        """Where the point that `_candidates` has just given came from, and what is expected."""

    @abstractmethod
    def _candidates(self) -> Iterator[Point]:
        """Points worth measuring now, most wanted first.

        The iterator is resumed only after the point it gave is pending, and dropped when enough
        points are found. Points known or excluded may be among them: they are left out.
        """

    @abstractmethod
    def _ended(self) -> str:
        """Why nothing will ever be proposed again if nothing is pending; empty otherwise."""

    def _begin(self) -> None:  # noqa: B027  (a hook: doing nothing is a choice)
        """Called once, before the first proposal; results until then are prior knowledge."""

    def _submit(self, point: Point) -> None:
        """Take a canonical point as pending, asked or not."""
        self.ledger.submit(point)

    def _skip(self, point: Point) -> None:
        """Take a canonical point as one to be left alone."""
        self.ledger.skip(point)

    def _learn(self, point: Point) -> None:  # noqa: B027
        """Called after each result, those before `_begin` included; with its canonical point."""

    def _hear(self) -> None:  # noqa: B027
        """Called after a report, or after a trial was ended early."""

    def _is_welcome(self, point: Point) -> bool:
        """Whether `ask` may hand out ``point``: unless a search repeats some, an unknown one."""
        return not self.is_known(point) and self.grid.allows(point)

    def _begin_once(self) -> None:
        if not self._begun:
            self._begun = True
            self._begin()

    def _check(self, point: Point) -> None:
        if point not in self.grid:
            raise InvalidInput(f"{point!r} is no point of a grid of shape {self.grid.shape}")


def at_least(name: str, value: int, least: int) -> int:
    """``value`` if it is an integer not below ``least``, else `InvalidInput`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"{name} = {value!r}: an integer of {least} or more is needed")
    return value


def positive(name: str, value: float) -> float:
    """``value`` if it is a positive finite number, else `InvalidInput`."""
    if not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
        raise InvalidInput(f"{name} = {value!r}: a positive number is needed")
    return value
