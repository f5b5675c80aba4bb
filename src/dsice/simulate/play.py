"""One play of a study in virtual time: its search, a world and a number of slots.

The loop is that of the driver: it tells the search what has ended, in the order of ends, then gives
every free slot a trial. `tests/dsice/simulate/test_play.py` holds it to the real driver.
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.incumbent import incumbents
from dsice.search.base import Search
from dsice.simulate.world import Result, World
from dsice.study.machine_time import room
from dsice.study.samples import Samples
from dsice.study.spec import FEW, LATEST
from dsice.study.task import Status


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
        samples: how many times each point is measured.
        first: points that are measured before the search's.
    """

    trials: int
    hours: float | None = None
    stages: float = 0.0
    queue: float = 0.0
    work: float | None = None
    expected: float = 0.0
    samples: int = 1
    first: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One trial as it was played; times in seconds since the study began.

    Attributes:
        point: what was measured.
        submitted: when its slot was given to it.
        ended: when its result was there, or it was ended early.
        result: what it gave, or would have given.
        ran: seconds that it ran; as the result says by default.
        stopped: whether it was ended early, and not begun again.
    """

    point: Point
    submitted: float
    ended: float
    result: Result
    ran: float | None = None
    stopped: bool = False

    @property
    def seconds(self) -> float:
        """Seconds that it ran."""
        return self.result.seconds if self.ran is None else self.ran

    @property
    def metrics(self) -> Metrics | None:
        """What it measured; None if it failed or was ended early."""
        return None if self.stopped else self.result.metrics


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
        return math.fsum(job.seconds for job in self.jobs)

    def curve(self, goal: Goal) -> list[tuple[float, float]]:
        """When each trial ended, and the best feasible cost by then, infinite before there is one.

        In the order of ends. What is best is decided as in a study, see `dsice.incumbent`.
        """
        ends = sorted(enumerate(self.jobs), key=lambda pair: (pair[1].ended, pair[0]))
        told = [(k, job.point, job.metrics) for k, job in ends]
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

    Trials that the search ends early stop at the report; paused ones go on from there.

    Args:
        search: new; made for as many points at once as there are ``slots``.
        world: what trials give.
        slots: trials at once, at most.
        terms: what the study is given.
    """
    now = terms.stages
    deadline = math.inf if terms.hours is None else terms.hours * 3600
    trials: list[_Trial] = []
    running: dict[int, _Trial] = {}
    paused: dict[Point, _Trial] = {}
    queue: list[tuple[float, int, int]] = []  # when, which trial, in which of its jobs
    worked = 0.0
    latest: deque[float] = deque(maxlen=LATEST)
    waves = _Waves(search, terms)

    def begin(points: Iterable[Point]) -> None:
        for point in points:
            trial = paused.pop(point, None)
            if trial is None:
                trial = _Trial(len(trials), point, now, world.measure(point))
                trials.append(trial)
            trial.begin(now + terms.queue)
            running[trial.number] = trial
            heapq.heappush(queue, (trial.due, trial.number, trial.jobs))

    while True:
        free = slots - len(running)
        limited = deadline < math.inf or terms.work is not None
        usual = statistics.median(latest) if limited and len(latest) >= FEW else 0.0
        if terms.work is not None:
            free = min(
                free, room(terms.work, worked, len(running), usual or terms.expected, usual > 0)
            )
        if free > 0 and now + usual < deadline:
            new = min(free, terms.trials - len(trials))
            begin(waves.next(trials, running, paused, new))
            if new < free:  # the budget is used: only paused trials may go on
                begin(search.resume(free - new))
        if not running:
            return Play(slots, terms, tuple(trial.as_job() for trial in trials))
        while queue and trials[queue[0][1]].jobs != queue[0][2]:
            heapq.heappop(queue)  # of a job that was ended
        now = queue[0][0]
        heard = False
        while queue and queue[0][0] <= now:
            _, number, job = heapq.heappop(queue)
            trial = trials[number]
            if trial.jobs != job:
                continue
            if (report := trial.next_report()) is not None:
                heard = True
                search.report(trial.point, *report)
                heapq.heappush(queue, (trial.due, number, job))
                continue
            worked += trial.end(now)
            del running[number]
            if trial.result.metrics is not None:
                latest.append(trial.result.seconds)
            seconds = trial.result.seconds or None
            search.tell(trial.point, trial.result.metrics, seconds=seconds)
        numbers = {trial.point: trial.number for trial in running.values()} if heard else {}
        for point in search.ending() if heard else ():
            trial = running.pop(numbers[point])
            worked += trial.stop(now)
            paused[point] = trial
            search.end(point, seconds=trial.ran or None)


