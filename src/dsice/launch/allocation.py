"""Jobs as steps inside a Slurm allocation: one srun each, without submission or queueing.

Slurm's step manager tracks the nodes, cores and GPUs of the allocation, and starts a step when its
resources are free. The state of a step follows from its files and the end of its srun. Slurm is
queried only where these are inconclusive, such as for the steps of a driver that was killed, with
one query for all steps.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from dsice.errors import InvalidInput, LaunchError
from dsice.files import SMALL, open_private, read_regular, write_atomically
from dsice.launch.base import JobState, Launcher
from dsice.launch.detached import Detached
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.names import ALLOCATION
from dsice.launch.output import last_line, shown
from dsice.launch.scheduler import asked
from dsice.launch.settings import AllocationSettings
from dsice.launch.shim import SAFE_PATH_ADDED

_PATIENCE: Final = 60.0  # seconds to wait for an answer of Slurm
_AGAIN: Final = 30.0  # seconds until a step that does not end is told again
_NO_SUCH_JOB: Final = "invalid job id"


@dataclass(slots=True)
class _Followed:
    """A step that is followed.

    Attributes:
        allocation: the job id of its allocation.
        srun: the process that started it; None if an earlier driver did.
        over_since: when it was first seen to be over without an outcome.
        told_at: when it was last told to end.
    """

    allocation: str
    srun: Detached | None = None
    over_since: float | None = None
    told_at: float | None = None


class AllocationLauncher(Launcher):
    """Runs each job as a step of the Slurm job that the driver runs in.

    Steps end with their allocation, and the driver should end before it: see `own_time_left`. Steps
    that were cut short are started again in the next allocation.

    Args:
        settings: of all steps.
    """

    pause = 0.25
    _SYSTEM: ClassVar[str] = "Slurm"

    def __init__(self, settings: AllocationSettings) -> None:
        self._settings = settings
        self._allocation = os.environ.get("SLURM_JOB_ID", "")
        self._followed: dict[JobFolder, _Followed] = {}
        self._leaving: list[Detached] = []
        self._told: set[JobFolder] = set()
        self._asked_at = -float("inf")
        self._steps: dict[str, set[str]] = {}  # by allocation, the ids of steps under way
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why Slurm cannot be queried, in words; empty if it can."""
        return self._trouble

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start a step for each job; Slurm begins it when its resources are free.

        Raises:
            InvalidInput: this process is not in an allocation.
            LaunchError: srun is missing.
        """
        self._require()
        for job in jobs:
            spec = job.spec()
            settings = self._settings.of(dict(spec.resources))
            note = {"system": ALLOCATION, "allocation": self._allocation}
            write_atomically(job.wave_file, json.dumps(note), durably=False)
            with open(_log(job), "wb", opener=open_private) as log:
                command, env = self._command(job, spec, settings)
                try:
                    srun = Detached(command, env, log.fileno())
                except OSError as error:
                    raise LaunchError(f"cannot run {command[0]!r}: {error.strerror}") from error
            self._followed[job] = _Followed(self._allocation, srun)

    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs under way."""
        self._leaving = [srun for srun in self._leaving if not srun.has_ended()]
        states = {}
        for job, followed in list(self._followed.items()):
            states[job] = state = self._state(job, followed)
            if state not in (JobState.QUEUED, JobState.RUNNING):
                self._forget(job, followed)
        return states

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait until an srun ends, or ``seconds`` have passed."""
        poll = select.poll()
        sruns = [each.srun for each in self._followed.values() if each.srun is not None]
        handles = [srun.handle for srun in sruns if srun.handle >= 0]
        for handle in handles:
            poll.register(handle, select.POLLIN)
        if handles:
            poll.poll(1000 * seconds)
        else:
            sleep(seconds)

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """End the jobs: revoke those that have not begun, tell those that run to end."""
        steps = []
        for job in jobs:
            followed = self._followed.get(job)
            if followed is None:
                continue
            owner = job.claimant()
            if job.revoke() or (owner is not None and owner.by == "driver"):
                if followed.srun is not None:
                    followed.srun.terminate()
                continue
            if followed.told_at is not None and time.monotonic() < followed.told_at + _AGAIN:
                continue
            owner = job.claimant()
            if owner is not None and owner.by == "job" and owner.batch_id:
                followed.told_at = time.monotonic()
                self._told.add(job)
                job.ask_to_end()
                steps.append(owner.batch_id)
        if steps:
            self._tell(steps)

    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job of an earlier driver, or revoke it if it has not begun.

        Raises:
            LaunchError: it belongs to another launcher.
        """
        if not job.path.exists() and job.revoke():
            return JobState.REVOKED
        if job.has_ended():
            return JobState.ENDED
        note = _note(job)
        if note and note.get("system") != ALLOCATION:
            raise LaunchError(
                f"{job.path} was handed to {note.get('system')!r} and has not ended: resume with "
                f"--on {note.get('system')}"
            )
        if job.claim("driver"):
            return JobState.REVOKED
        owner = job.claimant()
        if owner is None or owner.by == "driver":
            return JobState.REVOKED
        if not owner.batch_id:
            if not owner.pid:  # the machine crashed and left an empty file
                return JobState.LOST
            raise LaunchError(
                f"{job.path} was begun as a process on {owner.host} and has not ended: resume with "
                "--on local there"
            )
        self._followed[job] = _Followed(owner.batch_id.partition(".")[0])
        return JobState.RUNNING

    # -- the state of a step -----------------------------------------------------------------------

    def _state(self, job: JobFolder, followed: _Followed) -> JobState:
        if not job.path.exists() and job.revoke():  # somebody deleted it
            if followed.srun is not None:
                followed.srun.terminate()
            return JobState.LOST
        if job.has_ended():
            return JobState.ENDED
        owner = job.claimant()
        if owner is not None and owner.by == "driver":
            return JobState.REVOKED
        under_way = JobState.QUEUED if owner is None else JobState.RUNNING
        if followed.srun is not None and not followed.srun.has_ended():
            return under_way
        if owner is not None and not self._is_over(owner.batch_id, followed):
            followed.over_since = None
            return under_way
        now = time.monotonic()
        if followed.over_since is None:
            followed.over_since = now
        # Earlier answers of Slurm are no evidence: the step may have begun since.
        fresh = owner is None or self._asked_at > followed.over_since
        if now < followed.over_since + self._settings.grace or not fresh:
            return under_way
        return self._without_outcome(job, followed)

    def _is_over(self, step: str, followed: _Followed) -> bool:
        """Whether a step that has begun is over, according to Slurm."""
        if time.monotonic() >= self._asked_at + self._settings.poll:
            self._asked_at = time.monotonic()
            self._look()
        steps = self._steps.get(followed.allocation)
        return steps is not None and step not in steps

    def _look(self) -> None:
        """Query the steps of each allocation in which jobs are followed."""
        self._steps = {}
        for allocation in {followed.allocation for followed in self._followed.values()}:
            found = self._under_way(allocation)
            if found is not None:
                self._steps[allocation] = found

    # -- what differs between systems --------------------------------------------------------------

    def _require(self) -> None:
        """Check that steps can be started.

        Raises:
            InvalidInput: they cannot.
        """
        own_allocation()

    def _command(
        self, job: JobFolder, spec: JobSpec, settings: AllocationSettings
    ) -> tuple[list[str], dict[str, str]]:
        """The command that runs a step and lives as long as that does, and its environment."""
        return _srun_of(job, spec.name, settings)

    def _under_way(self, allocation: str) -> set[str] | None:
        """The ids of the steps of an allocation that live; None if that is not known."""
        found = self._ask("squeue", "-h", "-s", "-j", allocation, "-o", "%i")
        return None if found is None else set(found.split())

    def _tell(self, steps: Sequence[str]) -> None:
        """Tell steps to end, whose folders say so already."""
        self._ask("scancel", "--signal=TERM", *steps)

    # -- ends --------------------------------------------------------------------------------------

    def _without_outcome(self, job: JobFolder, followed: _Followed) -> JobState:
        """Record an outcome for a job that is over and has left none."""
        if job.claim("driver"):
            words = shown(last_line(_log(job))) or "its srun has ended"
            job.finish(Outcome(Kind.NOT_BEGUN, f"not begun: {words}"))
            return JobState.REVOKED
        owner = job.claimant()
        if owner is None or owner.by == "driver":
            return JobState.REVOKED
        if job in self._told or job.is_asked_to_end():
            kind, reason = Kind.CANCELLED, "cancelled"
        elif followed.allocation != self._allocation:
            kind, reason = Kind.PREEMPTED, "its allocation ended before it did"
        else:
            kind, reason = Kind.LOST, "its step ended without a result"
        ended = max(owner.time, time.time() - self._settings.grace)
        job.finish(Outcome(kind, reason, started=owner.time, ended=ended, host=owner.host))
        return JobState.ENDED

    def _forget(self, job: JobFolder, followed: _Followed) -> None:
        del self._followed[job]
        self._told.discard(job)
        if followed.srun is not None and not followed.srun.has_ended():
            self._leaving.append(followed.srun)
        with suppress(OSError):
            if _log(job).stat().st_size == 0:
                _log(job).unlink()

    def _ask(self, *command: str) -> str | None:
        """The output of a command of Slurm; None if it does not answer."""
        try:
            done = asked(*command, patience=_PATIENCE)
        except (OSError, subprocess.SubprocessError) as error:
            self._trouble = f"{command[0]}: {error}"
            return None
        if done.returncode and _NO_SUCH_JOB not in done.stderr.lower():
            self._trouble = f"{self._SYSTEM} says: {shown(' '.join(done.stderr.split()))}"
            return None
        self._trouble = ""
        return done.stdout


