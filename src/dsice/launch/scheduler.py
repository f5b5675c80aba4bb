"""The interface of batch systems: their commands, and their answers in common terms."""

from __future__ import annotations

import os
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from dsice.errors import DsiceError
from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.output import shown
from dsice.launch.processes import search_path
from dsice.launch.script import Form, ScriptExecutor, Submitter
from dsice.launch.series import run_batch_jobs
from dsice.launch.settings import BatchSettings
from dsice.launch.shim import SAFE_PATH_ADDED
from dsice.launch.wave import Wave

PATIENCE: Final = 60.0
"""Seconds after which a command of a batch system that does not answer is given up."""

_MANY: Final = 500  # ids on one command line
_SERVERS: Final = ("PBS_DEFAULT", "PBS_SERVER")
_TOO_MANY: Final = ("limit", "submitjob", "too many", "would exceed", "number of jobs")
# Descriptions of the ends of jobs.
_NOT_THERE: Final = (
    *("invalid job id", "unknown job", "job has finished", "already completed"),
    *("no matching job found", "job has already finished"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch system's answer about a job.

    Attributes:
        name: the job's name in the queue.
        state: QUEUED, RUNNING or ENDED.
        kind: how it ended, once it has; OK if the system noticed no problem.
        reason: how it ended, in words.
        stuck: why it cannot begin until something changes, in the system's words; else empty.
    """

    name: str
    state: JobState
    kind: Kind = Kind.OK
    reason: str = ""
    stuck: str = ""


class SchedulerError(DsiceError):
    """A command of the batch system failed.

    Attributes:
        temporary: whether it may work later: the system is down or busy, or a limit is reached.
        too_many: whether it may work with fewer jobs at once.
    """

    def __init__(self, text: str, temporary: bool, too_many: bool = False) -> None:
        super().__init__(text)
        self.temporary = temporary
        self.too_many = too_many


class Scheduler(ABC):
    """A batch system.

    Another package adds one by a subclass and an entry point in the group `dsice.launchers`.

    Attributes:
        SETTINGS: what a study file may say of it; its ``SYSTEM`` is the name there.
        TITLE: its name in messages.
        SUBMIT: the command that takes a job script.
        CANCEL: the command that ends jobs, whose ids are appended.
        OUTER: the beginning of the names of the variables that the system sets in its jobs.
        NAME_LENGTH: maximum number of characters of a job's name.
        TEMPORARY: parts of the messages of temporary failures.
    """

    SETTINGS: ClassVar[type[BatchSettings]]
    TITLE: ClassVar[str]
    SUBMIT: ClassVar[str]
    CANCEL: ClassVar[Sequence[str]]
    OUTER: ClassVar[str]
    NAME_LENGTH: ClassVar[int]
    TEMPORARY: ClassVar[Sequence[str]]

    @classmethod
    def of(cls, settings: BatchSettings) -> Self:
        """The batch system with these settings."""
        return cls()

    @property
    def longest_wave(self) -> int:
        """The maximum number of batch jobs in a wave."""
        return 1

    def submit(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """Submit the batch jobs of a wave, and return their ids in order.

        Raises:
            SchedulerError: the system refused, or its answer is unclear. It may have accepted
                them all the same; they would find nothing to do.
        """
        try:
            executor = self.executor(wave, settings)
        except RuntimeError as error:  # submitit does not find a command of the system
            what = f"cannot submit to {self.TITLE}: {error}"
            raise SchedulerError(what, temporary=False) from error
        executor._throttling = 0.0  # our own rate limit applies
        environment = _without_outer_job(self.OUTER)
        executor.ask = lambda command: self.ask(*command, environment=environment)
        executor.look_up = lambda answer: self._look_up(wave.name, answer)
        paths = [[str(job.path) for job in batch] for batch in wave.batches]
        jobs = executor.map_array(run_batch_jobs, paths, [wave.limit] * len(paths))
        return [job.job_id for job in jobs]

    def _look_up(self, name: str, answer: str) -> str:
        """Look up the id of a job, or job array, in the queue by its name.

        Raises:
            SchedulerError: it is not there; ``answer`` is the output of its submission.
        """
        ids = set()
        with suppress(SchedulerError):
            queue = self.queue().items()
            ids = {batch_id.partition("_")[0] for batch_id, job in queue if job.name == name}
        if len(ids) != 1:
            raise self.failure(answer or f"{self.SUBMIT} printed nothing", "gave no clear job id")
        return ids.pop()

    def script(self, wave: Wave, settings: BatchSettings) -> str:
        """The job script of a wave of one job, for reading; writes and queries nothing."""
        executor = self._reader(wave, settings)
        text: str = executor._make_submission_file_text(executor._submitit_command_str, "")
        return text

    def _reader(self, wave: Wave, settings: BatchSettings) -> Submitter:
        """An executor that need not be able to submit."""
        return self.executor(wave, settings)

    @abstractmethod
    def executor(self, wave: Wave, settings: BatchSettings) -> Submitter:
        """The executor of submitit for one wave."""

    @abstractmethod
    def queue(self) -> dict[str, Entry]:
        """All jobs of this user in the queue, by id, including ended ones that it still lists.

        Raises:
            SchedulerError: it does not answer.
        """

    def ended(self, ids: Collection[str]) -> dict[str, Entry]:
        """The ends of jobs that the queue no longer lists, as far as the system keeps them.

        Raises:
            SchedulerError: it does not answer, or has no accounting.
        """
        return {}

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs, running or not; ended ones are ignored.

        Raises:
            SchedulerError: the system does not answer.
        """
        for first in range(0, len(ids), _MANY):
            with suppress(_NotThere):
                self.ask(*self.CANCEL, *ids[first : first + _MANY])

    def failure(self, text: str, what: str = "says") -> SchedulerError:
        """The error with the system's message, classified by it."""
        words = shown(" ".join(text.split()))
        temporary = any(part.lower() in text.lower() for part in self.TEMPORARY)
        too_many = temporary and any(part in text.lower() for part in _TOO_MANY)
        return SchedulerError(f"{self.TITLE} {what}: {words}", temporary, too_many)

    def ask(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a command, with our environment by default, and return its output.

        Raises:
            SchedulerError: it failed, or did not answer.
        """
        try:
            done = asked(*command, patience=PATIENCE, environment=environment)
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


def asked(
    *command: str, patience: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of a batch system for its answer, with our environment by default.

    Raises:
        OSError: it cannot be run.
        subprocess.TimeoutExpired: it did not answer within ``patience`` seconds.
    """
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=patience,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the driver only
    )


class ScriptScheduler(Scheduler):
    """A batch system whose job scripts have its options in comments.

    Attributes:
        FORM: of a job script.
    """

    FORM: ClassVar[Form]

    @abstractmethod
    def directives(self, wave: Wave, settings: BatchSettings) -> list[str]:
        """The options of a job in its script: name ``wave.name``, resources, logs into its folder.

        A job that the system restarts must keep its id.
        """

    def executor(self, wave: Wave, settings: BatchSettings) -> Submitter:
        """The executor of submitit for one wave."""
        directives = [*self.directives(wave, settings), *settings.directives]
        return ScriptExecutor(wave.folder, self.FORM, directives, setup_lines(settings))


class _NotThere(SchedulerError):
    """The system does not know a job, or no longer does."""


def setup_lines(settings: BatchSettings) -> list[str]:
    """The lines of a job script before submitit's command."""
    lines = [
        # The script itself must survive the signal that its program handles.
        "trap : TERM",
        # The driver's PATH, even if its environment is not passed on. Modules add to it.
        f"export PATH={shlex.quote(search_path())}",
        *settings.lines,
    ]
    if "PYTHONSAFEPATH" not in os.environ:
        # Otherwise `python -m` would import a random.py of the user's folder.
        lines.append(f"export PYTHONSAFEPATH=1 {SAFE_PATH_ADDED}=1")
    return lines


def _without_outer_job(prefix: str) -> dict[str, str]:
    """The environment without the variables of the job in which this process may run.

    They begin with ``prefix``, and a new job would inherit its limits from them. Variables that
    locate the system's configuration are kept.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefix) or "_CONF" in name or name in _SERVERS
    }
