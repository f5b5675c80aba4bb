"""Samples: repeated measurements of each point against noise."""

from __future__ import annotations

from dataclasses import dataclass

from dsice.grid import Point
from dsice.study.facts import Status, Trial
from dsice.study.state import Study


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples that are still to be measured.

    Attributes:
        owed: their number, of all points that have not failed.
        apart: points of which another sample may begin now, separate in time from the earlier
            ones: no trial of the point is pending, and one of another point has begun since.
        beside: further ones, which would run in parallel with another trial of their point, or
            directly after it.
    """

    owed: int = 0
    apart: tuple[Point, ...] = ()
    beside: tuple[Point, ...] = ()

    @classmethod
    def of(cls, study: Study, number: int) -> Samples:
        """The missing samples if each point is to be measured ``number`` times.

        The first trial of a point must succeed before it is measured again.
        """
        if number == 1:
            return cls()
        points: dict[Point, list[Trial]] = {}
        for trial in study.trials:
            points.setdefault(study.config.grid.program(trial.point), []).append(trial)
        owed = 0
        apart, beside = [], []
        last = study.config.grid.program(study.trials[-1].point) if study.trials else None
        for same, trials in points.items():
            missing = number - len(trials)
            states = {trial.status for trial in trials}
            if missing <= 0 or states & {Status.FAILED, Status.STOPPED}:
                continue
            owed += missing
            if Status.DONE in states:
                point = trials[0].point
                free = same != last and not states & {Status.WAITING, Status.RUNNING}
                apart += [point] if free else []
                beside += [point] * (missing - free)
        return cls(owed, tuple(apart), tuple(beside))
