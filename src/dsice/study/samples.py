"""Samples: repeated measurements of each point against noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dsice.grid import Grid, Point
from dsice.study.state import Study
from dsice.study.task import Status


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples that are still to be measured.

    Attributes:
        number: how many each point is to have.
        owed: their number, of all points that have not failed.
        apart: points of which another sample may begin now, separate in time from the earlier
            ones: no trial of the point is pending, and one of another point has begun since.
        beside: further ones, which would run in parallel with another trial of their point, or
            directly after it.
    """

    number: int = 1
    owed: int = 0
    apart: tuple[Point, ...] = ()
    beside: tuple[Point, ...] = ()

    @classmethod
    def of(cls, study: Study, number: int) -> Samples:
        """The missing samples if each point is to be measured ``number`` times.

        The first trial of a point must succeed before it is measured again.
        """
        if number == 1:  # for each trial that begins, many trials would be gone through
            return cls(number)
        return cls.of_trials([(t.point, t.status) for t in study.trials], study.config.grid, number)

    @classmethod
    def of_trials(cls, trials: Sequence[tuple[Point, Status]], grid: Grid, number: int) -> Samples:
        """As `of`, from the points and states of all trials in the order of their beginnings."""
        if number == 1:
            return cls(number)
        points: dict[Point, list[tuple[Point, Status]]] = {}
        for trial in trials:
            points.setdefault(grid.program(trial[0]), []).append(trial)
        owed = 0
        apart, beside = [], []
        last = grid.program(trials[-1][0]) if trials else None
        for same, found in points.items():
            missing = number - len(found)
            states = {status for _, status in found}
            if missing <= 0 or states & {Status.FAILED, Status.STOPPED}:
                continue
            owed += missing
            if Status.DONE in states:
                point = found[0][0]
                free = same != last and not states & {Status.WAITING, Status.RUNNING}
                apart += [point] if free else []
                beside += [point] * (missing - free)
        return cls(number, owed, tuple(apart), tuple(beside))

    def room(self, left: int, begun: int) -> int:
        """How many new points may begin if each is to get all its samples.

        Args:
            left: trials that the budget still allows, including those that are `owed`.
            begun: how many trials have begun.
        """
        points = max(0, left - self.owed) // self.number
        return points if begun else max(1, points)
