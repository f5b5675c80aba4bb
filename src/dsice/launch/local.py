"""Jobs as processes on this machine, through submitit's local executor."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from submitit.local.local import LocalExecutor, LocalJob

from dsice.errors import LaunchError
from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder
from dsice.launch.shim import run_job

# submitit logs every submission; the driver tells the user what matters.
logging.getLogger("submitit").setLevel(logging.WARNING)

_FOREVER_S: Final = 10 * 365 * 24 * 3600  # the shim holds the time limit, not submitit


class LocalLauncher(Launcher):
    """Runs each job at once as a process of its own; how many run is the driver's business.

    Jobs outlive the driver. Whether one lives is told by the lock that it holds.
    """

    def __init__(self) -> None:
        self._processes: dict[JobFolder, subprocess.Popen[bytes] | None] = {}
        self._ending: list[subprocess.Popen[bytes]] = []

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start the jobs now."""
        for job in jobs:
            executor = _Executor(job.launcher_files)
            executor.update_parameters(stderr_to_stdout=True)
            try:
                executor.submit(run_job, str(job.path))
            except OSError as error:
                raise LaunchError(f"cannot start a process for {job.path}: {error}") from error
            self._processes[job] = executor.process

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        states = {}
        for job, process in list(self._processes.items()):
            states[job] = state = _state(job, process)
            if state not in (JobState.QUEUED, JobState.RUNNING):
                del self._processes[job]
                if process is not None:
                    self._ending.append(process)
        # submitit's controller ends a moment after its job; asking it leaves no zombie behind.
        self._ending = [process for process in self._ending if process.poll() is None]
        return states

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs: one that has not begun is revoked, one that runs is told to end."""
        for job in jobs:
            if job.claim("driver"):
                continue
            owner = job.claimant()
            # While the lock is held, the process id is that of the job and of nobody else.
            if owner is not None and owner["by"] == "job" and job.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(owner["pid"], signal.SIGTERM)

    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job of an earlier driver; one that has not begun is revoked."""
        if not job.path.exists() or job.claim("driver"):
            return JobState.REVOKED
        state = _state(job, None)
        if state is JobState.RUNNING:
            self._processes[job] = None
        return state


def _state(job: JobFolder, process: subprocess.Popen[bytes] | None) -> JobState:
    # The order matters: "no process" is read before "no outcome", or a job that ends in between
    # would seem lost.
    gone = process is not None and process.poll() is not None
    owner = job.claimant()
    if owner is None:
        # A job that died before it began is revoked first: it must not begin after all.
        return JobState.REVOKED if gone and job.claim("driver") else JobState.QUEUED
    if owner["by"] == "driver":
        return JobState.REVOKED
    alive = job.is_alive()
    if job.outcome() is not None:
        return JobState.ENDED
    return JobState.RUNNING if alive else JobState.LOST


class _Executor(LocalExecutor):
    """submitit's local executor with its jobs in sessions of their own.

    A Ctrl-C or a closed terminal then reaches the driver only. The rest of the environment,
    CUDA_VISIBLE_DEVICES among it, is the driver's.

    Attributes:
        process: submitit's controller of the job last submitted.
    """

    process: subprocess.Popen[bytes] | None = None

    def _submit_command(self, command: str) -> LocalJob[Any]:
        env = os.environ | {
            "SUBMITIT_LOCAL_NTASKS": "1",
            "SUBMITIT_LOCAL_COMMAND": command,
            "SUBMITIT_LOCAL_TIMEOUT_S": str(_FOREVER_S),
            "SUBMITIT_LOCAL_SIGNAL_DELAY_S": "30",
            "SUBMITIT_LOCAL_NODEID": "0",
            "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
            "SUBMITIT_STDERR_TO_STDOUT": "1",
            "SUBMITIT_EXECUTOR": "local",
            "SUBMITIT_LOCAL_WITH_SHELL": "",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "submitit.local._local", str(self.folder)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return LocalJob(folder=self.folder, job_id=str(self.process.pid), process=self.process)
