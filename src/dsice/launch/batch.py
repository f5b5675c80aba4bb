"""Jobs of a batch system, submitted at a limited rate and followed by one query for all."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from dsice.errors import LaunchError
from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from dsice.launch.settings import BatchSettings
from dsice.launch.wave import Wave

_FIRST_DELAY: Final = 2.0  # seconds after a failure until the next try, doubled each time ...
_LONGEST_DELAY: Final = 60.0  # ... up to this
_AGAIN: Final = 30.0  # seconds until a job that does not end is told again

_UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING)
_GONE: Final = Entry("", JobState.ENDED, Kind.LOST, "vanished from the queue without a result")


@dataclass(slots=True)
class _Followed:
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
        self._folder = folder
        self._grace = settings.grace
        self._now = now
        self._backlog: deque[JobFolder] = deque()
        self._revoked: list[JobFolder] = []  # before their submission
        self._followed: dict[JobFolder, _Followed] = {}
        # By name, the jobs of waves whose submission was interrupted.
        self._strays: defaultdict[str, list[JobFolder]] = defaultdict(list)
        self._told: set[str] = set()  # ids of jobs that were told to end
        self._busy: set[str] = set()  # ids of batch jobs of which a job has ended
        self._longest = self._scheduler.longest_wave  # the current estimate of the system's limit
        self._allowance = 1.0  # submissions that are allowed now
        self._allowed_at = now()
        self._retry = _Retry(now)
        self._asking = _Retry(now)
        self._ask_at = now()
        self._proven = False  # whether a submission has succeeded with these settings

    # -- the interface -----------------------------------------------------------------------------

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Submit jobs as fast as the rate limit allows; the rest waits here.

        Raises:
            LaunchError: the system refuses them permanently.
        """
        self._backlog.extend(jobs)
        self._hand_over()

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        self._hand_over()
        self._ask_if_due()
        states = dict.fromkeys(self._backlog, JobState.QUEUED)
        states |= dict.fromkeys(self._revoked, JobState.REVOKED)
        self._revoked.clear()
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
            if job in self._backlog:
                self._backlog.remove(job)
                job.revoke()
                self._revoked.append(job)
            elif (followed := self._followed.get(job)) is not None:
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
                    self._strays[found.wave.name].append(job)
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
        shared = found is not None and found.shared
        self._followed[job] = _Followed(batch_id, name, Entry(name, state), shared)
        return state

    @property
    def trouble(self) -> str:
        """Why the system cannot be used, in words; empty if it can."""
        stuck = Counter(f.entry.stuck for f in self._followed.values() if f.entry.stuck)
        if not stuck:
            refused = self._retry.trouble if self._backlog else ""
            return (self._asking.trouble if self._followed else "") or refused
        words = ", ".join(f"{count} for {why}" for why, count in sorted(stuck.items()))
        return f"jobs wait in {self._scheduler.TITLE}'s queue and will not begin: {words}"

    # -- submission --------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Submit waiting jobs, as far as the rate limit and the system allow."""
        rate = self._settings.submit_rate
        now = self._now()
        self._allowance = min(max(1.0, rate), self._allowance + (now - self._allowed_at) * rate)
        self._allowed_at = now
        while self._backlog and self._allowance >= 1 and self._retry.is_due():
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
        for (wanted, _), together in islice(groupby(self._backlog, needs), self._longest):
            if found and wanted != settings:
                break
            settings = wanted
            found.append(list(together))
        free = [[job for job in batch if self._taken_out(job, settings)] for batch in found]
        return settings, [batch for batch in free if batch]

    def _taken_out(self, job: JobFolder, settings: BatchSettings | None) -> bool:
        """Take the first job out of the backlog; False if it must not be submitted."""
        self._backlog.popleft()
        # A job that was claimed meanwhile must not be started: a submission that seemed to fail
        # has reached the system.
        owner = job.claimant()
        if settings is None or (owner is not None and not owner.batch_id):
            self._revoked.append(job)
        elif owner is not None:
            earlier = Wave.of(job)
            shared = earlier is not None and earlier.shared
            entry = Entry("", JobState.RUNNING)
            self._followed[job] = _Followed(owner.batch_id, "", entry, shared)
        else:
            return True
        return False

    def _submit(self, wave: Wave, settings: BatchSettings) -> None:
        try:
            ids = self._scheduler.submit(wave, settings)
        except SchedulerError as error:
            # It may have accepted the jobs all the same; their name is not used again.
            self._strays[wave.name] += wave.jobs
            self._backlog.extendleft(reversed(wave.jobs))
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
                self._followed[job] = _Followed(batch_id, wave.name, entry, len(batch) > 1)

    # -- following ---------------------------------------------------------------------------------

    def _ask_if_due(self) -> None:
        """Query the system about all jobs at once, if it is time to."""
        now = self._now()
        if not (self._followed or self._strays) or now < self._ask_at or not self._asking.is_due():
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

    def _note_missing(self, missing: Sequence[_Followed]) -> None:
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

    def _note(self, followed: _Followed, entry: Entry) -> None:
        if entry.state is not JobState.ENDED:
            followed.over_since = None
        elif followed.over_since is None:
            followed.over_since = self._now()
        if entry is not _GONE or followed.entry.state is not JobState.ENDED:
            followed.entry = entry

    def _state(self, job: JobFolder, followed: _Followed) -> JobState:
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

    def _without_outcome(self, job: JobFolder, followed: _Followed) -> JobState:
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
            self._followed[job] = _Followed(owner.batch_id, "", entry, followed.shared)
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
        found = {
            batch_id
            for batch_id, entry in queue.items()
            if entry.name in self._strays and entry.state in _UNDER_WAY
        }
        owners = [job.claimant() for name in self._strays for job in self._strays[name] if found]
        known = {followed.batch_id for followed in self._followed.values()}
        known |= {owner.batch_id for owner in owners if owner is not None}
        ids = sorted(found - known)
        if ids:
            self._told.update(ids)
            self._scheduler.cancel(ids)
        self._strays.clear()


def _limit(job: JobFolder, settings: BatchSettings) -> float:
    """The time limit of one of several jobs of a batch job, in seconds."""
    return job.spec().timeout or settings.time or 0.0


def _is_same(followed: _Followed, entry: Entry) -> bool:
    """Whether ``entry``, found by id, is that job; its name may be missing or truncated."""
    return not followed.name or followed.name.startswith(entry.name)


class _Retry:
    """Exponential backoff with jitter for retries."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._delay = _FIRST_DELAY
        self._due_at = -float("inf")
        self._text = ""

    def is_due(self) -> bool:
        """Whether it is time to try."""
        return self._now() >= self._due_at

    def failed(self, text: str) -> None:
        """Note that a try failed, for the reason ``text``."""
        self._text = text
        # Jitter, so that many drivers do not retry at the same moment.
        self._due_at = self._now() + self._delay * random.uniform(0.7, 1.3)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def succeeded(self) -> None:
        """Note that a try succeeded."""
        self._delay, self._due_at, self._text = _FIRST_DELAY, -float("inf"), ""

    @property
    def trouble(self) -> str:
        """The reason of the last failure; empty if the last try succeeded."""
        return self._text
