"""The private parts of submitit that dsice is built on: a new version must still have them."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import submitit
from submitit.core import plugins
from submitit.core.core import Job, PicklingExecutor
from submitit.core.job_environment import JobEnvironment
from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

from dsice.launch.job import JobFolder, JobSpec
from dsice.launch.script import Form, ScriptExecutor, ScriptJobEnvironment
from dsice.launch.series import run_batch_jobs
from dsice.launch.slurm import _Executor

FORM = Form(("echo",), "#ECHO", "ECHO_JOBID", re.compile(r"echo .*\.sh (\d+)"))


FORM = Form(("echo",), "#ECHO", "ECHO_JOBID", re.compile(r"echo .*\.sh (\d+)"))


class Echo(ScriptExecutor):
    @staticmethod
    def ask(command: Sequence[str]) -> str:
        assert Path(command[1]).exists()
        return f"{' '.join(command)} 7"


def commands(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\necho {text}\n")
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("count", [1, 3])
def test_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    commands(tmp_path, monkeypatch, srun="")
    executor = _Executor(tmp_path / "wave")
    executor.update_parameters(time=10)
    executor.ask = lambda command: "Submitted batch job 7"
    assert executor._throttling > 0
    executor._throttling = 0.0
    jobs = executor.map_array(len, ["x"] * count)
    ids = ["7"] if count == 1 else [f"7_{index}" for index in range(count)]
    assert [job.job_id for job in jobs] == ids
    assert all((tmp_path / "wave" / f"{batch_id}_submitted.pkl").exists() for batch_id in ids)
    script = (tmp_path / "wave" / "7_submission.sh").read_text()
    assert ("#SBATCH --array=0-2%3" in script) == (count == 3)


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="srun"):
        SlurmExecutor(tmp_path)


def test_what_slurm_jobs_may_be_given() -> None:
    used = {"setup", "stderr_to_stdout", "use_srun", "array_parallelism", "wckey", "gres", "mem"}
    assert used <= inspect.signature(_make_sbatch_string).parameters.keys()
    given: dict[str, Any] = {"setup": ["first", "second"], "use_srun": False, "wckey": None}
    text = _make_sbatch_string("run", "/f", **given)
    assert "first\nsecond\n" in text
    assert "\nrun\n" in text
    assert "srun" not in text
    assert "wckey" not in text


def test_script_executors(tmp_path: Path) -> None:
    hooks = (
        "_submitit_command_str",
        "_make_submission_file_text",
        "_make_submission_command",
        "_num_tasks",
        "_get_job_id_from_submission_command",
        "_submit_command",
    )
    assert all(hasattr(PicklingExecutor, hook) for hook in hooks)
    executor = Echo(tmp_path / "a wave", FORM, ["--one"], ["two"])
    job = executor.submit(len, "x")
    assert isinstance(job, Job)
    assert job.job_id == "7"
    lines = (tmp_path / "a wave" / "7_submission.sh").read_text().splitlines()
    assert lines[:2] == ["#!/bin/bash", "#ECHO --one"]
    assert lines[3] == "two"
    assert lines[4].endswith(f"dsice.launch.task '{tmp_path}/a wave'")
    assert (tmp_path / "a wave" / "7_submitted.pkl").exists()


def test_inside_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its entry point, submitit finds our environment in jobs of PJM and PBS."""
    environments = plugins.get_job_environments()
    assert isinstance(environments["script"], ScriptJobEnvironment)
    monkeypatch.setenv("SUBMITIT_EXECUTOR", ScriptJobEnvironment.name())
    monkeypatch.setenv("SUBMITIT_SCRIPT_JOB_ID", "7.server")
    found = submitit.JobEnvironment()
    assert isinstance(found, ScriptJobEnvironment)
    assert (found.job_id, found.num_tasks, found.global_rank) == ("7.server", 1, 0)
    for name in ("num_nodes", "node", "local_rank", "array_job_id", "activated"):
        assert hasattr(JobEnvironment, name)


def test_inside_of_a_slurm_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert submitit.JobEnvironment().job_id == "7_2"


def test_what_a_job_script_starts_loads_no_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("sh", "-c", "echo '{\"y\": 1}'"), str(tmp_path)))
    Echo(tmp_path / "wave", FORM).submit(run_batch_jobs, [str(job.path)], None)
    code = (
        "from dsice.launch import task; task.main(); import sys; assert 'numpy' not in sys.modules"
    )
    environment = os.environ | {"SUBMITIT_EXECUTOR": "script", "SUBMITIT_SCRIPT_JOB_ID": "7"}
    command = [sys.executable, "-c", code, str(tmp_path / "wave")]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    outcome = job.outcome()
    assert outcome is not None
    assert outcome.metrics == {"y": 1.0}
