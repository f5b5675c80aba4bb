"""Jobs of a batch system in virtual time: a system in memory that runs nothing and may misbehave.

Jobs begin and end when a test says so, by their files, as the shim would.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from dsice.launch.job import Kind, Outcome
from dsice.launch.scheduler import Entry
from dsice.launch.settings import SlurmSettings
from tests.dsice.launch.batch_system import (
    DOWN,
    ENDED,
    LOST,
    QUEUED,
    REVOKED,
    RUNNING,
    Bench,
    Memory,
    outcome,
    running,
)

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
