"""Jobs as processes on this machine: a shim each, see `dsice.launch.shim`."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from dsice.errors import LaunchError
from dsice.launch.base import JobState, Launcher
from dsice.launch.job import Claim, JobFolder
from dsice.launch.processes import kill_marked
from dsice.launch.shim import SAFE_PATH_ADDED


class LocalLauncher(Launcher):
    """Runs each job at once as a process of its own; how many run is the driver's business.

    Jobs outlive the driver. Whether one lives is told by the lock that it holds.
    """

    def __init__(self) -> None:
        self._pids: dict[JobFolder, int | None] = {}  # None for those of an earlier driver
        self._ending: list[int] = []

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start the jobs now."""
        for job in jobs:
            try:
                self._pids[job] = _spawn(job)
            except OSError as error:
                raise LaunchError(f"cannot start a process for {job.path}: {error}") from error

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        states = {}
        for job, pid in list(self._pids.items()):
            states[job] = state = _state(job, pid)
            if state not in (JobState.QUEUED, JobState.RUNNING):
                del self._pids[job]
                if pid is not None:
                    self._ending.append(pid)
        # A shim ends a moment after its job; asking it leaves no zombie behind.
        self._ending = [pid for pid in self._ending if not _has_ended(pid)]
        return states

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs: one that has not begun is revoked, one that runs is told to end."""
        for job in jobs:
            if _revoke(job):
                continue
            owner = job.claimant()
            # While the lock is held, the process id is that of the job and of nobody else.
            if owner and owner.by == "job" and _is_here(owner) and job.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(owner.pid, signal.SIGTERM)

    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job of an earlier driver; one that has not begun is revoked.

        Raises:
            LaunchError: it began on another machine, where alone can be seen whether it lives.
        """
        if _revoke(job):
            return JobState.REVOKED
        owner = job.claimant()
        if owner and owner.batch_id and job.outcome() is None:
            raise LaunchError(
                f"{job.path} was handed to a batch system as its job {owner.batch_id} and has not "
                "ended: resume with the --on of before"
            )
        if owner and owner.by == "job" and not _is_here(owner) and job.outcome() is None:
            raise LaunchError(
                f"{job.path} was begun on {owner.host} and has not ended: resume there or, if "
                "that machine is gone for good, delete this folder"
            )
        state = _state(job, None)
        if state is JobState.RUNNING:
            self._pids[job] = None
        return state


def _is_here(owner: Claim) -> bool:
    return owner.host == socket.gethostname()


def _state(job: JobFolder, pid: int | None) -> JobState:
    if not job.path.exists() and _revoke(job):  # somebody deleted it
        return JobState.LOST
    owner = job.claimant()
    if owner is None:
        # One whose process died before it began is revoked first: it must not begin after all.
        died = pid is not None and _has_ended(pid)
        return JobState.REVOKED if died and job.claim("driver") else JobState.QUEUED
    if owner.by == "driver":
        return JobState.REVOKED
    # The lock is read before the outcome: a job that ends in between would seem lost.
    alive = job.is_alive()
    if job.outcome() is not None:
        return JobState.ENDED
    if alive:
        return JobState.RUNNING
    _kill_left_of(job)  # its shim was killed
    return JobState.LOST


def _revoke(job: JobFolder) -> bool:
    """Revoke a job that has not begun, as far as its folder says; what is left of it is killed."""
    was_there = job.path.exists()
    revoked = job.revoke()
    if revoked and not was_there:  # never made, or deleted while it ran
        _kill_left_of(job)
    return revoked


def _kill_left_of(job: JobFolder) -> None:
    """Kill what a job left running: it must not meet a new attempt in its working directory."""
    kill_marked("DSICE_RESULT", str(job.metrics_file))


def _spawn(job: JobFolder) -> int:
    """Start a job's shim as a process of its own, and return its id.

    In a session of its own: a Ctrl-C or a closed terminal reaches the driver only. The environment,
    CUDA_VISIBLE_DEVICES in it, is the driver's.
    """
    env = dict(os.environ)
    if "PYTHONSAFEPATH" not in env:
        # `python -m` would take a random.py of the user's folder for the standard library's.
        env |= {"PYTHONSAFEPATH": "1", SAFE_PATH_ADDED: "1"}
    # What a shim that cannot begin says becomes the job's error output.
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    # Not subprocess.Popen, which expects to be waited for: the job may outlive the driver.
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "dsice.launch.shim", str(job.path)],
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(job.stderr), log, 0o600),
        ],
        setsid=True,
    )


def _has_ended(pid: int) -> bool:
    """Whether this process's child ``pid`` has ended; it is reaped if so."""
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:  # reaped before
        return True
