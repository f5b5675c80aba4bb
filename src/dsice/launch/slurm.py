"""Slurm: sbatch through submitit, squeue, sacct, scancel."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final, Self

from submitit.core.core import Job
from submitit.core.utils import DelayedSubmission
from submitit.slurm.slurm import SlurmExecutor

from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.names import SLURM, TITLES
from dsice.launch.output import lines
from dsice.launch.scheduler import Entry, Scheduler, SchedulerError, setup_lines
from dsice.launch.script import Submitter
from dsice.launch.settings import BatchSettings, SlurmSettings
from dsice.launch.wave import Wave

# States of squeue and sacct; those not listed here are pending.
_RUNNING: Final = frozenset(
    ["RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING"]
)
_ENDED: Final[Mapping[str, tuple[Kind, str]]] = {
    "COMPLETED": (Kind.OK, ""),
    "FAILED": (Kind.LOST, "its Slurm job failed without a result"),
    "TIMEOUT": (Kind.TIMEOUT, "not finished within the time limit of its Slurm job"),
    "OUT_OF_MEMORY": (Kind.OUT_OF_MEMORY, "killed for using more memory than its Slurm job has"),
    "NODE_FAIL": (Kind.NODE_FAILED, "its node failed"),
    "BOOT_FAIL": (Kind.NODE_FAILED, "its node did not start"),
    "LAUNCH_FAILED": (Kind.NODE_FAILED, "its node could not start it"),
    "PREEMPTED": (Kind.PREEMPTED, "preempted by a job of higher priority"),
    "CANCELLED": (Kind.REMOVED, "cancelled from outside, by scancel or an administrator"),
    "REVOKED": (Kind.REMOVED, "taken from this cluster by Slurm's federation"),
    "DEADLINE": (Kind.REMOVED, "ended by Slurm: it could not have met its deadline"),
}
# Reasons for waiting that do not resolve by themselves.
_STUCK: Final = frozenset(
    [
        "AccountNotAllowed",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "JobHeldAdmin",
        "JobHeldUser",
        "PartitionConfig",
        "PartitionDown",
        "PartitionInactive",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
    ]
)
_MARGIN: Final = 120.0  # seconds that a driver needs to end before its own job is ended
_LONGEST_ARRAY: Final = 500  # Slurm's own limit is 1000 unless configured otherwise


class _Executor(Submitter, SlurmExecutor):
    """submitit's executor, which submits one wave."""

    accepted = re.compile(r"\bSubmitted batch job (\d+)\b")

    def _internal_process_submissions(
        self, delayed_submissions: list[DelayedSubmission]
    ) -> list[Job[Any]]:
        """As in submitit, which creates an executor of its own class for an array."""
        if len(delayed_submissions) == 1:
            return super()._internal_process_submissions(delayed_submissions)
        self.folder.mkdir(parents=True, exist_ok=True)
        pickles = [self.folder / f"{index}.pkl" for index in range(len(delayed_submissions))]
        for delayed, path in zip(delayed_submissions, pickles, strict=True):
            delayed.set_timeout(self.parameters["time"], self.max_num_timeout)
            delayed.dump(path)
        self.parameters["map_count"] = len(pickles)
        array = self._submit_command(self._submitit_command_str).job_id
        jobs: list[Job[Any]] = []
        for index, path in enumerate(pickles):
            jobs.append(self.job_class(folder=self.folder, job_id=f"{array}_{index}"))
            jobs[-1].paths.move_temporary_file(path, "submitted_pickle")
        return jobs


class _Anywhere(_Executor):
    """An executor that works without Slurm, to show the job script."""

    @classmethod
    def affinity(cls) -> int:
        return 1


