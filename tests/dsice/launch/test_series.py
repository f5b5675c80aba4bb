"""Several jobs of one batch job, in a real process that no batch system has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.testing.jobs import is_running, until

Make = Callable[..., JobFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def create(script: str, **more: object) -> JobFolder:
        job = JobFolder(tmp_path / f"job-{len(list(tmp_path.glob('job-*')))}")
        spec = JobSpec(job.path.name, ("sh", "-c", script), str(tmp_path), **more)  # type: ignore[arg-type]
        job.create(spec)
        return job

    return create


def started(*jobs: JobFolder, limit: float = 60.0) -> subprocess.Popen[bytes]:
    paths = [str(job.path) for job in jobs]
    code = f"from dsice.launch.series import run_batch_jobs; run_batch_jobs({paths}, {limit})"
    env = os.environ | {"SUBMITIT_EXECUTOR": "script", "SUBMITIT_SCRIPT_JOB_ID": "7"}
    return subprocess.Popen([sys.executable, "-c", code], env=env)


def ran(*jobs: JobFolder, limit: float = 60.0) -> list[Outcome]:
    assert started(*jobs, limit=limit).wait() == 0
    return [outcome(job) for job in jobs]


def outcome(job: JobFolder) -> Outcome:
    found = job.outcome()
    assert found is not None
    return found


WELL = "echo '{\"y\": 1}'"


def test_one_after_another(make: Make, tmp_path: Path) -> None:
    script = f"mkdir busy && echo $$ >> order; {WELL}; rmdir busy"
    jobs = [make(script) for _ in range(4)]
    found = ran(*jobs)
    assert [each.kind for each in found] == [Kind.OK] * 4
    assert all(a.ended <= b.started for a, b in pairwise(found))
    assert len((tmp_path / "order").read_text().split()) == 4
    owners = [job.claimant() for job in jobs]
    assert {owner.batch_id for owner in owners if owner} == {"7"}


def test_a_failure_a_limit_and_a_revoked_one_do_not_stop_the_others(make: Make) -> None:
    fails, hangs, own = make("exit 3"), make("sleep 1000"), make("sleep 1000", timeout=0.3)
    revoked, last = make("touch ran"), make(WELL)
    assert revoked.revoke()
    assert started(fails, hangs, own, revoked, last, limit=0.5).wait() == 0
    kinds = [outcome(job).kind for job in (fails, hangs, own, last)]
    assert kinds == [Kind.EXIT, Kind.TIMEOUT, Kind.TIMEOUT, Kind.OK]
    assert outcome(hangs).reason == "not finished within its time limit of 0.5 s"
    assert revoked.outcome() is None


def test_one_is_ended_by_its_file(make: Make, tmp_path: Path) -> None:
    first, last = make("echo $$ > pid.new; mv pid.new pid; sleep 1000"), make(WELL)
    process = started(first, last)
    until((tmp_path / "pid").exists, "the program's start")
    first.ask_to_end()
    assert process.wait() == 0
    assert [outcome(job).kind for job in (first, last)] == [Kind.CANCELLED, Kind.OK]
    assert not is_running(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("asked", [True, False])
def test_a_signal_ends_the_running_one_and_begins_no_other(
    make: Make, tmp_path: Path, asked: bool
) -> None:
    first, second, third = make(WELL), make("touch begun; sleep 1000"), make("touch ran")
    process = started(first, second, third)
    until((tmp_path / "begun").exists, "the program's start")
    if asked:
        second.ask_to_end()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert outcome(first).kind is Kind.OK
    # Only the batch system knows why others have ended it.
    assert (second.outcome() is not None) == asked
    assert not third.has_begun()
    # Started again, as a requeued one, it goes on where it was.
    (tmp_path / "begun").unlink()
    process = started(first, second, third)
    until((tmp_path / ("ran" if asked else "begun")).exists, "its second start")
    process.send_signal(signal.SIGTERM)
    process.wait()


@pytest.mark.parametrize("moment", range(5))
def test_a_signal_at_any_moment_begins_no_other(make: Make, moment: int) -> None:
    jobs = [make("sleep 0.01; " + WELL) for _ in range(200)]
    process = started(*jobs)
    until(lambda: jobs[10 * moment].has_begun(), "one of them to begin")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    begun = [job.has_begun() for job in jobs]
    assert begun == sorted(begun, reverse=True)
    without = [job for job, has in zip(jobs, begun, strict=True) if has and not job.has_ended()]
    assert len(without) <= 1
    assert not begun[-1]


def test_of_a_killed_one_that_is_said(make: Make, tmp_path: Path) -> None:
    script = "setsid sleep 1000 & echo $! $$ > pids.new; mv pids.new pids; wait"
    first, last = make(script), make(WELL)
    process = started(first, last)
    until((tmp_path / "pids").exists, "the program's start")
    owner = first.claimant()
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    assert process.wait() == 0
    assert [outcome(job).kind for job in (first, last)] == [Kind.LOST, Kind.OK]
    assert outcome(first).reason == "the process that ran it was killed"
    assert not any(map(is_running, map(int, (tmp_path / "pids").read_text().split())))


def test_nothing_outlives_a_killed_batch_job(make: Make, tmp_path: Path) -> None:
    first, last = make("echo $$ > pid.new; mv pid.new pid; sleep 1000"), make("touch ran")
    process = started(first, last)
    until((tmp_path / "pid").exists, "the program's start")
    process.kill()
    process.wait()
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not is_running(pid), "the program to end with its batch job")
    until(lambda: not first.is_alive(), "the lock to be free")
    assert first.outcome() is None
    assert not last.has_begun()


def test_each_is_measured_for_itself(make: Make) -> None:
    large = f"{sys.executable} -c 'bytearray(300_000_000)'; {WELL}"
    measured = {"memory": "$memory"}
    first, last = ran(make(large, measured=measured), make(WELL, measured=measured))
    assert first.metrics is not None
    assert last.metrics is not None
    assert first.metrics["memory"] > 300 > last.metrics["memory"]
