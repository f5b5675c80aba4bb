"""Jobs of a batch system in virtual time: a system in memory that runs nothing and may misbehave.

Jobs begin and end when a test says so, by their files, as the shim would.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import LaunchError
from dsice.launch.base import JobState
from dsice.launch.batch import BatchLauncher
from dsice.launch.job import Claim, JobFolder, JobSpec, Kind, Outcome
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


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


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


# -- handing over ----------------------------------------------------------------------------------


def test_a_life(bench: Bench) -> None:
    (job,) = bench.submitted(1)
    assert bench.poll() == {job: QUEUED}
    bench.system.begin("1_0")
    assert bench.pass_time(11) == {job: RUNNING}
    bench.system.finish("1_0")
    assert bench.poll() == {job: ENDED}
    assert bench.poll() == {}
    assert outcome(job).metrics == {"y": 1.0}
    assert bench.launcher.trouble == ""


def test_one_question_for_all_jobs(bench: Bench) -> None:
    bench.limit_waves(40)
    bench.submitted(200)
    bench.system.questions.clear()
    bench.pass_time(100, step=0.5)
    assert 9 <= len(bench.system.questions) <= 10
    assert all(later - earlier >= 10 for earlier, later in pairwise(bench.system.questions))


def test_nobody_is_asked_about_nothing(bench: Bench) -> None:
    bench.pass_time(100)
    bench.submitted(1)
    bench.system.begin("1_0")
    bench.system.finish("1_0")
    bench.pass_time(1)
    bench.system.questions.clear()
    bench.pass_time(100)
    assert bench.system.questions == []


@pytest.mark.parametrize("rate", [0.5, 1.0, 5.0])
def test_the_rate_of_submissions(tmp_path: Path, rate: float) -> None:
    settings = SlurmSettings.model_validate({"time": 600, "submit_rate": rate})
    bench = Bench(tmp_path, Memory(longest=1), settings)
    jobs = bench.jobs(60)
    bench.pass_time(100)  # no allowance is saved up beyond the burst
    bench.launcher.submit(jobs)
    bench.pass_time(60 / rate + 10, step=0.1)
    times = bench.system.submitted_at
    assert [wave[0] for wave in bench.system.waves] == jobs
    burst = max(1.0, rate)
    for index, beginning in enumerate(times):
        for length in (1.0, 10.0, 1000.0):
            within = sum(time < beginning + length for time in times[index:])
            assert within <= burst + rate * length


def test_waves_of_jobs_with_the_same_needs(bench: Bench) -> None:
    bench.limit_waves(10)
    alike = bench.jobs(25)
    others = [*bench.jobs(2, resources={"cpus": 4}), *bench.jobs(1, timeout=900.0, resources={})]
    others[2:] = bench.jobs(1, resources={"cpus": 4, "memory": "2 GB"})
    bench.launcher.submit([*alike, *others])
    bench.pass_time(10)
    sizes = [len(wave) for wave in bench.system.waves]
    assert sizes == [10, 10, 5, 2, 1]
    assert [job for wave in bench.system.waves for job in wave] == [*alike, *others]
    assert len(set(bench.system.names)) == 5
    assert all(len(name) <= bench.system.NAME_LENGTH for name in bench.system.names)


def test_names_in_the_queue_are_plain(bench: Bench) -> None:
    job = JobFolder(bench.folder / "job")
    job.create(JobSpec("a b\n#SBATCH $(reboot);'\"" + "x" * 200, ("true",), str(bench.folder)))
    bench.launcher.submit([job])
    assert bench.system.names[0].startswith("a_b__SBATCH___reboot_")
    assert len(bench.system.names[0]) <= bench.system.NAME_LENGTH


def test_refused_for_good(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    bench.system.trouble = REFUSED
    with pytest.raises(LaunchError, match="Memory says: invalid partition"):
        bench.launcher.submit([job])
    assert bench.new_launcher().reattach(job) is REVOKED


def test_refused_after_a_success_is_tried_again(bench: Bench) -> None:
    bench.submitted(1)
    bench.system.trouble = REFUSED
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    bench.pass_time(5)
    assert bench.launcher.trouble == "Memory says: invalid partition"
    bench.system.trouble = None
    assert bench.pass_time(300)[job] is QUEUED
    assert bench.launcher.trouble == ""
    assert bench.system.waves[-1] == [job]


def test_a_limit_of_submitted_jobs_is_filled(bench: Bench) -> None:
    bench.system.most = 6
    bench.launcher.submit(bench.jobs(20))
    bench.pass_time(600)
    assert sum(len(wave) for wave in bench.system.waves) == 6
    while sum(len(wave) for wave in bench.system.waves) < 20:
        for batch_id, entry in list(bench.system.rows.items()):
            if entry.state is QUEUED:
                assert bench.system.begin(batch_id)
                bench.system.finish(batch_id)
        bench.pass_time(300)
    assert "limit" not in bench.launcher.trouble


def test_back_off_grows_and_is_bounded(bench: Bench) -> None:
    bench.system.trouble = DOWN
    bench.launcher.submit(bench.jobs(1))
    bench.pass_time(1200, step=0.1)
    gaps = [later - earlier for earlier, later in pairwise(bench.system.submitted_at)]
    assert gaps[0] < 3 < gaps[2] < gaps[4] < gaps[-1] < 80
    assert len(gaps) < 40


def test_a_refusal_is_no_trouble_once_nothing_waits(bench: Bench) -> None:
    bench.system.trouble = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    assert bench.launcher.trouble
    bench.launcher.cancel([job])
    assert bench.poll() == {job: REVOKED}
    assert bench.launcher.trouble == ""


def test_a_job_that_was_deleted_before_its_turn(bench: Bench) -> None:
    bench.limit_waves(1)
    first, gone, last = bench.jobs(3)
    gone.spec_file.unlink()
    gone.path.rmdir()
    bench.launcher.submit([first, gone, last])
    assert bench.pass_time(5) == {first: QUEUED, gone: REVOKED, last: QUEUED}
    assert bench.system.waves == [[first], [last]]


# -- submissions that came through although they failed --------------------------------------------


def test_strays_are_cancelled_by_name_and_submitted_anew(bench: Bench) -> None:
    bench.system.answer_lost = DOWN
    jobs = bench.jobs(3)
    bench.launcher.submit(jobs)
    bench.pass_time(20)
    assert bench.system.cancelled == [["1_0", "1_1", "1_2"]]
    assert bench.system.waves == [jobs, jobs]
    assert bench.system.names[0] != bench.system.names[1]
    for batch_id in ("2_0", "2_1", "2_2"):
        assert bench.system.begin(batch_id)
        bench.system.finish(batch_id)
    assert bench.pass_time(1) == dict.fromkeys(jobs, ENDED)
    bench.pass_time(60)
    assert len(bench.system.waves) == 2


def test_a_stray_that_has_begun_is_the_job(bench: Bench) -> None:
    """It must neither be ended nor be said to have never begun: a new attempt would run beside."""
    bench.system.answer_lost = DOWN
    begun, done, waits = jobs = bench.jobs(3)
    bench.launcher.submit(jobs)
    assert bench.system.begin("1_0")
    assert bench.system.begin("1_1")
    bench.system.finish("1_1")
    states = bench.pass_time(100)
    assert states == {begun: RUNNING, done: ENDED, waits: QUEUED}
    assert bench.system.cancelled == [["1_2"]]
    assert bench.system.waves == [jobs, [waits]]
    bench.system.finish("1_0")
    assert bench.poll()[begun] is ENDED
    assert outcome(begun).kind is Kind.OK


def test_a_stray_that_has_claimed_its_job_is_spared(bench: Bench) -> None:
    bench.system.answer_lost = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    owner = bench.system.owners["1_0"]
    assert owner.claim("job", "1_0")  # the queue does not show it yet
    assert bench.pass_time(100) == {job: QUEUED}
    assert bench.system.cancelled == []
    bench.system.finish("1_0")
    assert bench.poll() == {job: ENDED}
    assert outcome(job).kind is Kind.OK
    assert bench.system.waves == [[job]]


def test_both_submissions_begin(bench: Bench) -> None:
    """The stray is seen too late, when its job has been handed over again: one of them runs."""
    bench.system.answer_lost = DOWN
    (job,) = bench.jobs(1)
    bench.launcher.submit([job])
    hidden = bench.system.rows.pop("1_0")
    bench.pass_time(20)
    bench.system.rows["1_0"] = hidden
    assert bench.system.waves == [[job], [job]]
    assert bench.system.begin("1_0")
    assert not bench.system.begin("2_0")
    assert bench.pass_time(200) == {job: RUNNING}
    bench.system.end("1_0", Kind.NODE_FAILED, "its node failed")
    assert bench.pass_time(50) == {job: ENDED}
    assert outcome(job).kind is Kind.NODE_FAILED


def test_foreign_jobs_are_left_alone(bench: Bench) -> None:
    bench.system.rows["7"] = Entry("somebody-else", QUEUED)
    bench.system.answer_lost = DOWN
    bench.launcher.submit(bench.jobs(1))
    bench.pass_time(50)
    bench.launcher.cancel(list(bench.last))
    bench.pass_time(100)
    assert bench.system.rows["7"].state is QUEUED


# -- a system that does not answer -----------------------------------------------------------------


def test_nothing_is_concluded_while_nobody_answers(bench: Bench) -> None:
    ids = running(bench, 3)
    first, second, third = (bench.system.owners[batch_id] for batch_id in ids)
    bench.system.trouble = DOWN
    bench.system.end(ids[0], Kind.NODE_FAILED, "its node failed")
    bench.system.vanish(ids[1])
    bench.system.questions.clear()
    assert set(bench.pass_time(600).values()) == {RUNNING}
    assert bench.launcher.trouble == "Memory says: not responding"
    gaps = [later - earlier for earlier, later in pairwise(bench.system.questions)]
    assert gaps[-1] > gaps[0]
    assert max(gaps) <= 80
    bench.system.finish(ids[2])
    assert bench.poll()[third] is ENDED
    bench.system.trouble = None
    states = bench.pass_time(150)
    assert bench.launcher.trouble == ""
    assert states == {first: ENDED, second: ENDED}
    assert outcome(first).kind is Kind.NODE_FAILED
    assert outcome(second).kind is Kind.LOST


# -- the end of a job ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.TIMEOUT, "not finished within the time limit of its job"),
        (Kind.OUT_OF_MEMORY, "killed for its memory"),
        (Kind.NODE_FAILED, "its node failed"),
        (Kind.PREEMPTED, "preempted"),
        (Kind.REMOVED, "cancelled from outside"),
        (Kind.LOST, "failed without a result"),
    ],
)
def test_a_job_that_left_no_outcome_gets_one(bench: Bench, kind: Kind, reason: str) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    bench.system.end(batch_id, kind, reason)
    assert bench.pass_time(100) == {job: ENDED}
    found, owner = outcome(job), job.claimant()
    assert owner is not None
    assert (found.kind, found.reason, found.metrics) == (kind, reason, None)
    assert (found.started, found.host) == (owner.time, owner.host)
    assert found.started <= found.ended


def test_an_end_that_seems_good_and_has_no_result(bench: Bench) -> None:
    (batch_id,) = running(bench)
    bench.system.end(batch_id, Kind.OK)
    bench.pass_time(100)
    found = outcome(bench.system.owners[batch_id])
    assert (found.kind, found.reason) == (Kind.LOST, "its batch job ended without a result")


def test_the_result_may_come_late(bench: Bench) -> None:
    """Another machine's file may stay hidden for a while: so long nothing is concluded."""
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    bench.system.end(batch_id, Kind.OK)
    assert bench.pass_time(29) == {job: RUNNING}
    job.finish(Outcome(Kind.OK, metrics={"y": 3.0}))
    assert bench.poll() == {job: ENDED}
    assert outcome(job).metrics == {"y": 3.0}


