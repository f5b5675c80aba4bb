"""What is particular to jobs on this machine."""

from __future__ import annotations

import json
import os
import signal
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
        with job.running():
            (job.path / "claim.json").write_text(json.dumps(owner))
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
    broken.stderr.mkdir()
    launcher.submit([broken])
    while (state := launcher.poll()[broken]) is JobState.QUEUED:
        time.sleep(0.02)
    assert state is JobState.REVOKED

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "dsice.py").write_text("raise SystemExit('not this one')")
    with pytest.raises(LaunchError, match="ends at once, again and again"):
        LocalLauncher().submit([broken])


def pid_of_server(launcher: LocalLauncher) -> int:
    end = launcher._server._end
    assert end is not None
    found = end.peek()
    assert found is not None
    return int(found[2][0])


def test_jobs_survive_the_process_that_starts_them(tmp_path: Path) -> None:
    launcher = LocalLauncher()
    jobs = []
    for number in range(4):
        job = JobFolder(tmp_path / str(number))
        wait = f"until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo '{{\"y\": {number}}}'"
        job.create(JobSpec(f"job-{number}", ("sh", "-c", wait), str(tmp_path)))
        launcher.submit([job])
        jobs.append(job)
        os.kill(pid_of_server(launcher), signal.SIGKILL)
    (tmp_path / "go").touch()
    states: dict[JobFolder, JobState] = {}
    while len(states) < 4:
        for job, state in launcher.poll().items():
            assert state not in (JobState.LOST, JobState.REVOKED)
            if state is JobState.ENDED:
                states[job] = state
        time.sleep(0.02)
    outcomes = [job.outcome() for job in jobs]
    assert [outcome.metrics for outcome in outcomes if outcome] == [{"y": k} for k in range(4)]
    # It ends with its driver: at the latest when nobody needs it any more.
    pid = pid_of_server(launcher)
    launcher._server.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_job_rings_when_its_outcome_can_be_read(tmp_path: Path) -> None:
    launcher = LocalLauncher()
    for number in range(3):
        job = JobFolder(tmp_path / str(number))
        job.create(JobSpec("job", ("sh", "-c", "echo '{\"y\": 1}'"), str(tmp_path)))
        launcher.submit([job])
        if number == 1:  # the shims that a killed server has left ring as well
            os.kill(pid_of_server(launcher), signal.SIGKILL)
        while launcher.poll()[job] is not JobState.ENDED:
            launcher.wait(600.0, time.sleep)  # a bell that does not ring is a test that hangs


def test_a_local_job_leaves_few_files(tmp_path: Path) -> None:
    launcher = LocalLauncher()
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("sh", "-c", "echo '{\"y\": 1}'"), str(tmp_path)))
    launcher.submit([job])
    while launcher.poll().get(job, JobState.ENDED) is not JobState.ENDED or job.stderr.exists():
        time.sleep(0.01)
    names = sorted(path.name for path in job.path.iterdir())
    assert names == ["claim.json", "outcome.json", "spec.json", "stdout.txt"]


def test_the_shim_of_a_local_job_imports_nothing_heavy() -> None:
    code = (
        "import sys, dsice.launch.server\n"
        "heavy = {'numpy', 'scipy', 'submitit', 'pydantic', 'rich', 'asyncio', 'cloudpickle'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
