"""Submission to a batch system: as fast as the rate limit and the system allow, several at once."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Self

from dsice.errors import LaunchError
from dsice.launch.backoff import Backoff
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from dsice.launch.settings import BatchSettings
from dsice.launch.wave import Wave


@dataclass(slots=True)
class Followed:
    """A job that the batch system has accepted.

    Attributes:
        batch_id: the id of its batch job there.
        name: the name of that, since ids may be reused.
        entry: the last answer about it.
        shared: whether this batch job runs other jobs, too, which must not be ended with it.
        begun: whether it is known to have been claimed.
        over_since: when it was first reported as ended, or no longer listed.
        told_at: when it was last told to end.
    """

    batch_id: str
    name: str
    entry: Entry
    shared: bool = False
    begun: bool = False
    over_since: float | None = None
    told_at: float | None = None

    @classmethod
    def earlier(cls, job: JobFolder, batch_id: str, name: str, state: JobState) -> Self:
        """A job that was submitted before, by this driver or another."""
        found = Wave.of(job)
        return cls(batch_id, name, Entry(name, state), found is not None and found.shared)


class Backlog:
    """Jobs that wait for their submission.

    Args:
        scheduler: the batch system.
        settings: of all jobs.
        folder: of the waves, the batches of jobs that are submitted together.
        followed: receives the jobs that the system has accepted.
        now: a clock in seconds, with any origin.

    Attributes:
        jobs: the jobs, in order.
        revoked: jobs that left the backlog and will not be submitted; the launcher clears it.
        strays: by name, the jobs of waves whose submission was interrupted; the launcher clears it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        settings: BatchSettings,
        folder: Path,
        followed: dict[JobFolder, Followed],
        now: Callable[[], float],
    ) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._folder = folder
        self._followed = followed
        self._now = now
        self.jobs: deque[JobFolder] = deque()
        self.revoked: list[JobFolder] = []
        self.strays: defaultdict[str, list[JobFolder]] = defaultdict(list)
        self._longest = scheduler.longest_wave  # the current estimate of the system's limit
        self._allowance = 1.0  # submissions that are allowed now
        self._allowed_at = now()
        self._retry = Backoff(now)
        self._proven = False  # whether a submission has succeeded with these settings

    @property
    def trouble(self) -> str:
        """Why the waiting jobs cannot be submitted, in words; empty if they can."""
        return self._retry.trouble if self.jobs else ""

    def withdraw(self, job: JobFolder) -> bool:
        """Revoke a job that waits; False if it does not."""
        if job not in self.jobs:
            return False
        self.jobs.remove(job)
        job.revoke()
        self.revoked.append(job)
        return True

    def hand_over(self) -> None:
        """Submit waiting jobs, as far as the rate limit and the system allow.

        Raises:
            LaunchError: the system refuses them permanently.
        """
        rate = self._settings.submit_rate
        now = self._now()
        self._allowance = min(max(1.0, rate), self._allowance + (now - self._allowed_at) * rate)
        self._allowed_at = now
        while self.jobs and self._allowance >= 1 and self._retry.is_due():
            self._allowance -= 1
            settings, batches = self._next_batches()
            if settings is not None and batches:
                limit = None
                if max(map(len, batches)) > 1:
                    limit = settings.time
                    limits = [[_limit(job, settings) for job in batch] for batch in batches]
                    settings = settings.of_several(max(limits, key=sum))
                system, length = self._scheduler.SETTINGS.SYSTEM, self._scheduler.NAME_LENGTH
                self._submit(Wave.create(system, self._folder, batches, length, limit), settings)

    def _next_batches(self) -> tuple[BatchSettings | None, list[list[JobFolder]]]:
        """The settings of the first waiting job, and the first batch jobs that share them."""

        def needs(job: JobFolder) -> tuple[BatchSettings | None, int | JobFolder]:
            try:
                spec = job.spec()
            except FileNotFoundError:  # somebody deleted it
                return None, job
            settings = self._settings.of(dict(spec.resources), spec.timeout)
            return settings, job if spec.slot is None else spec.slot

        settings: BatchSettings | None = None
        found: list[list[JobFolder]] = []
        for (wanted, _), together in islice(groupby(self.jobs, needs), self._longest):
            if found and wanted != settings:
                break
            settings = wanted
            found.append(list(together))
        free = [[job for job in batch if self._taken_out(job, settings)] for batch in found]
        return settings, [batch for batch in free if batch]

    def _taken_out(self, job: JobFolder, settings: BatchSettings | None) -> bool:
        """Take the first job out of the backlog; False if it must not be submitted."""
        self.jobs.popleft()
        # A job that was claimed meanwhile must not be started: a submission that seemed to fail
        # has reached the system.
        owner = job.claimant()
        if settings is None or (owner is not None and not owner.batch_id):
            self.revoked.append(job)
        elif owner is not None:
            self._followed[job] = Followed.earlier(job, owner.batch_id, "", JobState.RUNNING)
        else:
            return True
        return False

    def _submit(self, wave: Wave, settings: BatchSettings) -> None:
        try:
            ids = self._scheduler.submit(wave, settings)
        except SchedulerError as error:
            # It may have accepted the jobs all the same; their name is not used again.
            self.strays[wave.name] += wave.jobs
            self.jobs.extendleft(reversed(wave.jobs))
            if not error.temporary and not self._proven:
                raise LaunchError(str(error)) from error
            self._retry.failed(str(error))
            if error.too_many:
                self._longest = max(1, len(wave.batches) // 2)
            return
        wave.keep_ids(ids)
        self._proven = True
        self._longest = min(2 * self._longest, self._scheduler.longest_wave)
        self._retry.succeeded()
        for batch, batch_id in zip(wave.batches, ids, strict=True):
            entry = Entry(wave.name, JobState.QUEUED)
            for job in batch:
                self._followed[job] = Followed(batch_id, wave.name, entry, len(batch) > 1)


def _limit(job: JobFolder, settings: BatchSettings) -> float:
    """The time limit of one of several jobs of a batch job, in seconds."""
    return job.spec().timeout or settings.time or 0.0
