"""Jobs as processes on this machine, one shim each, see `dsice.launch.shim`."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from dsice.errors import LaunchError
from dsice.launch.base import JobState, Launcher
from dsice.launch.job import Claim, JobFolder
from dsice.launch.processes import kill_marked
from dsice.launch.server import Server


class LocalLauncher(Launcher):
    """Starts each job at once as a process; the driver limits how many run.

    Jobs outlive the driver. A job is alive while it holds its lock.
    """

    def __init__(self) -> None:
        # None for jobs that have begun, or belong to an earlier driver.
        self._jobs: dict[JobFolder, _Started | None] = {}
        self._server = Server()

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start the jobs now."""
        for job in jobs:
            try:
                self._jobs[job] = _Started(self._server.start(job))
            except OSError as error:
                raise LaunchError(f"cannot start a process for {job.path}: {error}") from error

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        states = {}
        for job, started in list(self._jobs.items()):
            states[job] = state = _state(job, started)
            if state is JobState.RUNNING:
                self._jobs[job] = None
            elif state is not JobState.QUEUED:
                del self._jobs[job]
        return states

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait until a job signals its end, or ``seconds`` have passed."""
        self._server.wait(seconds)

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs: revoke those that have not begun, tell those that run to end."""
        for job in jobs:
            if _revoke(job):
                continue
            owner = job.claimant()
            # While the lock is held, the process id cannot have been reused.
            if owner and owner.by == "job" and _is_here(owner) and job.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(owner.pid, signal.SIGTERM)

    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job of an earlier driver, or revoke it if it has not begun.

        Raises:
            LaunchError: it began on another machine; only there can its state be determined.
        """
        # After a crash of the machine there may be an outcome without its claim.
        if job.has_ended():
            return JobState.ENDED
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
            self._jobs[job] = None
        return state


def _is_here(owner: Claim) -> bool:
    return owner.host == socket.gethostname()


def _state(job: JobFolder, started: _Started | None) -> JobState:
    if not job.path.exists() and _revoke(job):  # somebody deleted it
        return JobState.LOST
    owner = job.claimant()
    if owner is None:
        # If the process died before the job began, revoke it first: it must not begin later.
        died = started is not None and started.has_ended()
        return JobState.REVOKED if died and job.claim("driver") else JobState.QUEUED
    if owner.by == "driver":
        return JobState.REVOKED
    # Read the lock before the outcome: otherwise a job that ends in between would seem lost.
    alive = job.is_alive()
    if job.outcome() is not None:
        return JobState.ENDED
    if alive:
        return JobState.RUNNING
    _kill_left_of(job)  # its shim was killed
    return JobState.LOST


def _revoke(job: JobFolder) -> bool:
    """Revoke a job that has not begun according to its folder, and kill what is left of it."""
    was_there = job.path.exists()
    revoked = job.revoke()
    if revoked and not was_there:  # never created, or deleted while it ran
        _kill_left_of(job)
    return revoked


def _kill_left_of(job: JobFolder) -> None:
    """Kill processes that a job left running, before a new attempt uses its working directory."""
    kill_marked("DSICE_RESULT", str(job.metrics_file))


class _Started:
    """A shim that was started and may not have begun its job yet."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._handle = -1
        with suppress(OSError, AttributeError):  # it has ended, or this is not Linux
            self._handle = os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        if self._handle >= 0:
            poll = select.poll()
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(0))
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return True
        return False

    def __del__(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
