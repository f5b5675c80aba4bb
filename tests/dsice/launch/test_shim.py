"""The shim's own rules; what it does to programs is in the launchers' conformance suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsice.launch import shim
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("sh", "-c", "echo '{\"y\": 1}'"), str(tmp_path)))
    return job


@pytest.fixture(autouse=True)
def _as_guest(shim_as_guest: None) -> None:
    """Shims run in the process of the tests."""


def test_a_full_disk_is_waited_for(job: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, failures = JobFolder.finish, [OSError(28, "No space left on device")] * 3

    def full_for_a_while(self: JobFolder, outcome: Outcome, seen: Any) -> bool:
        if failures:
            raise failures.pop()
        return finish(self, outcome, seen)

    monkeypatch.setattr(JobFolder, "finish", full_for_a_while)
    monkeypatch.setattr(shim, "_RETRY", 0.0)
    shim.run_job(str(job.path))
    outcome = job.outcome()
    assert outcome is not None
    assert outcome.metrics == {"y": 1.0}
    assert not failures


def test_whatever_goes_wrong_in_the_shim_is_an_outcome(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> dict[str, str]:
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr(shim, "_environment", broken)
    shim.run_job(str(job.path))
    outcome = job.outcome()
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (
        Kind.NOT_STARTED,
        "RuntimeError: what nobody thought of",
    )


def test_files_are_made_before_the_program_starts(tmp_path: Path) -> None:
    job, text = JobFolder(tmp_path / "job"), '{"y": 2}\n'
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("left by a former run")
    job.create(JobSpec("job", ("cat", "in/a.json"), str(tmp_path), files={"in/a.json": text}))
    shim.run_job(str(job.path))
    outcome = job.outcome()
    assert outcome is not None
    assert outcome.metrics == {"y": 2.0}
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.json"]


def test_a_job_with_a_flaw_says_so_and_starts_nothing(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("touch", "started"), str(tmp_path), flaw="what is wrong"))
    shim.run_job(str(job.path))
    outcome = job.outcome()
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (Kind.NOT_STARTED, "what is wrong")
    assert not (tmp_path / "started").exists()


def test_a_job_that_was_revoked_is_left_alone(job: JobFolder) -> None:
    job.claim("driver")
    shim.run_job(str(job.path))
    assert job.outcome() is None
    assert not job.stdout.exists()


@pytest.mark.parametrize("name", ["stdout.txt", "stderr.txt", "claim.json", "end-asked"])
def test_a_job_writes_through_no_link(job: JobFolder, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (job.path / name).symlink_to(victim)
    shim.run_job(str(job.path))
    job.ask_to_end()
    assert victim.read_text() == "precious"
    outcome = job.outcome()
    if name.startswith("std"):
        assert outcome is not None
        assert outcome.kind is Kind.NOT_STARTED
        assert "it is a symbolic link, not a regular file" in outcome.reason
