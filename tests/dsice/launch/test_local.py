"""What is particular to jobs on this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dsice.errors import LaunchError
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


def test_what_a_job_needs_of_submitit() -> None:
    """The private parts of submitit that the local launcher is built on."""
    from submitit.local import _local, local

    assert callable(local.LocalExecutor._submit_command)
    controller = {"SUBMITIT_LOCAL_NTASKS", "SUBMITIT_LOCAL_COMMAND", "SUBMITIT_LOCAL_TIMEOUT_S"}
    source = Path(local.__file__).read_text()
    assert all(f'os.environ["{name}"]' in source for name in controller)
    assert Path(_local.__file__).name == "_local.py"
