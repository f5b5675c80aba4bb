"""Simulated jobs in virtual time, for planning campaigns and for tests.

Nothing waits: when there is nothing to do, the clock advances to the end of the next job.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome

Program = Callable[[JobSpec], tuple[Outcome, float]]
"""What a job would return, and after how many seconds."""


class VirtualClock:
    """A clock that advances when somebody waits.

    Args:
        time: its initial Unix time in seconds.
    """

    def __init__(self, time: float = 0.0) -> None:
        self._time = time
        self.next_event: Callable[[], float | None] = lambda: None
        """When something will happen next, if anything will."""

    def now(self) -> float:
        """Unix time in seconds."""
        return self._time

    def sleep(self, seconds: float) -> None:
        """Advance to the next event, sooner or later; by ``seconds`` if there is none."""
        event = self.next_event()
        self._time = self._time + seconds if event is None else max(self._time, event)


class SimulatedLauncher(Launcher):
    """Runs any number of jobs at once in virtual time.

    Their files are real: folders, claims and outcomes are like those of other launchers.

    Args:
        clock: advanced to the ends of jobs.
        program: gives the results of jobs, and how long they take.

    Attributes:
        runs: beginning and end of each job, in seconds of the clock.
    """

    def __init__(self, clock: VirtualClock, program: Program) -> None:
        self._clock = clock
        self._program = program
        self._ends: list[tuple[float, int, JobFolder, Outcome]] = []
        self._number = count()
        self._over: list[JobFolder] = []
        self.runs: list[tuple[float, float]] = []
        clock.next_event = lambda: self._ends[0][0] if self._ends else None

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Begin the jobs now."""
        now = self._clock.now()
        for job in jobs:
            if not job.claim("job"):
                self._over.append(job)
                continue
            outcome, seconds = self._program(job.spec())
            ended = now + seconds
            outcome = replace(outcome, started=now, ended=ended, host=outcome.host or "simulated")
            heapq.heappush(self._ends, (ended, next(self._number), job, outcome))
            self.runs.append((now, ended))

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        while self._ends and self._ends[0][0] <= self._clock.now():
            _, _, job, outcome = heapq.heappop(self._ends)
            job.finish(outcome)
            self._over.append(job)
        states = dict.fromkeys((job for _, _, job, _ in self._ends), JobState.RUNNING)
        states |= {job: _state(job) for job in self._over}
        self._over.clear()
        return states

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs now."""
        gone = set(jobs)
        for _, _, job, outcome in self._ends:
            if job in gone:
                now = self._clock.now()
                job.finish(replace(outcome, kind=Kind.CANCELLED, reason="cancelled", ended=now))
                self._over.append(job)
        self._ends = [entry for entry in self._ends if entry[2] not in gone]
        heapq.heapify(self._ends)

    def reattach(self, job: JobFolder) -> JobState:
        """The state of a job of an earlier driver; running ones are followed further."""
        if not job.path.exists() or job.claim("driver"):
            return JobState.REVOKED
        if any(job == other for _, _, other, _ in self._ends):
            return JobState.RUNNING
        return _state(job)


def _state(job: JobFolder) -> JobState:
    if job.has_ended():
        return JobState.ENDED
    owner = job.claimant()
    return JobState.REVOKED if owner is None or owner.by == "driver" else JobState.LOST
