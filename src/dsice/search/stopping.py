"""Early stopping: which trials end early, and which paused ones resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dsice.errors import InvalidInput
from dsice.grid import Point
from dsice.search.ledger import Ledger

KNOWN: Final = 3  # complete trials required before others end for good
PAUSE: Final = 0.1  # a trial is paused when its chance of ending among the best is smaller
SOONEST: Final = 0.11  # share of its length before which no trial ends: starts are often misleading
KEPT: Final = 10  # one in this many trials always runs to its end


class Stopping:
    """Decides on ends and pauses.

    A trial ends for good by its probability of becoming the best feasible one. It is paused by that
    to end in the best third of all: of many good ones under way, each is unlikely to be the best.

    Args:
        ledger: the results and reports.
        end_below: a trial ends when that probability is smaller; 0: never.
        pause: whether a trial that ended can be resumed where it stopped.
    """

    def __init__(self, ledger: Ledger, end_below: float, pause: bool) -> None:
        if not isinstance(end_below, int | float) or not 0 <= end_below < 1:
            raise InvalidInput(f"end_below = {end_below!r}: a number from 0 to below 1 is needed")
        self._ledger = ledger
        self._end_below = end_below
        self._pause = pause

    def diverged(self) -> list[Point]:
        """The pending points whose trials have diverged: these have no chance."""
        curves = self._ledger.curves
        if curves is None or not self._end_below:
            return []
        history = self._ledger.history
        return [p for p in self._ledger.pending if curves.has_diverged(p) and p not in history]

    def waiting(self) -> list[Point]:
        """The pending points that pause before there is a model to judge them by.

        The first trials of a search would all run to their ends otherwise, bad and long ones too.
        The model says later which of them resume. None of them pauses here twice.
        """
        if not self._pause:
            return []
        return [point for point in self._endable() if not self._ledger.has_ended(point)]

    def due(self, chances: Mapping[Point, float], standings: Mapping[Point, float]) -> list[Point]:
        """The pending points that should end now, the least promising first.

        Args:
            chances: probabilities of unfinished trials to become the best.
            standings: those to end among the best.
        """
        found = sorted((chances[point], point) for point in self._endable() if point in chances)
        return [point for chance, point in found if self._ends(chance, standings[point])]

    def _ends(self, chance: float, standing: float) -> bool:
        if self._pause:
            return standing < PAUSE  # (20)
        return chance < self._end_below and self._ledger.successes >= KNOWN

    def _endable(self) -> list[Point]:
        """The pending points whose trials are far enough, and their results not about to arrive."""
        if not self._end_below:
            return []
        return [
            point
            for point in self._ledger.pending
            if 0 < self._left(point) <= 1 - SOONEST
            and point not in self._ledger.history
            and not self._is_kept(point)
        ]

    def to_resume(
        self,
        chances: Mapping[Point, float],
        standings: Mapping[Point, float],
        of_new: float,
        lengths: Mapping[Point, float],
    ) -> Point | None:
        """The paused point that should resume, if any: it promises more for the rest of its length.

        Args:
            chances: as in `due`.
            standings: as in `due`.
            of_new: the probability of the most promising new point.
            lengths: lengths of unfinished trials, as multiples of that of this point.
        """
        rates = [
            (chances[p] / max(self._left(p), 0.01) / lengths.get(p, 1.0), p)
            for p in self._resumable(standings)
        ]
        rate, point = max(rates, default=(0.0, None))
        return point if rate > of_new else None

    def paused(self) -> list[Point]:
        """The paused points, those that have diverged left out."""
        if not self._pause:
            return []
        return [point for point in self._ledger.ended if not self._has_diverged(point)]

    def worth_finishing(
        self, chances: Mapping[Point, float], standings: Mapping[Point, float]
    ) -> list[Point]:
        """The paused points that may still become the best, the most promising first."""
        found = [(-chances[p], p) for p in self._resumable(standings)]
        return [point for chance, point in sorted(found) if -chance >= self._end_below]

    def _resumable(self, standings: Mapping[Point, float]) -> list[Point]:
        """The paused points that would not pause at once again, which costs their start each time.

        Args:
            standings: as in `due`; others are not known yet.
        """
        return [p for p in self.paused() if p in standings and standings[p] >= PAUSE]

    def _has_diverged(self, point: Point) -> bool:
        return self._ledger.curves is not None and self._ledger.curves.has_diverged(point)

    def _left(self, point: Point) -> float:
        """The remaining share of a trial's length."""
        return 1.0 if self._ledger.curves is None else self._ledger.curves.left(point)

    def _is_kept(self, point: Point) -> bool:
        """Whether a trial always runs to its end, so that the curves can be learned."""
        return self._ledger.number(point) % KEPT == KEPT - 1