def test_grace_begins_with_the_first_word_of_the_end(bench: Bench) -> None:
    (batch_id,) = running(bench)
    bench.system.end(batch_id, Kind.OK)
    seen = len(bench.system.questions)
    while len(bench.system.questions) == seen:
        assert bench.pass_time(1)[bench.system.owners[batch_id]] is RUNNING
    assert list(bench.pass_time(29).values()) == [RUNNING]
    assert list(bench.pass_time(2).values()) == [ENDED]


@pytest.mark.parametrize("accounting", [True, False])
def test_a_job_that_vanishes(bench: Bench, accounting: bool) -> None:
    (batch_id,) = running(bench)
    name = bench.system.rows[batch_id].name
    if accounting:
        account = Entry(name, ENDED, Kind.OUT_OF_MEMORY, "killed for its memory")
        bench.system.vanish(batch_id, account)
    else:
        bench.system.account = None
        bench.system.vanish(batch_id)
    assert list(bench.pass_time(100).values()) == [ENDED]
    found = outcome(bench.system.owners[batch_id])
    assert found.kind is (Kind.OUT_OF_MEMORY if accounting else Kind.LOST)
    assert found.reason == (
        "killed for its memory" if accounting else "vanished from the queue without a result"
    )


def test_an_account_that_lags_behind_keeps_no_job_alive(bench: Bench) -> None:
    (batch_id,) = running(bench)
    bench.system.vanish(batch_id, Entry(bench.system.rows[batch_id].name, RUNNING))
    assert list(bench.pass_time(100).values()) == [ENDED]
    assert outcome(bench.system.owners[batch_id]).kind is Kind.LOST


