"""Telling outages from bad points: quick and equal failures in a row are the machine's fault.

When the program, its disk or its licence is gone, every trial fails immediately and in the same
way. Such failures say nothing about their points. A single one looks like any other failure; the
sign of an outage is an uninterrupted row. If failures of the same kind occurred among measured
trials, points are known to cause them, and only a row that is too long for chance is an outage.

The order is that of submission, not of completion: bad points fail sooner than good ones are
measured, so the first completions are failures whenever several trials run at once.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from dsice.goal import Goal
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.study import command
from dsice.study.events import Verdict
from dsice.study.facts import Trial
from dsice.study.spec import usual_seconds
from dsice.study.state import Study
from dsice.study.task import Attempt, Status
from dsice.study.verdict import ACCIDENTS, SPARED

_QUICK: Final = 60.0  # seconds; for long trials, a share of their usual time
_SHARE: Final = 0.1
_CHANCE: Final = 1e-4  # maximum probability of a row of failures caused by points
_MARGIN: Final = 5.0  # seconds
_REMEMBERED: Final = 10_000  # jobs

_NO_FAILURE: Final = (*SPARED, Kind.REMOVED)
_Key = tuple[Kind | None, str]
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Job:
    """A job of a trial.

    Attributes:
        trial: its trial.
        attempt: which of the trial's jobs it is.
        own: whether this session submitted it.
        since: when it was first seen to run, in seconds of the driver's clock.
        seconds: its duration, once it has ended.
    """

    trial: Trial
    attempt: Attempt
    own: bool = False
    since: float | None = None
    seconds: float = 0.0
    _host: str = ""

    @property
    def folder(self) -> JobFolder:
        """Its files."""
        return self.trial.folder.job(self.attempt.number)

    @property
    def host(self) -> str:
        """Where it runs or ran; empty if unknown."""
        if self.attempt.verdict is not None:
            return self.attempt.host
        if not self._host and (owner := self.folder.claimant()) is not None:
            self._host = owner.host
        return self._host


@dataclass(frozen=True, slots=True)
class Outage:
    """Failures in a row.

    Attributes:
        jobs: that failed, the newest first.
        host: where all of them ran, if trials elsewhere did not fail in this way; else empty.
        sure: whether no pending job can still show that nothing is wrong.
    """

    jobs: tuple[Job, ...]
    host: str
    sure: bool

    @property
    def trials(self) -> int:
        """The number of failed trials."""
        return len({job.trial.number for job in self.jobs})

    @property
    def last(self) -> Job:
        """The newest of the jobs."""
        return self.jobs[0]


class Watch:
    """Watches the jobs of a study for outages of the machine.

    It continues where a killed session stopped, and judges when a further job fails.

    Args:
        study: to which the trials belong.
        few: minimum number of trials in a row for an outage; 0: never.
    """

    def __init__(self, study: Study, few: int) -> None:
        self._study = study
        self._few = few
        latest = study.trials[-_REMEMBERED:]
        jobs = [Job(trial, attempt) for trial in latest for attempt in trial.attempts]
        jobs.sort(key=lambda job: job.attempt.submitted)
        self._jobs = deque(jobs, maxlen=_REMEMBERED)  # in the order of submission
        self._under_way = {job.folder: job for job in jobs if job.attempt.verdict is None}
        self._newest: Job | None = None  # among the failed ones
        self._is_new = False  # whether it may end a row that has not been checked yet
        self._fresh: list[Job] = []  # failed since the last look
        self._longest: dict[_Key, float] = {}  # longest seconds, by kind of failure
        self._measured = any(trial.status is Status.DONE for trial in study.trials)
        for job in jobs:
            job.seconds = job.attempt.seconds

    def began(self, trial: Trial) -> None:
        """Note that this session submits the newest job of a trial."""
        job = Job(trial, trial.attempts[-1], own=True)
        self._under_way[job.folder] = job
        self._jobs.append(job)

    def runs(self, folder: JobFolder, now: float) -> None:
        """Note that a job was seen to run."""
        job = self._under_way.get(folder)
        if job is not None and job.since is None:
            job.since = now

    def ended(self, folder: JobFolder, now: float) -> None:
        """Note that a job has ended, after its end was recorded."""
        job = self._under_way.pop(folder, None)
        if job is None:
            return
        attempt = job.attempt
        job.seconds = attempt.seconds if attempt.started else now - attempt.submitted
        self._measured |= attempt.verdict is Verdict.DONE
        if _failed(attempt):
            self._newest, self._is_new = job, True
            self._fresh.append(job)
            if self._is_in_time(job):
                key = _key(attempt)
                self._longest[key] = max(self._longest.get(key, 0.0), job.seconds)

    def is_hopeless(self, outcome: Outcome, goal: Goal) -> bool:
        """Whether a single outcome shows that no other trial would do better.

        So it does if nothing was measured yet, and the program cannot be started, or succeeds
        without the metrics of the goal. A program named by a parameter may exist for other points,
        and one that ends quickly without any metrics is tried at others.
        """
        if self._measured or not self._few:
            return False
        if outcome.kind is Kind.NOT_STARTED:
            config = self._study.config
            return not set(command.fields(config.trial.command[0])) & set(config.grid.names)
        if outcome.kind is Kind.NO_METRICS:
            return not self._is_quick(outcome.ended - outcome.started)
        present = {*(outcome.metrics or ()), *outcome.others}
        return outcome.kind is Kind.OK and not present.issuperset(goal.metrics)

    def look(self, now: float) -> Outage | None:
        """A possible outage, judged from the newest failure; each is returned once."""
        self._fresh.clear()
        found = self._look(now) if self._is_new else None
        self._is_new = found is not None and not found.sure
        return found

    def _look(self, now: float) -> Outage | None:
        if self._newest is None or not self._few:
            return None
        for host in ("", self._newest.attempt.host):
            row, sure = self._row(self._newest, host, now)
            if _length(row) < self._few:
                continue
            trials = {id(job.trial) for job in row}
            rest = [trial for trial in self._study.finished if id(trial) not in trials]
            named = _only_host(row, rest)
            if _length(row) >= self._enough(rest, now) and (named or not host):
                return Outage(tuple(row), named, sure)
        return None

    def at_end(self) -> Outage | None:
        """The failures of a session in a study without any measurement."""
        if self._newest is None or not self._few or self._measured:
            return None
        row, _ = self._row(self._newest, "", math.inf)
        trials = {id(job.trial) for job in row}
        complete = all(id(trial) in trials for trial in self._study.finished)
        own = any(job.own for job in row)
        return Outage(tuple(row), "", sure=True) if own and complete and len(trials) > 1 else None

    def further(self, outage: Outage) -> list[Job]:
        """Jobs that failed in the same way as an outage since the last look or call."""
        found = [job for job in self._fresh if _alike(job, outage.last)]
        self._fresh.clear()
        return found

    def _row(self, newest: Job, host: str, now: float) -> tuple[list[Job], bool]:
        """The newest jobs that failed alike, on one host or any, and whether this is certain."""
        row: list[Job] = []
        sure = True
        for job in reversed(self._jobs):
            attempt = job.attempt
            if attempt.verdict is None:
                if job.since is None or (host and job.host != host):
                    continue
                if self._is_well(job, now):
                    break
                sure = False
            elif attempt.void or attempt.kind in _NO_FAILURE or (host and attempt.host != host):
                continue
            elif _counts(job) and _alike(job, newest) and self._is_in_time(job):
                row.append(job)
            else:
                break
        return row, sure

    def _is_well(self, job: Job, now: float) -> bool:
        """Whether a job has lived longer than the failed ones."""
        assert self._newest is not None
        patience = 2 * self._longest.get(_key(self._newest.attempt), 0.0) + _MARGIN
        return job.since is not None and now - job.since > patience

    def _is_in_time(self, job: Job) -> bool:
        # Before the first measurement, slow failures in a row are as significant as quick ones.
        early = not self._measured and job.attempt.kind not in ACCIDENTS
        return early or self._is_quick(job.seconds)

    def _is_quick(self, seconds: float) -> bool:
        return seconds <= max(_QUICK, _SHARE * (usual_seconds(self._study) or 0.0))

    def _enough(self, rest: list[Trial], now: float) -> int:
        """The length of a row that chance cannot explain, given the other trials, ``rest``."""
        assert self._newest is not None
        newest = self._newest.attempt
        same = sum(t.status is Status.FAILED and _key(t.attempts[-1]) == _key(newest) for t in rest)
        if not same:
            return 0
        count = len(rest) + sum(self._is_well(job, now) for job in self._under_way.values())
        return math.ceil(math.log(_CHANCE) / math.log((same + 1) / (count + 2)))


def _length(row: list[Job]) -> int:
    """The number of trials in a row; attempts of one trial count once, except accidents."""
    return len(
        {
            (job.trial.number, job.attempt.number if job.attempt.kind in ACCIDENTS else 0)
            for job in row
        }
    )


def _only_host(row: list[Job], rest: list[Trial]) -> str:
    """The host of all jobs in a row, if trials were measured on other hosts."""
    hosts = {job.attempt.host for job in row}
    well = {trial.attempts[-1].host for trial in rest if trial.status is Status.DONE}
    return hosts.pop() if len(hosts) == 1 and well - hosts else ""


def _counts(job: Job) -> bool:
    return not job.attempt.void and _failed(job.attempt)


def _failed(attempt: Attempt) -> bool:
    """Whether a failure may be the machine's fault.

    It is not if the program did its work and returned something other than a number.
    """
    if attempt.verdict in (None, Verdict.DONE) or attempt.kind is Kind.OK:
        return False
    return attempt.kind not in _NO_FAILURE


def _alike(job: Job, other: Job) -> bool:
    return _key(job.attempt) == _key(other.attempt)


def _key(attempt: Attempt) -> _Key:
    """The key of equal failures: the kind, and the message without its numbers."""
    # Output in place of metrics does not say what is wrong.
    words = "" if attempt.kind is Kind.NO_METRICS else _NUMBER.sub("#", attempt.reason)
    return attempt.kind, words
