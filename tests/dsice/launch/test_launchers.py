"""The conformance tests of `dsice.testing`, run over every launcher with real processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest

from dsice.launch.base import JobState, Launcher
from dsice.launch.batch import BatchLauncher
from dsice.launch.job import JobFolder
from dsice.launch.make import make_launcher, make_scheduler, settings_of
from dsice.launch.names import ALLOCATION, LOCAL, PBS, PJM, SLURM
from dsice.launch.settings import AllocationSettings
from dsice.testing import LauncherTests

Patch = pytest.MonkeyPatch
QUICK = {"time": "10 min", "poll": 0.3, "grace": 1, "memory": "100 MB", "submit_rate": 50}
STAND_INS = Path(__file__).parents[2] / "slurm" / "bin"


class TestLocal(LauncherTests):
    batch = False

    def new_launcher(self, folder: Path) -> Launcher:
        return make_launcher(LOCAL, None, folder)


class Cluster(LauncherTests):
    """A batch system, real or played by stand-ins on a real Slurm."""

    system: ClassVar[str]
    settings: ClassVar[dict[str, object]] = QUICK

    @pytest.fixture(autouse=True)
    def commands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The commands of its batch system can be called."""
        path = f"{STAND_INS / self.system}{os.pathsep}{os.environ['PATH']}"
        monkeypatch.setenv("PATH", path)

    def new_launcher(self, folder: Path) -> Launcher:
        settings = settings_of(self.system).model_validate(self.settings)
        return make_launcher(self.system, settings, folder / "batch")


@pytest.mark.slurm
class TestSlurm(Cluster):
    system = SLURM


@pytest.mark.slurm
class TestPjm(Cluster):
    system = PJM
    settings: ClassVar = QUICK | {"unit": "cx", "group": "cx-share", "memory": None}


@pytest.mark.slurm
class TestPbs(Cluster):
    system = PBS


class Accompanied(BatchLauncher):
    """Each job is the second of three in its batch job."""

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        for job in jobs:
            spec = job.spec()
            slot = next(_numbers)
            (job.path / "spec.json").unlink()
            job.create(replace(spec, slot=slot))
            others = []
            for place in ("before", "behind"):
                other = JobFolder(job.path.parent / f"{job.path.name}-{place}-{slot}")
                other.create(replace(spec, command=("true",), needs_metrics=False, slot=slot))
                others.append(other)
            super().submit([others[0], job, others[1]])

    def poll(self) -> dict[JobFolder, JobState]:
        states = super().poll()
        return {job: state for job, state in states.items() if "-b" not in job.path.name}


_numbers = count()


class Together(Cluster):
    """A batch system whose batch jobs run several jobs each."""

    def new_launcher(self, folder: Path) -> Launcher:
        settings = settings_of(self.system).model_validate(self.settings)
        return Accompanied(make_scheduler(settings), settings, folder / "batch")


@pytest.mark.slurm
class TestSlurmTogether(Together):
    system = SLURM


@pytest.mark.slurm
class TestPjmTogether(Together):
    system = PJM
    settings: ClassVar = TestPjm.settings


@pytest.mark.slurm
class TestPbsTogether(Together):
    system = PBS


class TestNodes(LauncherTests):
    """On the nodes of a job of PBS, by a remote shell that runs commands here."""

    unknown_id = "123.node1.0"

    @pytest.fixture(autouse=True)
    def in_a_job(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Patch) -> None:
        """Within a job of PBS on two nodes."""
        folder = tmp_path_factory.mktemp("nodes")
        (folder / "nodes").write_text("node1\nnode1\nnode2\n")
        (folder / "pbs_tmrsh").write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
        (folder / "pbs_tmrsh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("PBS_JOBID", "123.server")
        monkeypatch.setenv("PBS_NODEFILE", str(folder / "nodes"))
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def new_launcher(self, folder: Path) -> Launcher:
        settings = AllocationSettings(poll=0.3, grace=0.5)
        return make_launcher(ALLOCATION, settings, folder / "batch")


@contextmanager
def allocation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, this process is in a Slurm allocation."""
    salloc = ["salloc", "--no-shell", "--ntasks=4", "--mem=500"]
    done = subprocess.run(salloc, capture_output=True, text=True, check=True)
    job = next(word for word in done.stderr.split() if word.isdigit())
    monkeypatch.setenv("SLURM_JOB_ID", job)
    yield
    subprocess.run(["scancel", job], check=True)


@pytest.mark.slurm
class TestAllocation(LauncherTests):
    @pytest.fixture(autouse=True)
    def allocated(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Within an allocation."""
        with allocation(monkeypatch):
            monkeypatch.setattr(type(self), "unknown_id", f"{os.environ['SLURM_JOB_ID']}.999")
            yield

    def new_launcher(self, folder: Path) -> Launcher:
        settings = AllocationSettings(poll=0.5, grace=1.0)
        return make_launcher(ALLOCATION, settings, folder / "batch")
