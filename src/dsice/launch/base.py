"""The interface of launchers: submit, poll, cancel and reattach jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum, auto

from dsice.launch.job import JobFolder


class JobState(Enum):
    """The state of a job, as seen from outside."""

    QUEUED = auto()
    """Submitted; it has not begun."""
    RUNNING = auto()
    """It has begun and lives."""
    ENDED = auto()
    """Its outcome is in its folder."""
    LOST = auto()
    """It began, ended, and there is no outcome and never will be."""
    REVOKED = auto()
    """It never began and never will: a new attempt repeats nothing."""


class Launcher(ABC):
    """Runs jobs somewhere.

    The life of a job: its folder is created with its specification (`JobFolder.create`), then
    ``submit`` hands it over once. ``poll`` returns the states of the jobs given to this launcher,
    until each is ENDED, LOST or REVOKED, after which it is forgotten. A driver that was killed and
    restarted calls ``reattach`` for every job that had not ended; those still alive are polled
    as before. ``cancel`` makes jobs end; their outcomes say so.

    No implementation owns any state: everything is in the job folders (see
    `dsice.launch.job`), and answers are derived from these. LOST and REVOKED require positive
    evidence; in doubt, a job is RUNNING.

    Attributes:
        survives: whether jobs continue when the driver's host or its own batch job ends.
        pause: seconds that a driver should wait between two polls when nothing happens.
    """

    survives: bool = False
    pause: float = 0.25

    @property
    def trouble(self) -> str:
        """Why jobs cannot be started or followed at present, in words; empty if they can."""
        return ""

    @abstractmethod
    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start or queue jobs.

        Raises:
            LaunchError: they cannot be started at all.
        """

    @abstractmethod
    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs submitted or reattached and not yet seen to end."""

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Wait ``seconds`` by ``sleep``, or less if a job may have ended."""
        sleep(seconds)

    @abstractmethod
    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """Make jobs end soon; no effect on those that have ended."""

    @abstractmethod
    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job from a driver that has died, and return its state.

        May revoke a job that has not begun.
        """