def test_what_was_said_of_an_end_is_not_forgotten(bench: Bench) -> None:
    (batch_id,) = running(bench)
    bench.system.account = None
    bench.system.end(batch_id, Kind.TIMEOUT, "too long")
    bench.pass_time(15)
    bench.system.vanish(batch_id)
    bench.pass_time(100)
    assert outcome(bench.system.owners[batch_id]).reason == "too long"


def test_a_job_that_is_missed_once_goes_on(bench: Bench) -> None:
    (batch_id,) = running(bench)
    row = bench.system.rows[batch_id]
    bench.system.vanish(batch_id)
    bench.pass_time(15)
    bench.system.rows[batch_id] = row
    assert list(bench.pass_time(200).values()) == [RUNNING]


@pytest.mark.parametrize("where", ["queue", "account"])
def test_ids_are_used_again(bench: Bench, where: str) -> None:
    (batch_id,) = running(bench)
    bench.system.vanish(batch_id)
    other = Entry("another-job", ENDED, Kind.TIMEOUT, "too long")
    if where == "queue":
        bench.system.rows[batch_id] = replace(other, state=RUNNING)
    else:
        assert bench.system.account is not None
        bench.system.account[batch_id] = other
    bench.pass_time(100)
    assert outcome(bench.system.owners[batch_id]).kind is Kind.LOST
    assert bench.system.cancelled == []


