"""A task of a study, the base of trials and stages: a folder, and attempts until one counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypedDict

from dsice.goal import Metrics
from dsice.launch.job import JobFolder, Kind
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.events import Verdict


class Owner(Protocol):
    """The study of a task.

    Attributes:
        id: unique; empty in a study of format 1.
        config: its study file.
        directory: its files.
    """

    id: str
    config: StudyConfig
    directory: StudyDirectory


class Reference(TypedDict, total=False):
    """The keys by which events identify a trial or a stage."""

    trial: int
    stage: str
    finalist: int


class Status(StrEnum):
    """The status of a trial or a stage."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """It was ended early: it may go on where the program can."""
    DISCARDED = "discarded"
    """Somebody has said that it does not count."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report of a running trial.

    Attributes:
        step: its progress, in its own count.
        share: its progress as a share of its full length.
        metrics: the reported metrics of the goal.
    """

    step: float
    share: float
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a trial was stopped early.

    Attributes:
        step: of its last report.
        full: its full length, in the same count.
        chance: its probability of becoming the best feasible one; None if too few others were as
            far to tell.
        rival: number of the trial to beat, or None.
    """

    step: float
    full: float
    chance: float | None
    rival: int | None

    def __str__(self) -> str:
        if self.chance is None:
            return f"at {self.step:g} of {self.full:g}: until others can be compared with it"
        beat = "to become the best" if self.rival is None else f"to beat trial {self.rival}"
        chance = f"{self.chance:.0%}" if self.chance >= 0.005 else "under 1 %"
        chance = chance.replace("%", " %") if " " not in chance else chance
        return f"at {self.step:g} of {self.full:g}: {chance} chance {beat}"


@dataclass(slots=True)
class Attempt:
    """One job of a trial or stage.

    Attributes:
        number: counted from 1.
        submitted: Unix time in seconds.
        verdict: None while it has not ended.
        kind: how it ended.
        reason: why it failed, in words.
        started: when the program began, Unix time; 0 if it never did.
        ended: when it ended, Unix time.
        host: where it ran.
        begun: whether its program has begun, as far as known; not in the journal.
        void: whether it does not count, as the machine was at fault or a user has said so.
        slot: the number of its slot; None for stages, and in journals of earlier versions.
        devices: names of the slot's GPUs.
        ending: why the driver stopped it early, if it did.
        withdrawn_to: if a user has withdrawn the trial while it ran, its status once this job
            has ended: waiting to be measured again, or discarded.
    """

    number: int
    submitted: float
    verdict: Verdict | None = None
    kind: Kind | None = None
    reason: str = ""
    started: float = 0.0
    ended: float = 0.0
    host: str = ""
    begun: bool = False
    void: bool = False
    slot: int | None = None
    devices: Sequence[str] = ()
    ending: Ending | None = None
    withdrawn_to: Status | None = None

    @property
    def seconds(self) -> float:
        """How long the program ran; 0 if it has not ended."""
        return max(self.ended - self.started, 0.0) if self.started else 0.0

    @property
    def waited(self) -> float:
        """Seconds from the submission to the program's beginning; 0 if it never began."""
        return max(self.started - self.submitted, 0.0) if self.started else 0.0


@dataclass(slots=True)
class Task(ABC):
    """The base class of trials and stages: a folder, and attempts until one of them counts.

    Attributes:
        study: to which it belongs.
        attempts: its jobs so far.
        status: its present status.
        metrics: its measurement, once done.
        reason: why it failed, once failed; why it does not count, once discarded.
    """

    study: Owner = field(repr=False, compare=False)
    attempts: list[Attempt] = field(default_factory=list)
    status: Status = Status.WAITING
    metrics: Metrics = field(default_factory=dict)
    reason: str = ""

    @property
    @abstractmethod
    def folder(self) -> TaskFolder:
        """Its files."""

    @property
    @abstractmethod
    def reference(self) -> Reference:
        """The keys by which events identify this task."""

    def identity(self, attempt: int) -> dict[str, Any]:
        """The identity of an attempt, for its job and outcome: study, task, attempt, parameters."""
        return {"study": self.study.id, **self.reference, "attempt": attempt}

    @property
    def job(self) -> JobFolder:
        """The job of the newest attempt."""
        return self.folder.job(len(self.attempts))

    @property
    def seconds(self) -> float:
        """How long the attempt that counts ran; 0 before its end."""
        return self.attempts[-1].seconds if self.attempts else 0.0
