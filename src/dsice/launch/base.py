"""What a launcher is: four verbs on jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum, auto

from dsice.launch.job import JobFolder


class JobState(Enum):
    """What can be said about a job from outside."""

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
    ``submit`` hands it over once. ``poll`` tells the states of the jobs given to this launcher,
    until each is ENDED, LOST or REVOKED, after which it is forgotten. A driver that was killed and
    started again calls ``reattach`` for every job that had not ended; those still alive are polled
    as before. ``cancel`` makes jobs end; their outcomes say so.

    Implementations hold no truth: everything is in the job folders (see `dsice.launch.job`), and
    an answer is only a reading of it. Saying LOST or REVOKED needs positive evidence; a doubtful
    job is RUNNING.

    Attributes:
        survives: whether jobs go on when the driver's host or its own batch job ends.
        pause: seconds between two polls that a driver should let pass when nothing happens.
    """

    survives: bool = False
    pause: float = 0.25

    @property
    def trouble(self) -> str:
        """What keeps jobs from being started or followed for now, in words; or nothing."""
        return ""

    @abstractmethod
    def submit(self, jobs: Sequence[JobFolder]) -> None:
        """Start jobs, or queue them.

        Raises:
            LaunchError: they cannot be started at all.
        """

    @abstractmethod
    def poll(self) -> dict[JobFolder, JobState]:
        """The states of all jobs submitted or reattached and not yet seen to end."""

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Let ``seconds`` pass by ``sleep``, or fewer until a job may have ended."""
        sleep(seconds)

    @abstractmethod
    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        """Make jobs end soon. Jobs that have ended already are left as they are."""

    @abstractmethod
    def reattach(self, job: JobFolder) -> JobState:
        """Take over a job from a driver that is no more; see the states for what follows.

        A job that has not begun may be revoked by this.
        """