@pytest.mark.parametrize("length", [0, 10])
def test_names_that_the_system_cuts_short(bench: Bench, length: int) -> None:
    (batch_id,) = running(bench)
    row = bench.system.rows[batch_id]
    bench.system.rows[batch_id] = replace(row, name=row.name[:length])
    assert list(bench.pass_time(200).values()) == [RUNNING]


def test_requeued_jobs_stay_under_way(bench: Bench) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    row = bench.system.rows[batch_id]
    for state in (QUEUED, RUNNING, QUEUED):
        bench.system.rows[batch_id] = replace(row, state=state)
        assert bench.pass_time(100) == {job: state}
    bench.system.rows[batch_id] = row
    bench.system.finish(batch_id)
    assert bench.poll() == {job: ENDED}
    assert outcome(job).kind is Kind.OK


def test_a_job_that_seems_over_and_is_begun_again(bench: Bench) -> None:
    (batch_id,) = running(bench)
    row = bench.system.rows[batch_id]
    bench.system.end(batch_id, Kind.PREEMPTED, "preempted")
    bench.pass_time(15)
    bench.system.rows[batch_id] = replace(row, state=QUEUED)
    assert list(bench.pass_time(200).values()) == [QUEUED]


@pytest.mark.parametrize("end", ["vanishes", "ends"])
def test_never_begun_and_over(bench: Bench, end: str) -> None:
    (job,) = bench.submitted(1)
    row = bench.system.rows["1_0"]
    if end == "vanishes":
        bench.system.vanish("1_0")
    else:
        bench.system.end("1_0", Kind.REMOVED, "cancelled from outside")
    assert bench.pass_time(100) == {job: REVOKED}
    found = outcome(job)
    assert found.kind is Kind.NOT_BEGUN
    assert ("cancelled from outside" in found.reason) == (end == "ends")
    bench.system.rows["1_0"] = row
    assert not bench.system.begin("1_0")


