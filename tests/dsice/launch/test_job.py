"""The rules of job folders: one claimant, one outcome, a lock that tells the living."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.locks import try_lock


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("name", ("true",), str(tmp_path), {"A": "1"}, timeout=2.5))
    return job


def test_the_specification_comes_back_as_it_was(job: JobFolder, tmp_path: Path) -> None:
    assert job.spec() == JobSpec("name", ("true",), str(tmp_path), {"A": "1"}, timeout=2.5)


def test_one_of_many_claims_wins(job: JobFolder) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda k: job.claim("job" if k % 2 else "driver"), range(64)))
    assert sum(won) == 1
    owner = job.claimant()
    assert owner is not None
    assert owner.by == ("job" if won.index(True) % 2 else "driver")


def test_the_first_outcome_stands(job: JobFolder) -> None:
    first = Outcome(Kind.OK, metrics={"y": 1.0}, exit_code=0, started=1.0, ended=2.0, host="h")
    assert job.outcome() is None
    assert job.finish(first)
    assert not job.finish(Outcome(Kind.EXIT, "late"))
    assert job.outcome() == first


def test_nothing_temporary_is_left(job: JobFolder) -> None:
    job.claim("job")
    job.claim("driver")
    job.finish(Outcome(Kind.LOST))
    assert sorted(path.name for path in job.path.iterdir()) == [
        "claim.json",
        "outcome.json",
        "spec.json",
    ]


def test_the_lock_tells_whether_its_holder_lives(job: JobFolder) -> None:
    assert not job.is_alive()
    code = (
        "import sys; from dsice.launch.job import JobFolder\n"
        f"with JobFolder({str(job.path)!r}).running() as held:\n"
        "    print(held, flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert job.is_alive()
        with job.running() as held:
            assert not held
        holder.kill()
    assert not job.is_alive()


def test_a_batch_job_that_is_begun_again_owns_its_claim(job: JobFolder) -> None:
    with job.running("7") as held:
        assert held
    with job.running("8") as held:
        assert not held
    with job.running() as held:
        assert not held
    with job.running("7") as held:
        assert held
        assert job.is_alive()
        job.finish(Outcome(Kind.OK, metrics={"y": 1.0}))
    with job.running("7") as held:  # it has its outcome
        assert not held


def test_a_job_that_was_revoked_is_nobodys(job: JobFolder) -> None:
    assert job.revoke()
    for batch_id in ("", "7"):
        with job.running(batch_id) as held:
            assert not held


def test_the_lock_of_an_earlier_version_counts(job: JobFolder) -> None:
    job.claim("job")
    assert not job.is_alive()
    with (job.path / "alive.lock").open("w") as file:
        assert try_lock(file)
        assert job.is_alive()
    assert not job.is_alive()