class Slurm(Scheduler):
    """Slurm, queried with one squeue for all jobs, and sacct only for those squeue has forgotten.

    Args:
        arrays: whether a wave may be a job array.
    """

    SETTINGS = SlurmSettings
    TITLE = TITLES[SLURM]
    SUBMIT = "sbatch"
    CANCEL = ("scancel",)
    OUTER = "SLURM_"
    NAME_LENGTH = 100
    TEMPORARY = (
        "unable to contact",
        "connection refused",
        "connect failure",
        "timed out",
        "temporarily",
        "try again",
        "not responding",
        "controller",
        "submit limit",  # QOSMaxSubmitJobPerUserLimit and similar
        "submitjob",
        "too many",
        "down or drained",
        "incomplete message",
        "job store limit",
    )

    def __init__(self, arrays: bool = True) -> None:
        self._arrays = arrays

    @classmethod
    def of(cls, settings: BatchSettings) -> Self:
        """Slurm with these settings."""
        assert isinstance(settings, SlurmSettings)
        return cls(settings.arrays)

    @property
    def longest_wave(self) -> int:
        """The maximum size of a job array, or 1 without arrays."""
        return _LONGEST_ARRAY if self._arrays else 1

    def _reader(self, wave: Wave, settings: BatchSettings) -> _Executor:
        return self.executor(wave, settings, _Anywhere)

    def executor(
        self, wave: Wave, settings: BatchSettings, kind: type[_Executor] = _Executor
    ) -> _Executor:
        """The executor of submitit for one wave."""
        assert isinstance(settings, SlurmSettings)
        executor = kind(wave.folder)
        parameters = {
            "job_name": wave.name,
            "time": settings.minutes,
            "nodes": settings.nodes,
            "cpus_per_task": settings.cpus,
            "gpus_per_node": settings.gpus or None,
            "mem": f"{settings.megabytes}M" if settings.megabytes else None,
            "partition": settings.partition,
            "account": settings.account,
            "qos": settings.qos,
            "constraint": settings.constraint,
            "gres": settings.gres,
            # sbatch reads its options up to the first line that is not a comment.
            "setup": [*(f"#SBATCH {text}" for text in settings.directives), *setup_lines(settings)],
            "array_parallelism": _LONGEST_ARRAY,
            "stderr_to_stdout": True,
            # The program may use srun itself, and a further job step would be a further process.
            "use_srun": False,
        }
        given = {key: value for key, value in parameters.items() if value is not None}
        executor.update_parameters(wckey=None, **given)
        return executor

    def queue(self) -> dict[str, Entry]:
        """All jobs of this user, including those that ended within the last minutes.

        Slurm lists these for MinJobAge, five minutes unless configured otherwise.
        """
        # The name comes last, as only it may contain the separator.
        text = self.ask("squeue", "--me", "-h", "-r", "-t", "all", "-o", "%i|%T|%r|%j")
        entries = {}
        for line in lines(text):
            match line.split("|", 3):
                case [job, state, reason, name]:
                    entry = _entry(name, state)
                case _:  # the rest of a name with a line break, so not our job
                    continue
            if entry.state is JobState.QUEUED and reason in _STUCK:
                entry = replace(entry, stuck=reason)
            entries[job] = entry
        return entries

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        """The ends of jobs by sacct, which requires Slurm's accounting."""
        entries = {}
        columns = "JobID,State,JobName"
        text = self.ask("sacct", "-n", "-X", "-P", "-o", columns, "-j", ",".join(sorted(ids)))
        for line in lines(text):
            match line.split("|", 2):
                case [job, state, name] if job in ids:
                    entries[job] = _entry(name, state)
        return entries


def own_time_left() -> float | None:
    """Seconds that this process may continue if it runs in a Slurm job itself, else None.

    Leaves a margin for an orderly end.
    """
    if "SLURM_JOB_ID" not in os.environ:
        return None
    try:
        text = Slurm().ask("squeue", "-h", "-j", os.environ["SLURM_JOB_ID"], "-o", "%L")
    except SchedulerError:
        return None
    form = r"^\s*(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)\s*$"
    found = re.search(form, text, re.MULTILINE)
    if found is None:  # UNLIMITED, or empty
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    left = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return max(left - _MARGIN, left / 2)


def _entry(name: str, state: str) -> Entry:
    word = state.split()[0].rstrip("+") if state else ""  # "CANCELLED by 1000"
    if word in _ENDED:
        kind, reason = _ENDED[word]
        return Entry(name, JobState.ENDED, kind, reason)
    return Entry(name, JobState.RUNNING if word in _RUNNING else JobState.QUEUED)