def test_a_folder_that_was_deleted(bench: Bench) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    for file in job.path.iterdir():
        file.unlink()
    job.path.rmdir()
    assert bench.poll() == {job: LOST}
    assert bench.system.cancelled == [[batch_id]]


def test_why_jobs_will_not_begin(bench: Bench) -> None:
    bench.submitted(3)
    for batch_id, why in (("1_0", "PartitionDown"), ("1_1", "InvalidQOS"), ("1_2", "InvalidQOS")):
        bench.system.rows[batch_id] = replace(bench.system.rows[batch_id], stuck=why)
    bench.pass_time(11)
    assert bench.launcher.trouble == (
        "jobs wait in Memory's queue and will not begin: 2 for InvalidQOS, 1 for PartitionDown"
    )
    for batch_id in ("1_0", "1_1", "1_2"):
        bench.system.begin(batch_id)
        bench.system.rows[batch_id] = replace(bench.system.rows[batch_id], stuck="")
    bench.pass_time(11)
    assert bench.launcher.trouble == ""


# -- cancelling ------------------------------------------------------------------------------------


def test_cancel_what_waits_here(bench: Bench) -> None:
    bench.limit_waves(1)
    jobs = bench.jobs(3)
    bench.launcher.submit(jobs)
    handed, *waiting = jobs
    assert bench.system.waves == [[handed]]
    bench.launcher.cancel(waiting)
    assert bench.poll() == {handed: QUEUED} | dict.fromkeys(waiting, REVOKED)
    bench.pass_time(60)
    assert bench.system.waves == [[handed]]
    assert bench.system.cancelled == []
    assert all(not job.claim("job", "9") for job in waiting)


def test_cancel_what_is_queued(bench: Bench) -> None:
    (job,) = bench.submitted(1)
    bench.launcher.cancel([job])
    assert not bench.system.begin("1_0")  # even if the system had not obeyed
    assert bench.system.cancelled == [["1_0"]]
    assert bench.pass_time(100) == {job: REVOKED}


@pytest.mark.parametrize("writes", [True, False])
def test_cancel_what_runs(bench: Bench, writes: bool) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    bench.launcher.cancel([job])
    assert job.is_asked_to_end()
    if writes:
        job.finish(Outcome(Kind.CANCELLED, "cancelled"))
    assert bench.pass_time(100) == {job: ENDED}
    assert outcome(job).kind is Kind.CANCELLED


def test_cancel_again_and_again(bench: Bench) -> None:
    ids = running(bench, 50)
    jobs = [bench.system.owners[batch_id] for batch_id in ids]
    row = dict(bench.system.rows)
    for _ in range(20):
        bench.launcher.cancel(jobs)
        bench.system.rows |= row  # it does not obey
        bench.pass_time(1)
    assert [sorted(ids)] == [sorted(told) for told in bench.system.cancelled]
    bench.pass_time(20)
    bench.launcher.cancel(jobs)
    assert len(bench.system.cancelled) == 2


def test_cancel_while_nobody_answers(bench: Bench) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    bench.system.trouble = DOWN
    bench.launcher.cancel([job])
    assert bench.pass_time(60) == {job: RUNNING}
    bench.system.trouble = None
    bench.launcher.cancel([job])
    assert bench.pass_time(200) == {job: ENDED}
    assert outcome(job).kind is Kind.CANCELLED


def test_cancel_what_has_ended(bench: Bench) -> None:
    (batch_id,) = running(bench)
    job = bench.system.owners[batch_id]
    bench.system.finish(batch_id)
    bench.launcher.cancel([job])
    assert bench.poll() == {job: ENDED}
    assert outcome(job).kind is Kind.OK
    bench.launcher.cancel([job])
    assert bench.poll() == {}


# -- several jobs in a batch job ------------------------------------------------------------------


def together(bench: Bench, count: int = 3, **more: Any) -> list[JobFolder]:
    """Jobs that have been submitted as one batch job."""
    jobs = bench.jobs(count, slot=0, **more)
    bench.launcher.submit(jobs)
    assert bench.system.members["1_0"] == tuple(jobs)
    return jobs


