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
"""A trial ends early when its probability of becoming the best one is smaller, by default."""
NOTHING_ALLOWED: Final = "the rule allows no point of the grid"
ALL_MEASURED: Final = "every allowed point is measured"
NONE_FOUND: Final = "no other point that the rule allows was found in 20,000 tries"


class Search(ABC):
    """Decides which points to measure next.

    The life of a search:

    1. `dsice.make_search` creates it. Known measurements can be told at once: *prior knowledge*,
       which avoids measuring these points again.
    2. `ask` hands out points; they are *pending* until `tell` reports their metrics or their
       failure, in any order. A point is handed out only once, and never after it was measured,
       except by a search that repeats the best one (``repeats``). The same holds for equivalent
       points (`Grid.program`): a result is valid for all of them, and the first one named is the
       canonical one.
    3. It is `finished` when nothing is pending and nothing is left to propose. It never stalls: if
       `ask` returns no point, either some are pending or the search is finished from then on.

    A search is a pure function of its arguments and of the calls it has received: it uses no file,
    clock or process, and no random numbers except those of ``seed``. To resume after a crash,
    create it again and repeat the calls in order: `pend` for each point started, `tell` for each
    result, `skip` for each point whose result was discarded.

    For implementers: `_candidates` is the algorithm, `_reason` gives the origin of a candidate,
    `_ended` says when the search is over. `_begin` is called before the first proposal, `_submit`
    for each point that becomes pending, `_learn` for each result.

    Args:
        grid: the points.
        goal: what to optimise; its bounds must be settled.
        seed: of all random choices, 0 or more.
        capacity: how many points can be measured at the same time, 1 or more.

    Attributes:
        ledger: the evaluated and pending points.
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
        """The points handed out, or reported by `pend`, that have no result yet."""
        return self.ledger.pending

    @one_blas_thread()
    def ask(self, count: int = 1) -> list[Point]:
        """Hand out up to ``count`` points to measure, most wanted first; they become pending.

        They are allowed, no two are equivalent, and none was asked, pended or measured before,
        except for repeats of the best one. There are fewer if the search can propose no more until
        some pending results are told.
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
    def tell(self, point: Point, metrics: Metrics | None, *, seconds: float | None = None) -> None:
        """Report the metrics measured at ``point``, None if the measurement failed.

        A point that was never asked is prior knowledge. A point told again counts as measured
        again: its mean is used. A search with ``durations`` uses how many seconds it took.

        Raises:
            InvalidInput: no point of the grid, a metric of the goal is missing or not finite, or
                the seconds are not positive.
        """
        self._check(point)
        took = None if seconds is None else positive("seconds", seconds)
        self._learn(self.ledger.record(point, metrics, took))

    @one_blas_thread()
    def pend(self, point: Point) -> None:
        """Mark ``point`` as pending, as if it had been asked.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        self._begin_once()
        self._submit(self.ledger.canonical(point))

    @one_blas_thread()
    def skip(self, point: Point) -> None:
        """Exclude ``point``: it is never handed out, and nothing is learned about it.

        Earlier measurements of it still count.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        self._begin_once()
        self._skip(self.ledger.canonical(point))

    @one_blas_thread()
    def report(self, point: Point, step: float, metrics: Metrics) -> None:
        """Record the metrics that the running trial at ``point`` reported at ``step``.

        Ignored if the report was made before, if a later step was reported already, or if the
        search was created without steps.

        Raises:
            InvalidInput: no point of the grid.
        """
        self._check(point)
        if self.ledger.report(point, step, metrics):
            self._hear()

    def ending(self, *, anew: bool = False) -> list[Point]:
        """The pending points to end now, least promising first (`end`); ``anew``: by a new fit."""
        return []

    def end(self, point: Point, *, seconds: float | None = None) -> None:
        """Record that the trial at the pending ``point`` was ended early.

        Its reports remain known. A search with ``pause`` may hand it out again. One with
        ``durations`` uses how many seconds it has run in all.

        Raises:
            InvalidInput: ``point`` is not pending, or the seconds are not positive.
        """
        self._check(point)
        ran = None if seconds is None else positive("seconds", seconds)
        if self.ledger.canonical(point) not in self.pending:
            raise InvalidInput(f"{point!r} is not pending, so that it cannot end")
        self.ledger.end(point, ran)
        self._hear()

    def resume(self, count: int = 1) -> list[Point]:
        """Hand out up to ``count`` paused points worth resuming even if no new trial may start.

        They become pending.
        """
        return []

    def chance(self, point: Point) -> float | None:
        """The probability that the trial at ``point`` becomes the best feasible one.

        None if unknown, for example for a trial that has not reported.
        """
        return None

    def why(self, point: Point) -> Why | None:
        """Why ``point`` was last handed out; None if it never was."""
        return self._whys.get(point)

    def forecast(self, points: Sequence[Point]) -> list[Forecast] | None:
        """Predict the outcomes at ``points``, measured or not, as for a proposal made now.

        None if the search has no model or too few results. Does not change the search.
        """
        return None

    @property
    def finished(self) -> bool:
        """Whether the search has nothing left to propose and nothing is pending."""
        return bool(self.reason)

    @property
    @one_blas_thread()
    def reason(self) -> str:
        """Why the search is finished, in plain words; empty while it is not."""
        return "" if self.pending else self._ended()

    def is_known(self, point: Point) -> bool:
        """Whether ``point`` or an equivalent one is measured, pending or skipped."""
        return point in self.ledger

    def _why(self, point: Point) -> Why:
        """Why ``point`` is about to be handed out."""
        origin, forecast = self._reason(point)
        known, pending = len(self.history), len(self.pending)
        return Why(
            origin.role, origin.line, known, pending, self._rival(point), forecast, origin.advice
        )

    def _rival(self, point: Point) -> Point | None:
        """The incumbent that ``point`` should improve on."""
        return self.ledger.incumbent

    @abstractmethod
    def _reason(self, point: Point) -> tuple[Origin, Forecast | None]:
        """Origin and forecast of the point that `_candidates` has just yielded."""

    @abstractmethod
    def _candidates(self) -> Iterator[Point]:
        """Points worth measuring now, most wanted first.

        The iterator is resumed only after the point it yielded is pending, and dropped when enough
        points are found. It may yield known or excluded points, which are ignored.
        """

    @abstractmethod
    def _ended(self) -> str:
        """Why no further point will be proposed if nothing is pending; empty otherwise."""

    def _begin(self) -> None:  # noqa: B027  (a hook: doing nothing is a choice)
        """Called once, before the first proposal; results until then are prior knowledge."""

    def _submit(self, point: Point) -> None:
        """Called when a canonical point becomes pending, asked or not."""
        self.ledger.submit(point)

    def _skip(self, point: Point) -> None:
        """Called when a canonical point is skipped."""
        self.ledger.skip(point)

    def _learn(self, point: Point) -> None:  # noqa: B027
        """Called with the canonical point after each result, also before `_begin`."""

    def _hear(self) -> None:  # noqa: B027
        """Called after a report, or after a trial was ended early."""

    def _is_welcome(self, point: Point) -> bool:
        """Whether `ask` may hand out ``point``; by default, if it is unknown."""
        return not self.is_known(point) and self.grid.allows(point)

    def _begin_once(self) -> None:
        if not self._begun:
            self._begun = True
            self._begin()

    def _check(self, point: Point) -> None:
        if point not in self.grid:
            raise InvalidInput(f"{point!r} is no point of a grid of shape {self.grid.shape}")


def at_least(name: str, value: int, least: int) -> int:
    """Return ``value`` if it is an integer of at least ``least``, else raise `InvalidInput`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"{name} = {value!r}: an integer of {least} or more is needed")
    return value


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is a positive finite number, else raise `InvalidInput`."""
    if not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
        raise InvalidInput(f"{name} = {value!r}: a positive number is needed")
    return value
