"""Creating jobs for tests of launchers, and waiting for their ends."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

import pytest

from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome

UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING)


class Jobs(ABC):
    """The fixtures of a class of tests; see `dsice.testing.LauncherTests`."""

    batch: ClassVar[bool] = True
    unknown_id: ClassVar[str] = "999999"

    @abstractmethod
    def new_launcher(self, folder: Path) -> Launcher:
        """Create the launcher; ``folder`` may hold its files. Called several times with it."""

    @pytest.fixture
    def make_launcher(self, tmp_path: Path) -> Callable[[], Launcher]:
        """Creates further launchers, like those of drivers that come later."""
        return lambda: self.new_launcher(tmp_path)

    @pytest.fixture
    def launcher(self, make_launcher: Callable[[], Launcher]) -> Launcher:
        """The launcher under test."""
        return make_launcher()

    @pytest.fixture
    def new_job(self, tmp_path: Path) -> Callable[..., JobFolder]:
        """Creates a job that runs a shell script."""

        def create(script: str, *, timeout: float | None = 60.0, **env: str) -> JobFolder:
            job = JobFolder(tmp_path / f"job-{len(list(tmp_path.iterdir()))}")
            job.create(JobSpec(job.path.name, ("sh", "-c", script), str(tmp_path), env, timeout))
            return job

        return create


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until ``condition``; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def ended(launcher: Launcher, *jobs: JobFolder) -> dict[JobFolder, JobState]:
    """Poll until all jobs have ended in some way; their last states."""
    last: dict[JobFolder, JobState] = {}

    def all_ended() -> bool:
        last.update(launcher.poll())
        return all(job in last and last[job] not in UNDER_WAY for job in jobs)

    until(all_ended, "the jobs' ends")
    return last


def outcome(launcher: Launcher, job: JobFolder) -> Outcome:
    """Submit a job, and wait for its outcome."""
    launcher.submit([job])
    assert ended(launcher, job)[job] is JobState.ENDED
    found = job.outcome()
    assert found is not None
    return found


def assert_lost(job: JobFolder, state: JobState) -> None:
    """Nobody knows an outcome; where a batch system was asked, that is written down."""
    found = job.outcome()
    assert state is JobState.LOST or (found is not None and found.kind is Kind.LOST)


def is_running(pid: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