def test_jobs_of_one_slot_share_a_batch_job(bench: Bench) -> None:
    jobs = [bench.jobs(1, slot=slot)[0] for slot in (0, 0, 0, 1, 1, None, None, 2)]
    jobs += bench.jobs(2, slot=3, timeout=60.0)
    bench.launcher.submit(jobs)
    sizes = [len(batch) for batch in bench.system.members.values()]
    assert sizes == [3, 2, 1, 1, 1, 2]
    assert bench.system.waves == [jobs]
    # Three of 600 s, 10 s to begin and end each, and 5 min.
    assert bench.system.limits == [3 * 610 + 300]


def test_each_of_several_takes_its_own_time(bench: Bench) -> None:
    together(bench, 4, timeout=30.0)
    assert bench.system.limits == [4 * 40 + 300]


def test_a_life_of_several(bench: Bench) -> None:
    first, second, third = jobs = together(bench)
    assert bench.poll() == dict.fromkeys(jobs, QUEUED)
    assert bench.system.begin_next("1_0") == first
    assert bench.pass_time(11) == {first: RUNNING, second: QUEUED, third: QUEUED}
    first.finish(WELL)
    assert bench.poll() == {first: ENDED, second: QUEUED, third: QUEUED}
    assert bench.system.begin_next("1_0") == second
    assert bench.poll() == {second: RUNNING, third: QUEUED}
    second.finish(WELL)
    assert bench.system.begin_next("1_0") == third
    third.finish(WELL)
    bench.system.end("1_0", Kind.OK)
    assert bench.poll() == {second: ENDED, third: ENDED}
    assert bench.poll() == {}


def test_one_of_several_ends_alone(bench: Bench) -> None:
    first, second, third = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    bench.launcher.cancel([first, second])
    assert bench.system.cancelled == []
    assert first.is_asked_to_end()
    assert bench.poll() == {first: RUNNING, second: REVOKED, third: QUEUED}
    first.finish(Outcome(Kind.CANCELLED, "cancelled"))
    assert bench.system.begin_next("1_0") == third
    assert bench.poll() == {first: ENDED, third: RUNNING}
    assert not third.is_asked_to_end()
    bench.launcher.cancel([third])
    assert bench.system.cancelled == [["1_0"]]
    assert bench.pass_time(60)[third] is ENDED
    assert outcome(third).kind is Kind.CANCELLED


def test_when_all_of_several_are_to_end_their_batch_job_is(bench: Bench) -> None:
    jobs = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    bench.launcher.cancel(jobs)
    assert bench.system.cancelled == [["1_0"]]
    assert bench.pass_time(60) == dict(zip(jobs, [ENDED, REVOKED, REVOKED], strict=True))
    assert outcome(jobs[0]).kind is Kind.CANCELLED


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.PREEMPTED, Kind.TIMEOUT])
def test_behind_a_batch_job_that_was_killed(bench: Bench, kind: Kind) -> None:
    """The one that ran has its end; those behind it never began, and are no sign of trouble."""
    done, ran, *behind = jobs = together(bench, 4)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    bench.system.end("1_0", kind)
    assert bench.pass_time(60) == dict.fromkeys(jobs, ENDED)
    assert outcome(ran).kind is kind
    for job in behind:
        assert outcome(job).kind is Kind.NOT_BEGUN
        assert not job.claim("job", "1_0")


def test_of_a_batch_job_that_never_began_all_are_revoked(bench: Bench) -> None:
    jobs = together(bench)
    bench.system.end("1_0", Kind.LOST)
    assert bench.pass_time(60) == dict.fromkeys(jobs, REVOKED)


def test_a_requeued_batch_job_goes_on_where_it_was(bench: Bench) -> None:
    done, ran, waits = together(bench)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=QUEUED)
    states = bench.pass_time(60)
    assert (states[ran], states[waits]) == (QUEUED, QUEUED)
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=RUNNING)
    assert bench.pass_time(11) == {ran: RUNNING, waits: QUEUED}