def own_allocation() -> str:
    """The job id of the Slurm allocation of this process.

    Raises:
        InvalidInput: this process is not in one.
    """
    if not (found := os.environ.get("SLURM_JOB_ID", "")):
        raise InvalidInput(
            "on = 'allocation' needs a job of Slurm, PBS or TCS, and this is in none "
            "(SLURM_JOB_ID, PBS_NODEFILE and PJM_O_NODEINF are not set): start dsice in a batch "
            "job or in salloc"
        )
    return found


def places(settings: AllocationSettings, environment: Mapping[str, str] = os.environ) -> int | None:
    """How many steps fit the allocation, by its environment variables; None if they do not say."""
    each = settings.cpus or 1
    nodes = _cpus_of_nodes(environment.get("SLURM_JOB_CPUS_PER_NODE", ""))
    if not nodes:
        return None
    room = sum(cpus // each for cpus in nodes)
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    if settings.gpus and gpus.isdigit():
        room = min(room, len(nodes) * (int(gpus) // settings.gpus))
    return room


def _cpus_of_nodes(text: str) -> list[int]:
    """Parse the cores of each node from a text such as ``16(x4),8``."""
    nodes = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            return []
        nodes += [int(found[1])] * int(found[2] or 1)
    return nodes


def _srun_of(
    job: JobFolder, name: str, settings: AllocationSettings
) -> tuple[list[str], dict[str, str]]:
    # Steps must not inherit the requests of the allocation itself.
    kept = ("SLURM_CONF", "SLURM_JOB_ID", "SLURM_JOBID", "SLURM_WORKING_CLUSTER")
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") or k in kept}
    if "PYTHONSAFEPATH" not in env:
        # Otherwise `python -m` would import a random.py of the user's folder.
        env |= {"PYTHONSAFEPATH": "1", SAFE_PATH_ADDED: "1"}
    # Otherwise a step would get all GPUs of its node, and the next one would wait.
    gpus = f"--gpus-per-node={settings.gpus}" if settings.gpus else "--gres=none"
    # No memory limit per step, as by default one step would get all memory of the node.
    memory = f"--mem={settings.megabytes}M" if settings.megabytes else "--mem=0"
    command = [
        "srun",
        "--quiet",
        "--exact",
        f"--job-name={name}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={settings.cpus or 1}",
        gpus,
        memory,
        "--input=none",
        *settings.directives,
        sys.executable,
        "-m",
        "dsice.launch.step",
        str(job.path),
    ]
    return command, env


def _log(job: JobFolder) -> Path:
    """The output of srun itself."""
    return job.path / "srun.txt"


def _note(job: JobFolder) -> dict[str, str]:
    try:
        found = json.loads(read_regular(job.wave_file, SMALL))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
