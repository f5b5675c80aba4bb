"""Jobs on the nodes of a PBS or TCS job in which the driver runs, started by a remote shell.

These systems have no step manager, so each slot has a node: slot i is on node i modulo their
number. Jobs are started by ``pbs_tmrsh``, ``pjrsh`` or ``ssh``, which live as long as the job does.
Whether a job lives whose remote shell has ended, or was started by an earlier driver, is asked on
its node: by the lock of its claim, and by its process. A file in its folder tells it to end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from dsice.errors import DsiceError, InvalidInput
from dsice.files import make_folder, write_once
from dsice.launch.allocation import AllocationLauncher
from dsice.launch.base import JobState
from dsice.launch.devices import visible_devices
from dsice.launch.job import JobFolder, JobSpec
from dsice.launch.make import make_scheduler, odd_in
from dsice.launch.names import PBS, PJM
from dsice.launch.settings import AllocationSettings, BatchSettings, PbsSettings, PjmSettings
from dsice.launch.shim import SAFE_PATH_ADDED
from dsice.launch.slots import NUMBER, Slot, Slots

_SSH: Final = ("ssh", "-o", "BatchMode=yes")
_OWN_SHELL: Final = {PBS: "pbs_tmrsh", PJM: "pjrsh"}
_VARIABLES: Final = {PBS: ("PBS_JOBID", "PBS_NODEFILE"), PJM: ("PJM_JOBID", "PJM_O_NODEINF")}
_SETTINGS: Final[Mapping[str, type[BatchSettings]]] = {PBS: PbsSettings, PJM: PjmSettings}


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of the batch job of this process.

    Attributes:
        system: the batch system.
        job: its id.
        hosts: names of the nodes, in order.
    """

    system: str
    job: str
    hosts: tuple[str, ...]

    @classmethod
    def own(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Those of this process; None if it is in no job of PBS or TCS.

        In a job of Slurm, its step manager starts the trials, whatever else is set.

        Raises:
            InvalidInput: the file that lists them cannot be read.
        """
        if "SLURM_JOB_ID" in environment:
            return None
        for system, (job, file) in _VARIABLES.items():
            if job in environment and file in environment:
                try:
                    lines = Path(environment[file]).read_text().split()
                except OSError as error:
                    what = f"{file}: cannot read {environment[file]}: {error.strerror}"
                    raise InvalidInput(what) from None
                hosts = tuple(dict.fromkeys(lines))
                if not hosts:
                    raise InvalidInput(f"{file}: {environment[file]} names no node")
                return cls(system, environment[job].partition(".")[0], hosts)
        return None

    def slots(self, settings: AllocationSettings, parallel: int | None) -> Slots:
        """The slots on all nodes, which are assumed to have the cores and GPUs of this one.

        Args:
            settings: of a trial.
            parallel: maximum number of trials at once; None: as many as there is room for.

        Raises:
            InvalidInput: there is no room for them.
        """
        each = len(os.sched_getaffinity(0)) // (settings.cpus or 1)
        gpus = settings.gpus or 0
        devices = visible_devices() if gpus else None
        if devices is not None:
            each = min(each, len(devices.names) // gpus)
        room = each * len(self.hosts)
        if max(parallel or 1, 1) > room:
            raise InvalidInput(
                f"key 'run.parallel': the {len(self.hosts)} nodes of this job have room for {room} "
                "trials at once, if all are like the one that dsice runs on"
            )
        slots = []
        for number in range(parallel or room):
            first = number // len(self.hosts) * gpus
            env = {NUMBER: str(number)}
            if devices is not None:
                env |= devices.environment(devices.names[first : first + gpus])
            slots.append(Slot(number, env=env))
        return Slots(tuple(slots))

    def host(self, slot: int | None) -> str:
        """The node of a slot; that of a stage is the first one."""
        return self.hosts[(slot or 0) % len(self.hosts)]


class NodesLauncher(AllocationLauncher):
    """Runs each job on a node of the PBS or TCS job that the driver runs in.

    Args:
        settings: of all jobs.
        nodes: of the driver's job.
        folder: for the driver's environment, which jobs get; all nodes must see it.
    """

    _SYSTEM = "the remote shell"

    def __init__(self, settings: AllocationSettings, nodes: Nodes, folder: Path) -> None:
        super().__init__(settings)
        self._nodes = nodes
        self._allocation = nodes.job
        self._folder = folder / f"{nodes.job}-{secrets.token_hex(4)}"
        own = _OWN_SHELL[nodes.system]
        self._shell = tuple(settings.remote) or ((own,) if shutil.which(own) else _SSH)

    def _require(self) -> None:
        for what in (str(self._folder), sys.executable):
            if odd := odd_in(what):
                raise InvalidInput(f"{what!r}: a remote shell cannot be given {odd!r}")
        environment = self._folder / "environment.json"
        if not environment.exists():
            make_folder(self._folder, private=True)
            write_once(environment, dict(os.environ), durably=False)

    def _command(
        self, job: JobFolder, spec: JobSpec, settings: AllocationSettings
    ) -> tuple[list[str], dict[str, str]]:
        host = self._nodes.host(spec.slot)
        step = f"{self._nodes.job}.{host}.{secrets.token_hex(4)}"
        words = ("--on-node", str(self._folder / "environment.json"), step, str(job.path))
        return self._remote(host, *words), dict(os.environ)

    def _remote(self, host: str, *arguments: str) -> list[str]:
        """The command that runs the program of a step on a node."""
        safe = [] if "PYTHONSAFEPATH" in os.environ else [f"{SAFE_PATH_ADDED}=1"]
        python = ["env", "PYTHONSAFEPATH=1", *safe, sys.executable, "-m", "dsice.launch.step"]
        return [*self._shell, host, *python, *arguments]

    def _under_way(self, allocation: str) -> set[str] | None:
        if allocation != self._allocation:
            return self._if_over(allocation)
        by_host: dict[str, dict[str, JobFolder]] = {}
        for job, followed in self._followed.items():
            owner = job.claimant()
            if followed.allocation == allocation and owner is not None and owner.batch_id:
                host = owner.batch_id.split(".", 1)[1].rpartition(".")[0]
                by_host.setdefault(host, {})[owner.batch_id] = job
        alive: set[str] = set()
        for host, jobs in by_host.items():
            paths = (str(job.path) for job in jobs.values())
            said = self._ask(*self._remote(host, "--alive", *paths))
            # Of a node that does not answer, nothing is concluded.
            alive |= set(jobs) if said is None else set(said.split())
        return alive

    def _if_over(self, allocation: str) -> set[str] | None:
        """No steps if the batch system says that an earlier job is over; None if it does not."""
        try:
            entry = make_scheduler(_SETTINGS[self._nodes.system]()).queue().get(allocation)
        except DsiceError as error:
            self._trouble = str(error)
            return None
        return set() if entry is None or entry.state is JobState.ENDED else None

    def _tell(self, steps: Sequence[str]) -> None:
        """Nothing more than the files in their folders."""
