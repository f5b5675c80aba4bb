"""What a batch system is to us: four commands, and their answers put into our words."""

from __future__ import annotations

import os
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from dsice.errors import DsiceError
from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.output import shown
from dsice.launch.processes import search_path
from dsice.launch.script import Submitter
from dsice.launch.settings import BatchSettings
from dsice.launch.shim import SAFE_PATH_ADDED, run_batch_job
from dsice.launch.wave import Wave

PATIENCE: Final = 60.0
"""Seconds after which a command of a batch system that does not answer is given up."""

_MANY: Final = 500  # ids on one command line
_SERVERS: Final = ("PBS_DEFAULT", "PBS_SERVER")
_TOO_MANY: Final = ("limit", "submitjob", "too many", "would exceed", "number of jobs")
# What is said of a job that has ended.
_NOT_THERE: Final = ("invalid job id", "unknown job", "job has finished", "already completed")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a batch system says about a job.

    Attributes:
        name: the job's name in the queue.
        state: QUEUED, RUNNING or ENDED.
        kind: how it ended, once it has; OK if nothing went wrong that the system noticed.
        reason: how it ended, in plain words.
        stuck: why it will not begin unless something changes, in the system's words, if so.
    """

    name: str
    state: JobState
    kind: Kind = Kind.OK
    reason: str = ""
    stuck: str = ""


class SchedulerError(DsiceError):
    """A command of the batch system failed.

    Attributes:
        temporary: whether it may work later: the system is down or busy, a limit is reached.
        too_many: whether fewer jobs at once might do.
    """

    def __init__(self, text: str, temporary: bool, too_many: bool = False) -> None:
        super().__init__(text)
        self.temporary = temporary
        self.too_many = too_many


class Scheduler(ABC):
    """A batch system.

    Attributes:
        SYSTEM: its name in a study file.
        TITLE: its name in messages.
        SUBMIT: the command that takes a job script.
        NAME_LENGTH: most characters of a job's name.
        TEMPORARY: parts of messages of failures that pass.
    """

    SYSTEM: ClassVar[str]
    TITLE: ClassVar[str]
    SUBMIT: ClassVar[str]
    NAME_LENGTH: ClassVar[int]
    TEMPORARY: ClassVar[Sequence[str]]

    @property
    def longest_wave(self) -> int:
        """How many jobs a wave may hold."""
        return 1

    def submit(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """Hand the jobs of a wave over; their ids, in order.

        Raises:
            SchedulerError: the system refused, or its answer makes no sense. Whether it has taken
                the jobs is then unknown; they would find nothing to do.
        """
        try:
            executor = self._executor(wave, settings)
        except RuntimeError as error:  # submitit misses a command of the system
            what = f"cannot submit to {self.TITLE}: {error}"
            raise SchedulerError(what, temporary=False) from error
        executor._throttling = 0.0  # our own rate limit is in force
        environment = _without_outer_job(self._outer_variables)
        executor.ask = lambda command: self._ask(*command, environment=environment)
        executor.look_up = lambda answer: self._look_up(wave.name, answer)
        jobs = executor.map_array(run_batch_job, [str(job.path) for job in wave.jobs])
        return [job.job_id for job in jobs]

    def _look_up(self, name: str, answer: str) -> str:
        """The id of the job, or job array, that the queue has by a name.

        Raises:
            SchedulerError: there is none; ``answer`` is what its submission printed.
        """
        ids = set()
        with suppress(SchedulerError):
            queue = self.queue().items()
            ids = {batch_id.partition("_")[0] for batch_id, job in queue if job.name == name}
        if len(ids) != 1:
            raise self.failure(answer or f"{self.SUBMIT} printed nothing", "gave no clear job id")
        return ids.pop()

    def script(self, wave: Wave, settings: BatchSettings) -> str:
        """The job script of a wave of one job, to be read; nothing is written or asked."""
        executor = self._reader(wave, settings)
        text: str = executor._make_submission_file_text(executor._submitit_command_str, "")
        return text

    def _reader(self, wave: Wave, settings: BatchSettings) -> Submitter:
        """An executor that need not be able to submit."""
        return self._executor(wave, settings)

    @abstractmethod
    def _executor(self, wave: Wave, settings: BatchSettings) -> Submitter:
        """The executor of submitit for one wave."""

    @property
    @abstractmethod
    def _outer_variables(self) -> str:
        """How the variables begin that the system sets in its jobs."""

    @abstractmethod
    def queue(self) -> dict[str, Entry]:
        """All jobs of this user that the system knows, by id; those that ended, as far as shown.

        Raises:
            SchedulerError: it does not answer.
        """

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        """How jobs ended that the queue shows no more, as far as the system remembers.

        Raises:
            SchedulerError: it does not answer, or keeps no account.
        """
        return {}

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs, running or not; those that have ended are no trouble.

        Raises:
            SchedulerError: the system does not answer.
        """
        for first in range(0, len(ids), _MANY):
            with suppress(_NotThere):
                self._ask(*self._cancel_command, *ids[first : first + _MANY])

    @property
    @abstractmethod
    def _cancel_command(self) -> Sequence[str]:
        """What comes before the ids."""

    def failure(self, text: str, what: str = "says") -> SchedulerError:
        """The error with the system's own words, judged by them."""
        words = shown(" ".join(text.split()))
        temporary = any(part.lower() in text.lower() for part in self.TEMPORARY)
        too_many = temporary and any(part in text.lower() for part in _TOO_MANY)
        return SchedulerError(f"{self.TITLE} {what}: {words}", temporary, too_many)

    def _ask(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """What a command prints; it runs with our environment or another.

        Raises:
            SchedulerError: it failed, or did not answer.
        """
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=PATIENCE,
                env=environment,
                start_new_session=True,  # a Ctrl-C is for the driver
            )
        except subprocess.TimeoutExpired:
            what = f"{self.TITLE}: no answer from {command[0]} in {PATIENCE:g} s"
            raise SchedulerError(what, True) from None
        except OSError as error:
            what = f"cannot run {command[0]!r}: {error.strerror}; is this a host of {self.TITLE}?"
            raise SchedulerError(what, False) from None
        if done.returncode:
            words = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            if any(part in words.lower() for part in _NOT_THERE):
                raise _NotThere(words, False)
            raise self.failure(words)
        return done.stdout


class _NotThere(SchedulerError):
    """The system does not know a job (any more)."""


def setup_lines(settings: BatchSettings) -> list[str]:
    """The lines of a job script before submitit's command."""
    lines = [
        # The script itself must not die of the signal that its program is to handle.
        "trap : TERM",
        # That of the driver, also where its environment does not come along. Modules add to it.
        f"export PATH={shlex.quote(search_path())}",
        *settings.lines,
    ]
    if "PYTHONSAFEPATH" not in os.environ:
        # `python -m` would take a random.py of the user's folder for the standard library's.
        lines.append(f"export PYTHONSAFEPATH=1 {SAFE_PATH_ADDED}=1")
    return lines


def _without_outer_job(prefix: str) -> dict[str, str]:
    """The environment without the variables of a job that this process may run in.

    They begin with ``prefix``, and a new job would inherit its limits from them. Where the system
    is configured is none of them.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefix) or "_CONF" in name or name in _SERVERS
    }
