"""Jobs of a batch system, submitted at a limited rate and followed by one query for all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dsice.errors import LaunchError
from dsice.launch.backlog import Backlog, Followed
from dsice.launch.backoff import Backoff
from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from dsice.launch.settings import BatchSettings
from dsice.launch.wave import Wave

_AGAIN: Final = 30.0  # seconds until a job that does not end is told again

_UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING)
_GONE: Final = Entry("", JobState.ENDED, Kind.LOST, "vanished from the queue without a result")


class BatchLauncher(Launcher):
    """Runs jobs in a batch system.

    Jobs of one submission that have the same slot become one batch job, which runs them one after
    another. Each is claimed when its turn comes, so those whose batch job ended before are like
    jobs that never began. To end one of them, the shim is told by a file.

    Files take precedence over the scheduler: a job with an outcome has ended, whatever the
    scheduler says. A job that is over without an outcome gets one after some time, from the
    scheduler's account of its end. While the scheduler does not answer, nothing is concluded.

    Args:
        scheduler: the batch system.
        settings: of all jobs.
        folder: of the waves, the batches of jobs that are submitted together.
        now: a clock in seconds, with any origin.
    """

    survives = True
    pause = 1.0

    def __init__(
        self,
        scheduler: Scheduler,
        settings: BatchSettings,
        folder: Path,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = scheduler
        self._settings = settings
        self._grace = settings.grace
        self._now = now
        self._followed: dict[JobFolder, Followed] = {}
        self._backlog = Backlog(scheduler, settings, folder, self._followed, now)
        self._told: set[str] = set()  # ids of jobs that were told to end
        self._busy: set[str] = set()  # ids of batch jobs of which a job has ended
        self._asking = Backoff(now)
        self._ask_at = now()

    # -- the interface -----------------------------------------------------------------------------

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Submit jobs as fast as the rate limit allows; the rest waits here.

        Raises:
            LaunchError: the system refuses them permanently.
        """
        self._backlog.jobs.extend(jobs)
        self._backlog.hand_over()

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        self._backlog.hand_over()
        self._ask_if_due()
        states = dict.fromkeys(self._backlog.jobs, JobState.QUEUED)
        states |= dict.fromkeys(self._backlog.revoked, JobState.REVOKED)
        self._backlog.revoked.clear()
        for job, followed in list(self._followed.items()):
            states[job] = state = self._state(job, followed)
            if state not in _UNDER_WAY:
                del self._followed[job]
            if state is JobState.ENDED and followed.shared:
                self._busy.add(followed.batch_id)
        self._busy &= {followed.batch_id for followed in self._followed.values()}
        return states

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs: revoke those that have not begun, tell those that run to end."""
        told = set()
        for job in jobs:
            if self._backlog.withdraw(job) or (followed := self._followed.get(job)) is None:
                continue
            if followed.told_at is not None and self._now() < followed.told_at + _AGAIN:
                continue
            followed.told_at = self._now()
            if not job.revoke():
                job.ask_to_end()
            told.add(followed.batch_id)
        for followed in self._followed.values():
            if followed.told_at is None:
                told.discard(followed.batch_id)  # others are to go on there
        self._tell_to_end(sorted(told))

    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job of an earlier driver, or revoke it if it was never submitted.

        Raises:
            LaunchError: it belongs to another launcher.
        """
        if not job.path.exists() and job.revoke():
            return JobState.REVOKED
        if job.has_ended():
            return JobState.ENDED
        found = Wave.of(job)
        if found is not None and found.wave.system != self._scheduler.SETTINGS.SYSTEM:
            raise LaunchError(
                f"{job.path} was handed to {found.wave.system!r} and has not ended: resume with "
                f"--on {found.wave.system}"
            )
        ids = found.wave.ids() if found else []
        if found is None or not ids:
            # The driver was killed before the system answered. The system may have the job or not:
            # if so, it is told to drop it, and a revoked job does nothing.
            if job.claim("driver"):
                if found is not None:
                    self._backlog.strays[found.wave.name].append(job)
                return JobState.REVOKED
            owner = job.claimant()
            if owner is None or owner.by == "driver":
                return JobState.REVOKED
            if not owner.pid:  # the machine crashed and left an empty file
                return JobState.LOST
            if not owner.batch_id:
                raise LaunchError(
                    f"{job.path} was begun as a process on {owner.host} and has not ended: resume "
                    "with --on local there"
                )
            name, batch_id = found.wave.name if found else "", owner.batch_id
        else:
            name, batch_id = found.wave.name, ids[found.index]
            owner = job.claimant()
            if owner is not None and owner.by == "driver":
                if not found.shared:
                    self._tell_to_end([batch_id])
                return JobState.REVOKED
        state = JobState.QUEUED if owner is None else JobState.RUNNING
        self._followed[job] = Followed.earlier(job, batch_id, name, state)
        return state

    @property
    def trouble(self) -> str:
        """Why the system cannot be used, in words; empty if it can."""
        stuck = Counter(f.entry.stuck for f in self._followed.values() if f.entry.stuck)
        if not stuck:
            return (self._asking.trouble if self._followed else "") or self._backlog.trouble
        words = ", ".join(f"{count} for {why}" for why, count in sorted(stuck.items()))
        return f"jobs wait in {self._scheduler.TITLE}'s queue and will not begin: {words}"

    # -- following ---------------------------------------------------------------------------------

    def _ask_if_due(self) -> None:
        """Query the system about all jobs at once, if it is time to."""
        now = self._now()
        known = self._followed or self._backlog.strays
        if not known or now < self._ask_at or not self._asking.is_due():
            return
        self._ask_at = now + self._settings.poll
        asked = list(self._followed.values())
        try:
            queue = self._scheduler.queue()
            self._end_strays(queue)
        except SchedulerError as error:
            self._asking.failed(str(error))
            return
        self._asking.succeeded()
        missing = []
        for followed in asked:
            entry = queue.get(followed.batch_id)
            if entry is not None and _is_same(followed, entry):
                self._note(followed, entry)
            else:
                missing.append(followed)
        if missing:
            self._note_missing(missing)

    def _note_missing(self, missing: Sequence[Followed]) -> None:
        try:
            ended = self._scheduler.ended({followed.batch_id for followed in missing})
        except SchedulerError:  # no accounting here, or not now
            ended = {}
        for followed in missing:
            entry = ended.get(followed.batch_id)
            # Accounting lags behind: a vanished job that it shows as unfinished may well be over.
            if entry is None or entry.state is not JobState.ENDED or not _is_same(followed, entry):
                entry = _GONE
            self._note(followed, entry)

    def _note(self, followed: Followed, entry: Entry) -> None:
        if entry.state is not JobState.ENDED:
            followed.over_since = None
        elif followed.over_since is None:
            followed.over_since = self._now()
        if entry is not _GONE or followed.entry.state is not JobState.ENDED:
            followed.entry = entry

    def _state(self, job: JobFolder, followed: Followed) -> JobState:
        if not job.path.exists() and job.revoke():  # somebody deleted it
            if followed.shared:
                job.ask_to_end()
            else:
                self._tell_to_end([followed.batch_id])
            return JobState.LOST
        if job.has_ended():
            return JobState.ENDED
        if followed.shared and followed.told_at is not None:
            owner = job.claimant()
            if owner is not None and owner.by == "driver":
                return JobState.REVOKED
        if followed.over_since is None:
            if followed.shared and not followed.begun:
                followed.begun = job.has_begun()
            return (
                followed.entry.state if followed.begun or not followed.shared else JobState.QUEUED
            )
        if self._now() < followed.over_since + self._grace:
            return JobState.RUNNING
        return self._without_outcome(job, followed)

    def _without_outcome(self, job: JobFolder, followed: Followed) -> JobState:
        """Record an outcome for a job that is over and has left none."""
        entry = followed.entry
        if job.claim("driver"):
            behind = followed.batch_id in self._busy
            why = entry.reason or (
                "its batch job ended before its turn" if behind else "ended at once"
            )
            job.finish(Outcome(Kind.NOT_BEGUN, f"not begun: {why}"))
            return JobState.ENDED if behind else JobState.REVOKED
        owner = job.claimant()
        if owner is None or owner.by == "driver":
            return JobState.REVOKED
        if owner.batch_id and owner.batch_id != followed.batch_id:
            # Another submission of the same job claimed it first: follow that one.
            entry = Entry("", JobState.RUNNING)
            self._followed[job] = Followed(owner.batch_id, "", entry, followed.shared)
            return JobState.RUNNING
        kind, reason = entry.kind, entry.reason
        told = kind is Kind.REMOVED and followed.batch_id in self._told
        if told or job.is_asked_to_end():
            kind, reason = Kind.CANCELLED, "cancelled"
        elif kind is Kind.OK:
            kind, reason = Kind.LOST, "its batch job ended without a result"
        ended = max(owner.time, time.time() - self._grace)
        job.finish(Outcome(kind, reason, started=owner.time, ended=ended, host=owner.host))
        return JobState.ENDED

    # -- ending ------------------------------------------------------------------------------------

    def _tell_to_end(self, ids: Sequence[str]) -> None:
        self._told.update(ids)
        try:
            self._scheduler.cancel(ids)
        except SchedulerError as error:
            self._asking.failed(str(error))

    def _end_strays(self, queue: dict[str, Entry]) -> None:
        """End leftovers of interrupted submissions, which are known by name only.

        A leftover that has begun and claimed its job is followed instead.
        """
        strays = self._backlog.strays
        found = {
            batch_id
            for batch_id, entry in queue.items()
            if entry.name in strays and entry.state in _UNDER_WAY
        }
        owners = [job.claimant() for jobs in strays.values() for job in jobs if found]
        known = {followed.batch_id for followed in self._followed.values()}
        known |= {owner.batch_id for owner in owners if owner is not None}
        ids = sorted(found - known)
        if ids:
            self._told.update(ids)
            self._scheduler.cancel(ids)
        strays.clear()


def _is_same(followed: Followed, entry: Entry) -> bool:
    """Whether ``entry``, found by id, is that job; its name may be missing or truncated."""
    return not followed.name or followed.name.startswith(entry.name)
