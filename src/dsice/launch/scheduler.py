"""What a batch system is to us: four commands, and their answers put into our words."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any, ClassVar, Final

from submitit.core.core import PicklingExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from dsice.errors import DsiceError
from dsice.launch.base import JobState
from dsice.launch.job import Kind
from dsice.launch.output import shown
from dsice.launch.processes import own_children, search_path
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
        # submitit prints what it raises as well.
        with (
            redirect_stderr(StringIO()),
            _outer_job_hidden(self._outer_variables),
            _children_hear_no_terminal(),
            _children_killed_after(PATIENCE) as given_up,
        ):
            try:
                jobs = executor.map_array(run_batch_job, [str(job.path) for job in wave.jobs])
            except (FailedJobError, FailedSubmissionError) as error:
                if given_up.is_set():
                    what = f"{self.TITLE}: a submission was not answered in {PATIENCE:g} s"
                    raise SchedulerError(what, temporary=True) from error
                raise self.failure(str(error)) from error
            except OSError as error:
                what = f"{error.filename}: " if error.filename else ""
                raise self.failure(f"{what}{error.strerror}") from error
        for leftover in wave.folder.glob(".submission_file_*"):
            leftover.unlink(missing_ok=True)
        return [job.job_id for job in jobs]

    def script(self, wave: Wave, settings: BatchSettings) -> str:
        """The job script of a wave of one job, to be read; nothing is written or asked."""
        executor = self._reader(wave, settings)
        text: str = executor._make_submission_file_text(executor._submitit_command_str, "")
        return text

    def _reader(self, wave: Wave, settings: BatchSettings) -> PicklingExecutor:
        """An executor that need not be able to submit."""
        return self._executor(wave, settings)

    @abstractmethod
    def _executor(self, wave: Wave, settings: BatchSettings) -> PicklingExecutor:
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

    def failure(self, text: str) -> SchedulerError:
        """The error with the system's own words, judged by them."""
        words = shown(" ".join(text.split()))
        temporary = any(part.lower() in text.lower() for part in self.TEMPORARY)
        too_many = temporary and any(part in text.lower() for part in _TOO_MANY)
        return SchedulerError(f"{self.TITLE} says: {words}", temporary, too_many)

    def _ask(self, *command: str) -> str:
        """What a command prints.

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


@contextmanager
def _outer_job_hidden(prefix: str) -> Iterator[None]:
    """Within, this process seems not to run in a job itself, whose limits a new job would inherit.

    Where the system is configured is no such variable.
    """
    hidden: dict[str, Any] = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(prefix) and "_CONF" not in name and name not in _SERVERS
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def _children_killed_after(seconds: float) -> Iterator[threading.Event]:
    """Within, child processes are killed when the time is over; yields whether that has happened.

    submitit waits for its command for ever, and with it the driver would fall silent.
    """
    over = threading.Event()

    def kill() -> None:
        over.set()
        for child in own_children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


@contextmanager
def _children_hear_no_terminal() -> Iterator[None]:
    """Within, a child process does not hear Ctrl-C nor the terminal's end; we do so afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