def test_a_deleted_folder_ends_none_of_the_others(bench: Bench) -> None:
    first, second, third = together(bench)
    bench.system.begin_next("1_0")
    bench.pass_time(11)
    shutil.rmtree(first.path)
    assert bench.poll() == {first: LOST, second: QUEUED, third: QUEUED}
    assert first.is_asked_to_end()
    assert bench.system.cancelled == []


def test_take_over_several(bench: Bench) -> None:
    done, ran, revoked, waits = jobs = together(bench, 4)
    bench.system.begin_next("1_0")
    done.finish(WELL)
    bench.system.begin_next("1_0")
    assert revoked.revoke()
    assert taken_over(bench, *jobs) == [ENDED, RUNNING, REVOKED, QUEUED]
    assert bench.pass_time(50) == {ran: RUNNING, waits: QUEUED}
    bench.launcher.cancel([waits])
    assert bench.system.cancelled == []
    assert bench.poll() == {ran: RUNNING, waits: REVOKED}
    ran.finish(WELL)
    assert bench.system.begin_next("1_0") is None


def test_several_killed_before_the_system_had_answered(bench: Bench) -> None:
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    jobs = bench.jobs(3, slot=0)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    assert bench.system.begin_next("1_0") == jobs[0]
    assert taken_over(bench, *jobs) == [RUNNING, REVOKED, REVOKED]
    assert bench.pass_time(100) == {jobs[0]: RUNNING}
    assert bench.system.cancelled == []
    jobs[0].finish(WELL)
    assert bench.system.begin_next("1_0") is None
    assert bench.poll() == {jobs[0]: ENDED}


def test_of_several_whose_submission_is_in_doubt_each_runs_once(bench: Bench) -> None:
    bench.submitted(1)
    questions = bench.system.questions
    while not questions or questions[-1] < bench.system.now:
        bench.pass_time(1)  # the next question comes after the batch job has begun
    bench.system.answer_lost = SchedulerError("no clear id", temporary=True)
    jobs = bench.jobs(3, slot=0)
    bench.launcher.submit(jobs)
    bench.pass_time(1)
    assert bench.system.begin_next("2_0") == jobs[0]  # accepted all the same
    bench.pass_time(30)
    assert bench.system.members["3_0"] == tuple(jobs[1:])
    assert bench.system.begin_next("3_0") == jobs[1]
    assert bench.system.begin_next("2_0") == jobs[2]
    states = bench.pass_time(11)
    assert [states[job] for job in jobs] == [RUNNING] * 3
    for job in jobs:
        job.finish(WELL)
    assert [bench.poll()[job] for job in jobs[:1]] == [ENDED]
    assert "2_0" not in [batch_id for told in bench.system.cancelled for batch_id in told]


# -- taking over -----------------------------------------------------------------------------------


def taken_over(bench: Bench, *jobs: JobFolder) -> list[JobState]:
    """What a new driver is told of the jobs of one that is no more."""
    bench.launcher = bench.new_launcher()
    return [bench.launcher.reattach(job) for job in jobs]


def test_take_over_what_was_handed_over(bench: Bench) -> None:
    queued, begun, _, gone = jobs = bench.submitted(4)
    bench.system.begin("1_1")
    bench.system.begin("1_2")
    bench.system.finish("1_2")
    gone.wave_file.unlink()
    gone.spec_file.unlink()
    gone.path.rmdir()
    assert taken_over(bench, *jobs) == [QUEUED, RUNNING, ENDED, REVOKED]
    assert bench.pass_time(50) == {queued: QUEUED, begun: RUNNING}
    bench.system.begin("1_0")
    bench.system.finish("1_0")
    bench.system.finish("1_1")
    assert bench.poll() == {queued: ENDED, begun: ENDED}
    assert len(bench.system.waves) == 1


def test_take_over_what_has_vanished_meanwhile(bench: Bench) -> None:
    queued, begun = bench.submitted(2)
    bench.system.begin("1_1")
    bench.system.rows.clear()
    assert taken_over(bench, queued, begun) == [QUEUED, RUNNING]
    assert bench.pass_time(100) == {queued: REVOKED, begun: ENDED}
    assert outcome(begun).kind is Kind.LOST


