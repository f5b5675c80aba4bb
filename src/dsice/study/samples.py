"""Samples: each point is measured several times, so that noise does not decide."""

from __future__ import annotations

from dataclasses import dataclass

from dsice.grid import Point
from dsice.study.facts import Status, Trial
from dsice.study.state import Study


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples that are still to be measured.

    Attributes:
        owed: how many, of all points that have not failed.
        apart: points of which one more may begin now, apart in time from those before it: none of
            the point's trials is under way.
        beside: further ones, that would run beside another trial of their point.
    """

    owed: int = 0
    apart: tuple[Point, ...] = ()
    beside: tuple[Point, ...] = ()

    @classmethod
    def of(cls, study: Study, number: int) -> Samples:
        """What is missing where each point is to be measured ``number`` times.

        The first trial of a point must have ended well before it is measured again.
        """
        if number == 1:
            return cls()
        points: dict[Point, list[Trial]] = {}
        for trial in study.trials:
            points.setdefault(study.config.grid.program(trial.point), []).append(trial)
        owed = 0
        apart, beside = [], []
        for trials in points.values():
            missing = number - len(trials)
            states = {trial.status for trial in trials}
            if missing <= 0 or states & {Status.FAILED, Status.STOPPED}:
                continue
            owed += missing
            if Status.DONE in states:
                point = trials[0].point
                free = not states & {Status.WAITING, Status.RUNNING}
                apart += [point] if free else []
                beside += [point] * (missing - free)
        return cls(owed, tuple(apart), tuple(beside))
