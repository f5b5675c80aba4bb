"""A batch system in memory of which every answer can be set, and a launcher of its jobs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dsice.launch.base import JobState
from dsice.launch.batch import BatchLauncher
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError
from dsice.launch.script import Submitter
from dsice.launch.settings import BatchSettings, SlurmSettings
from dsice.launch.wave import Wave

QUEUED, RUNNING, ENDED = JobState.QUEUED, JobState.RUNNING, JobState.ENDED
LOST, REVOKED = JobState.LOST, JobState.REVOKED
WELL = Outcome(Kind.OK, metrics={"y": 1.0}, started=1.0, ended=2.0, host="node")
DOWN = SchedulerError("Memory says: not responding", temporary=True)
REFUSED = SchedulerError("Memory says: invalid partition", temporary=False)


@dataclass
class Memory(Scheduler):
    """A batch system of which every answer can be set.

    Attributes:
        rows: what the queue shows, by id.
        account: what is remembered of jobs that the queue shows no more; None without accounting.
        owners: the job behind each id, the first of several.
        members: all jobs behind each id.
        limits: the time limit of each wave, in seconds.
        most: jobs that it takes at the same time.
        trouble: raised by every command while it is set.
        answer_lost: the next submission succeeds and yet raises this.
    """

    SETTINGS = SlurmSettings
    TITLE = "Memory"
    NAME_LENGTH = 30
    TEMPORARY = ()

    longest: int = 500
    most: int = 10_000
    rows: dict[str, Entry] = field(default_factory=dict)
    account: dict[str, Entry] | None = field(default_factory=dict)
    owners: dict[str, JobFolder] = field(default_factory=dict)
    members: dict[str, Sequence[JobFolder]] = field(default_factory=dict)
    limits: list[float | None] = field(default_factory=list)
    waves: list[list[JobFolder]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    submitted_at: list[float] = field(default_factory=list)
    questions: list[float] = field(default_factory=list)
    cancelled: list[list[str]] = field(default_factory=list)
    trouble: SchedulerError | None = None
    answer_lost: SchedulerError | None = None
    now: float = 1000.0

    @property
    def longest_wave(self) -> int:
        return self.longest

    def submit(self, wave: Wave, settings: BatchSettings) -> list[str]:
        self.submitted_at.append(self.now)
        if self.trouble is not None:
            raise self.trouble
        under_way = sum(entry.state is not ENDED for entry in self.rows.values())
        if under_way + len(wave.batches) > self.most:
            raise SchedulerError("submit limit", temporary=True, too_many=True)
        self.waves.append(wave.jobs)
        self.limits.append(settings.time)
        self.names.append(wave.name)
        ids = [f"{len(self.waves)}_{index}" for index in range(len(wave.batches))]
        for batch_id, batch in zip(ids, wave.batches, strict=True):
            self.rows[batch_id] = Entry(wave.name, QUEUED)
            self.owners[batch_id], self.members[batch_id] = batch[0], batch
        if self.answer_lost is not None:
            error, self.answer_lost = self.answer_lost, None
            raise error
        return ids

    def queue(self) -> dict[str, Entry]:
        self.questions.append(self.now)
        if self.trouble is not None:
            raise self.trouble
        return dict(self.rows)

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        if self.account is None:
            raise SchedulerError("no accounting here", temporary=False)
        return {batch_id: self.account[batch_id] for batch_id in ids if batch_id in self.account}

    def cancel(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        self.cancelled.append(list(ids))
        if self.trouble is not None:
            raise self.trouble
        for batch_id in ids:
            if self.rows[batch_id].state is not ENDED:
                self.end(batch_id, Kind.REMOVED, "cancelled from outside")

    def executor(self, wave: Wave, settings: BatchSettings) -> Submitter:
        raise NotImplementedError

    # -- what happens in it ------------------------------------------------------------------------

    def begin(self, batch_id: str) -> bool:
        """The system begins a job; whether it found something to do."""
        job = self.owners[batch_id]
        if not (job.path.exists() and job.claim("job", batch_id)):
            self.end(batch_id, Kind.OK)
            return False
        self.rows[batch_id] = replace(self.rows[batch_id], state=RUNNING)
        return True

    def finish(self, batch_id: str) -> None:
        """The program of a job ends well."""
        assert self.owners[batch_id].finish(WELL)
        self.end(batch_id, Kind.OK)

    def begin_next(self, batch_id: str) -> JobFolder | None:
        """A batch job begins the next of its jobs that it may run; None if there is no other."""
        self.rows[batch_id] = replace(self.rows[batch_id], state=RUNNING)
        return next((job for job in self.members[batch_id] if job.claim("job", batch_id)), None)

    def end(self, batch_id: str, kind: Kind, reason: str = "") -> None:
        self.rows[batch_id] = replace(
            self.rows[batch_id], state=ENDED, kind=kind, reason=reason, stuck=""
        )

    def vanish(self, batch_id: str, account: Entry | None = None) -> None:
        """The queue shows a job no more."""
        del self.rows[batch_id]
        if account is not None:
            assert self.account is not None
            self.account[batch_id] = account

    def id_of(self, job: JobFolder) -> str:
        """The id under which a job was submitted last."""
        return [batch_id for batch_id, owner in self.owners.items() if owner == job][-1]


@dataclass
class Bench:
    """A batch system, a launcher, jobs, and the time."""

    folder: Path
    system: Memory = field(default_factory=Memory)
    settings: SlurmSettings = field(
        default_factory=lambda: SlurmSettings.model_validate(
            {"time": 600, "submit_rate": 5, "poll": 10, "grace": 30}
        )
    )
    count: int = 0

    def __post_init__(self) -> None:
        self.launcher = self.new_launcher()
        self.last: dict[JobFolder, JobState] = {}

    def new_launcher(self) -> BatchLauncher:
        return BatchLauncher(
            self.system, self.settings, self.folder / "batch", lambda: self.system.now
        )

    def limit_waves(self, longest: int) -> None:
        self.system.longest = longest
        self.launcher = self.new_launcher()

    def jobs(self, count: int, **more: Any) -> list[JobFolder]:
        made = []
        for _ in range(count):
            self.count += 1
            job = JobFolder(self.folder / f"job-{self.count}")
            job.create(JobSpec(f"study.{self.count}.1", ("true",), str(self.folder), **more))
            made.append(job)
        return made

    def submitted(self, count: int, **more: Any) -> list[JobFolder]:
        jobs = self.jobs(count, **more)
        self.launcher.submit(jobs)
        for _ in range(10_000):
            if set(jobs) <= set(self.system.owners.values()):
                break
            self.pass_time(1)
        return jobs

    def poll(self) -> dict[JobFolder, JobState]:
        states = self.launcher.poll()
        self.last |= states
        return states

    def pass_time(self, seconds: float, step: float = 1.0) -> dict[JobFolder, JobState]:
        """Poll every ``step`` seconds for ``seconds``; each job's last state in this time."""
        states: dict[JobFolder, JobState] = {}
        end = self.system.now + seconds
        while self.system.now < end:
            self.system.now += step
            states |= self.poll()
        return states


def running(bench: Bench, count: int = 1) -> list[str]:
    """Ids of jobs that have begun, which the launcher knows."""
    ids = [bench.system.id_of(job) for job in bench.submitted(count)]
    for batch_id in ids:
        assert bench.system.begin(batch_id)
    states = bench.pass_time(11)
    assert all(states[bench.system.owners[batch_id]] is RUNNING for batch_id in ids)
    return ids


def outcome(job: JobFolder) -> Outcome:
    found = job.outcome()
    assert found is not None
    return found


def taken_over(bench: Bench, *jobs: JobFolder) -> list[JobState]:
    """What a new driver is told of the jobs of one that is no more."""
    bench.launcher = bench.new_launcher()
    return [bench.launcher.reattach(job) for job in jobs]