class _Trial:
    """A trial as it is played.

    Attributes:
        number: its place in the order of submission.
        point: what is measured.
        result: what it gives at its end.
        jobs: how often it was begun or ended early.
        due: when it reports next, or ends.
    """

    def __init__(self, number: int, point: Point, submitted: float, result: Result) -> None:
        self.number, self.point, self.result = number, point, result
        self.jobs = 0
        self.due = self._ended = self._submitted = submitted
        self._reported = 0
        self._share = self._before = 0.0  # of its length that it has run, and before this job
        self._stopped = False

    def begin(self, now: float) -> None:
        """Run from where it was."""
        self.jobs += 1
        self._before = self._share
        self._stopped = False
        self._plan(now)

    def _plan(self, now: float) -> None:
        reports = self.result.reports
        goal = reports[self._reported][0] if self._reported < len(reports) else 1.0
        self.due = now + (goal - self._share) * self.result.seconds

    def next_report(self) -> tuple[float, Metrics] | None:
        """The report that is due; None if it has come to its end."""
        if self._reported == len(self.result.reports):
            return None
        report = self.result.reports[self._reported]
        self._reported += 1
        self._share = report[0]
        self._plan(self.due)
        return report

    def end(self, now: float) -> float:
        """It has come to its end; returns the seconds that this job ran."""
        self._share, self._ended = 1.0, now
        return (1.0 - self._before) * self.result.seconds

    def stop(self, now: float) -> float:
        """It was ended early; returns the seconds that this job ran."""
        self.jobs += 1
        self._stopped, self._ended = True, now
        return (self._share - self._before) * self.result.seconds

    @property
    def ran(self) -> float:
        """Seconds that it has run in all."""
        return self._share * self.result.seconds

    def as_job(self) -> Job:
        return Job(self.point, self._submitted, self._ended, self.result, self.ran, self._stopped)


class _Waves:
    """Which points begin next, as `dsice.study.proposals` chooses them."""

    def __init__(self, search: Search, terms: Terms) -> None:
        self._search, self._terms = search, terms
        self._given = deque(terms.first)

    def next(
        self,
        trials: Sequence[_Trial],
        running: Container[int],
        paused: Container[Point],
        free: int,
    ) -> list[Point]:
        """At most ``free`` points to begin after ``trials``; paused ones go on.

        Args:
            trials: so far.
            running: numbers of those that run.
            paused: points of those that were ended early.
            free: how many may begin.
        """
        terms = self._terms
        states = [
            (trial.point, _status(trial, trial.number in running, trial.point in paused))
            for trial in (trials if terms.samples > 1 else ())
        ]
        samples = Samples.of_trials(states, self._search.grid, terms.samples)
        wave = self._pend(samples.apart[:free])
        new = min(free - len(wave), samples.room(terms.trials - len(trials), len(trials)))
        given = [self._given.popleft() for _ in range(min(new, len(self._given)))]
        wave += self._pend(given)
        if new > len(given):
            wave += self._search.ask(new - len(given))
        return wave + self._pend(samples.beside[: free - len(wave)])

    def _pend(self, points: Sequence[Point]) -> list[Point]:
        for point in points:
            self._search.pend(point)
        return list(points)


def _status(trial: _Trial, runs: bool, paused: bool) -> Status:
    if runs:
        return Status.RUNNING
    if paused:
        return Status.STOPPED
    return Status.FAILED if trial.result.metrics is None else Status.DONE