def test_what_was_never_handed_over_is_revoked(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    assert taken_over(bench, job) == [REVOKED]
    assert not job.claim("job", "1")
    assert bench.poll() == {}


def test_what_was_revoked_stays_so(bench: Bench) -> None:
    waiting, queued = bench.jobs(1)[0], bench.submitted(1)[0]
    assert waiting.claim("driver")
    assert queued.claim("driver")
    assert taken_over(bench, waiting, queued) == [REVOKED, REVOKED]
    assert not bench.system.begin(bench.system.id_of(queued))


def test_killed_before_the_system_had_answered(bench: Bench) -> None:
    """Of a wave without ids, what has begun goes on, and what has not is revoked and cancelled."""
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    begun, done, waits = jobs = bench.jobs(3)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    bench.system.begin("1_0")
    bench.system.begin("1_1")
    bench.system.finish("1_1")
    assert taken_over(bench, begun, done, waits) == [RUNNING, ENDED, REVOKED]
    assert bench.pass_time(100) == {begun: RUNNING}
    assert bench.system.cancelled == [["1_2"]]
    bench.system.finish("1_0")
    assert bench.poll() == {begun: ENDED}
    assert outcome(begun).kind is Kind.OK


def test_a_requeued_job_is_no_stray(bench: Bench) -> None:
    bench.system.answer_lost = SchedulerError("killed", temporary=False)
    begun, waits = jobs = bench.jobs(2)
    with pytest.raises(LaunchError, match="killed"):
        bench.launcher.submit(jobs)
    bench.system.begin("1_0")
    bench.system.rows["1_0"] = replace(bench.system.rows["1_0"], state=QUEUED)
    assert taken_over(bench, begun, waits) == [RUNNING, REVOKED]
    assert bench.pass_time(100) == {begun: QUEUED}
    assert bench.system.cancelled == [["1_1"]]


@pytest.mark.parametrize("text", ["", "{", '{"system": "slurm"}', "[1]"])
def test_a_wave_file_cut_short(bench: Bench, text: str) -> None:
    (job,) = bench.submitted(1)
    job.wave_file.write_text(text)
    assert taken_over(bench, job) == [REVOKED]
    assert not bench.system.begin("1_0")


def test_jobs_of_other_launchers(bench: Bench) -> None:
    (other,) = bench.submitted(1)
    wave = json.loads(other.wave_file.read_text())
    other.wave_file.write_text(json.dumps(wave | {"system": "pjm"}))
    with pytest.raises(LaunchError, match=r"was handed to 'pjm' .* resume with --on pjm"):
        taken_over(bench, other)
    other.finish(Outcome(Kind.OK, metrics={}))
    assert taken_over(bench, other) == [ENDED]
    (local,) = bench.jobs(1)
    assert local.claim("job")
    with pytest.raises(LaunchError, match=r"begun as a process on .* resume with --on local there"):
        taken_over(bench, local)


def test_a_claim_emptied_by_a_crash(bench: Bench) -> None:
    (job,) = bench.jobs(1)
    (job.path / "claim.json").touch()
    assert job.claimant() == Claim("job", 0, os.uname().nodename)
    assert taken_over(bench, job) == [LOST]


# -- many ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("longest", [1, 500])
def test_a_thousand_jobs(tmp_path: Path, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All come to their end, nothing of them is left open, and each question is about all."""
    without_flush(monkeypatch)
    settings = SlurmSettings.model_validate({"time": 600, "submit_rate": 1000, "poll": 10})
    bench = Bench(tmp_path, Memory(longest=longest), settings)
    files = set(Path("/proc/self/fd").iterdir())
    jobs = bench.submitted(1000)
    for batch_id in list(bench.system.rows):
        assert bench.system.begin(batch_id)
    assert bench.pass_time(21) == dict.fromkeys(jobs, RUNNING)
    for batch_id in list(bench.system.rows):
        bench.system.finish(batch_id)
    assert bench.pass_time(1) == dict.fromkeys(jobs, ENDED)
    assert len(bench.system.questions) <= 4
    assert set(Path("/proc/self/fd").iterdir()) == files


def without_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of flushes would only measure the disk."""
    nothing: Callable[[int], None] = lambda file: None  # noqa: E731
    monkeypatch.setattr(os, "fsync", nothing)
