"""What is particular to jobs on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsice.errors import LaunchError
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, JobSpec
from dsice.launch.local import LocalLauncher


def test_jobs_of_another_machine_are_neither_killed_nor_repeated(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("true",), str(tmp_path)))
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        owner = {"by": "job", "pid": stranger.pid, "host": "another-machine"}
        (job.path / "claim.json").write_text(json.dumps(owner))
        with job.alive():
            with pytest.raises(LaunchError, match="was begun on another-machine and has not ended"):
                LocalLauncher().reattach(job)
            LocalLauncher().cancel([job])
        assert stranger.poll() is None
        stranger.kill()


def test_a_shim_that_cannot_begin_leaves_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("true",), str(tmp_path)))
    job.spec_file.write_text("{")
    launcher = LocalLauncher()
    launcher.submit([job])
    while (state := launcher.poll()[job]) in (JobState.QUEUED, JobState.RUNNING):
        time.sleep(0.02)
    assert state is JobState.ENDED
    outcome = job.outcome()
    assert outcome is not None
    assert "spec.json is damaged" in outcome.reason

    broken = JobFolder(tmp_path / "broken")
    broken.create(JobSpec("job", ("true",), str(tmp_path)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "dsice.py").write_text("raise SystemExit('not this one')")
    launcher.submit([broken])
    while (state := launcher.poll()[broken]) is JobState.QUEUED:
        time.sleep(0.02)
    assert state is JobState.REVOKED
    assert "not this one" in broken.stderr.read_text()


def test_the_shim_of_a_local_job_imports_nothing_heavy() -> None:
    code = (
        "import sys, dsice.launch.shim\n"
        "heavy = {'numpy', 'scipy', 'submitit', 'pydantic', 'rich', 'asyncio', 'cloudpickle'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
