"""One play of a study in virtual time: its search, a world and a number of slots.

The loop is that of the driver: it tells the search what has ended, in the order of ends, then gives
every free slot a trial. `tests/dsice/simulate/test_play.py` holds it to the real driver.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.incumbent import incumbents
from dsice.search.base import Search
from dsice.simulate.world import Result, World
from dsice.study.machine_time import room

# As the driver does it, see `dsice.study.spec.usual_seconds`.
_FEW: Final = 5
_LATEST: Final = 200


@dataclass(frozen=True, slots=True)
class Terms:
    """Budget and overheads of a study.

    Attributes:
        trials: most trials.
        hours: most hours of wall time, or None.
        stages: seconds that the stages before the trials take.
        queue: seconds that each trial's job waits before it begins.
        work: most seconds that all jobs of trials run, or None.
        expected: seconds that a trial is expected to take, while few have ended; 0: not known.
    """

    trials: int
    hours: float | None = None
    stages: float = 0.0
    queue: float = 0.0
    work: float | None = None
    expected: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One trial as it was played; times in seconds since the study began.

    Attributes:
        point: what was measured.
        submitted: when its slot was given to it.
        ended: when its result was there.
        result: what it gave.
    """

    point: Point
    submitted: float
    ended: float
    result: Result


@dataclass(frozen=True, slots=True)
class Play:
    """The history of one play.

    Attributes:
        slots: trials at once, at most.
        terms: what the study was given.
        jobs: in the order of submission.
    """

    slots: int
    terms: Terms
    jobs: tuple[Job, ...]

    @property
    def wall(self) -> float:
        """Seconds from the beginning to the end."""
        return max((job.ended for job in self.jobs), default=self.terms.stages)

    @property
    def work(self) -> float:
        """Seconds that all jobs of trials ran, one after another."""
        return math.fsum(job.result.seconds for job in self.jobs)

    def curve(self, goal: Goal) -> list[tuple[float, float]]:
        """When each trial ended, and the best feasible cost by then, infinite before there is one.

        In the order of ends. What is best is decided as in a study, see `dsice.incumbent`.
        """
        ends = sorted(enumerate(self.jobs), key=lambda pair: (pair[1].ended, pair[0]))
        told = [(k, job.point, job.result.metrics) for k, job in ends]
        measured = [_Measured(k, point, found) for k, point, found in told if found is not None]
        changes = {each.latest.number: each.best.metrics for each in incumbents(measured, goal)}
        best, points = math.inf, []
        for k, job in ends:
            if (metrics := changes.get(k)) is not None:
                best = goal.cost(metrics) if goal.feasible(metrics) else math.inf
            points.append((job.ended, best))
        return points


class _Measured(NamedTuple):
    """A measurement, as `dsice.incumbent` sees it."""

    number: int
    point: Point
    metrics: Metrics


def play(search: Search, world: World, slots: int, terms: Terms) -> Play:
    """Play a study to the end of its budget or of its search.

    Args:
        search: new; made for as many points at once as there are ``slots``.
        world: what trials give.
        slots: trials at once, at most.
        terms: what the study is given.
    """
    now = terms.stages
    deadline = math.inf if terms.hours is None else terms.hours * 3600
    jobs: list[Job] = []
    running: list[tuple[float, int]] = []
    worked = 0.0
    latest: deque[float] = deque(maxlen=_LATEST)
    while True:
        free = min(slots - len(running), terms.trials - len(jobs))
        limited = deadline < math.inf or terms.work is not None
        usual = statistics.median(latest) if limited and len(latest) >= _FEW else 0.0
        if terms.work is not None:
            free = min(free, room(terms.work, worked, len(running), usual or terms.expected))
        if free > 0 and now + usual < deadline:
            for point in search.ask(free):
                result = world.measure(point)
                ended = now + terms.queue + result.seconds
                heapq.heappush(running, (ended, len(jobs)))
                jobs.append(Job(point, now, ended, result))
        if not running:
            return Play(slots, terms, tuple(jobs))
        now = running[0][0]
        while running and running[0][0] <= now:
            job = jobs[heapq.heappop(running)[1]]
            worked += job.result.seconds
            if job.result.metrics is not None:
                latest.append(job.result.seconds)
            search.tell(job.point, job.result.metrics, seconds=job.result.seconds or None)
