"""The program of a batch job: runs its jobs, one after another, see `dsice.launch.shim`."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Collection, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from dsice.launch.job import JobFolder, Kind
from dsice.launch.memory import MemoryWatch
from dsice.launch.processes import adopt_orphans, die_with_parent, kill_orphans
from dsice.launch.shim import Cancellation, ended, finish, run_once


def run_batch_jobs(paths: Sequence[str], limit: float | None) -> None:
    """As `run_job`, for the jobs of one batch job, one after another.

    The batch system may end and restart it. A restarted one (after a preemption, or when its node
    failed) keeps its id: it owns the folder of the job that it was at already and runs that again.
    A job that is told to end by anybody but the driver leaves no outcome: the driver learns from
    the batch system what happened to it.

    Args:
        paths: the folders of the jobs.
        limit: seconds that each of several may take if it has no limit of its own, so that it
            does not use up the time of those behind it.
    """
    import submitit  # has started this process; too slow to import for local jobs

    batch_id = submitit.JobEnvironment().job_id
    if len(paths) == 1:
        run_once(JobFolder(paths[0]), batch_id, None, Cancellation())
    else:
        _Series(batch_id, limit).run([JobFolder(path) for path in paths])


class _Series:
    """Runs jobs one after another, each in a process of its own, until it is told to end.

    Of a job whose process is killed it records that; those behind it run all the same.
    """

    def __init__(self, batch_id: str, limit: float | None) -> None:
        self._batch_id = batch_id
        self._limit = limit
        self._told = False
        self._child = 0

    def run(self, jobs: Sequence[JobFolder]) -> None:
        """Run the jobs, in order; at SIGTERM, end the running one and begin no other."""
        adopt_orphans()
        signal.signal(signal.SIGTERM, self._tell)
        # submitit's handler would take this signal for the end of the job.
        signal.signal(signal.SIGUSR2, lambda number, frame: None)
        for job in jobs:
            self._run(job)

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGTERM)

    def _run(self, job: JobFolder) -> None:
        memory = MemoryWatch()
        held_back = {signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
        if self._told:
            return
        if not (child := os.fork()):
            self._become_shim(job, held_back)
        self._child = child
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)
        _, status = os.waitpid(child, 0)
        self._child = 0
        kill_orphans()
        owner = job.claimant()
        mine = owner is not None and owner.by == "job" and owner.batch_id == self._batch_id
        if os.WIFSIGNALED(status) and mine and not self._told:
            started = owner.time if owner is not None else 0.0
            exceeded = memory.was_exceeded()
            kind = Kind.OUT_OF_MEMORY if exceeded else Kind.LOST
            why = " for using more memory than it may" if exceeded else ""
            finish(job, ended(kind, started, f"the process that ran it was killed{why}"), None)

    def _become_shim(self, job: JobFolder, held_back: Collection[signal.Signals]) -> NoReturn:
        code = 1
        try:
            die_with_parent()
            cancellation = Cancellation()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, held_back)
            run_once(job, self._batch_id, None, cancellation, self._limit, watches=True)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
