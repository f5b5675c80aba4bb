"""Early stopping: which trials end early, and which paused ones resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dsice.errors import InvalidInput
from dsice.grid import Point
from dsice.search.ledger import Ledger

KNOWN: Final = 3  # complete trials required before others end for good
# A trial is paused when its chance, divided by its remaining share of the length, is less than this
# share of the chance of the best new point.
PAUSE: Final = 0.1
SOONEST: Final = 0.11  # share of its length before which no trial ends: starts are often misleading
KEPT: Final = 10  # one in this many trials always runs to its end


class Stopping:
    """Decides on ends and pauses by the probability that a trial becomes the best feasible one.

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

    def due(self, chances: Mapping[Point, float], of_new: float) -> list[Point]:
        """The pending points that should end now, the least promising first.

        Args:
            chances: probabilities of unfinished trials to become the best.
            of_new: the probability of the most promising new point.
        """
        found = [
            (chances[point], point)
            for point in self._ledger.pending
            if point in chances and point not in self._ledger.history and not self._is_kept(point)
        ]
        return [point for chance, point in sorted(found) if self._ends(point, chance, of_new)]

    def _ends(self, point: Point, chance: float, of_new: float) -> bool:
        left = self._left(point)
        if not self._end_below or not 0 < left <= 1 - SOONEST:
            return False  # also if its result is about to arrive
        if self._pause:
            return chance < PAUSE * of_new * left  # (20)
        return chance < self._end_below and self._ledger.successes >= KNOWN

    def to_resume(self, chances: Mapping[Point, float], of_new: float) -> Point | None:
        """The paused point that should resume, if any."""
        if not self._pause:
            return None
        rates = [
            (chances[p] / max(self._left(p), 0.01), p)
            for p in self._ledger.ended
            if p in chances and not self._has_diverged(p)
        ]
        rate, point = max(rates, default=(0.0, None))
        return point if rate > of_new else None

    def worth_finishing(self, chances: Mapping[Point, float]) -> list[Point]:
        """The paused points that may still become the best, the most promising first."""
        if not self._pause:
            return []
        found = [
            (-chances[p], p)
            for p in self._ledger.ended
            if p in chances and not self._has_diverged(p)
        ]
        return [point for chance, point in sorted(found) if -chance >= self._end_below]

    def _has_diverged(self, point: Point) -> bool:
        return self._ledger.curves is not None and self._ledger.curves.has_diverged(point)

    def _left(self, point: Point) -> float:
        """The remaining share of a trial's length."""
        return 1.0 if self._ledger.curves is None else self._ledger.curves.left(point)

    def _is_kept(self, point: Point) -> bool:
        """Whether a trial always runs to its end, so that the curves can be learned."""
        return self._ledger.number(point) % KEPT == KEPT - 1
