"""What a study consists of: trials and stages with their attempts, known results, sessions.

These are the records that the journal's events are folded into, see `dsice.study.state`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypedDict

from dsice.goal import Metrics
from dsice.grid import Params, Point
from dsice.launch.job import JobFolder, Kind
from dsice.search.why import Why
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.events import Verdict


class Owner(Protocol):
    """The study that a task belongs to.

    Attributes:
        id: unique; empty in a study of format 1.
        config: its study file.
        directory: its files.
    """

    id: str
    config: StudyConfig
    directory: StudyDirectory


class Reference(TypedDict, total=False):
    """How events name a trial or a stage."""

    trial: int
    stage: str


class Status(StrEnum):
    """How far a trial or a stage has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DISCARDED = "discarded"
    """Somebody has said that it does not count."""


@dataclass(slots=True)
class Attempt:
    """One job of a trial or stage.

    Attributes:
        number: counted from 1.
        submitted: Unix time in seconds.
        verdict: None while it has not ended.
        kind: how it ended.
        reason: why it failed, in plain words.
        started: when the program began, Unix time; 0 if it never did.
        ended: when it ended, Unix time.
        host: where it ran.
        begun: whether its program has begun, as far as was seen; not in the journal.
        void: whether it does not count: the machine was at fault, or somebody has said so.
        slot: the number of its slot; None for stages, and in journals of earlier versions.
        devices: names of the slot's GPUs.
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
    """What trials and stages have in common: a folder and attempts, until one of them counts.

    Attributes:
        study: whose task it is.
        attempts: its jobs so far.
        status: how far it has come.
        metrics: what it measured, once done.
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
        """How events name this task."""

    def identity(self, attempt: int) -> dict[str, Any]:
        """What the job of an attempt and its outcome repeat: study, task, attempt, parameters."""
        return {"study": self.study.id, **self.reference, "attempt": attempt}

    @property
    def job(self) -> JobFolder:
        """The job of the newest attempt."""
        return self.folder.job(len(self.attempts))

    @property
    def seconds(self) -> float:
        """How long the attempt that counts ran; 0 before its end."""
        return self.attempts[-1].seconds if self.attempts else 0.0


@dataclass(slots=True)
class Stage(Task):
    """A stage: a program that runs once before the trials."""

    name: str = ""

    @property
    def folder(self) -> TaskFolder:
        """Its files."""
        return self.study.directory.stage(self.name)

    @property
    def reference(self) -> Reference:
        """How events name this task."""
        return {"stage": self.name}


@dataclass(slots=True)
class Trial(Task):
    """A trial: one measurement of a point.

    Attributes:
        number: counted from 1, in the order of proposal.
        point: level indices.
        why_json: why the search proposed it, as JSON; empty where nobody said.
        capacity: how many trials ran at once, at most, in the session that proposed it.
        sweep: number of the sweep that it was proposed for, or None.
    """

    number: int = 0
    point: Point = ()
    why_json: bytes = b""
    capacity: int = 1
    sweep: int | None = None

    @property
    def folder(self) -> TaskFolder:
        """Its files."""
        return self.study.directory.trial(self.number)

    @property
    def params(self) -> Params:
        """Parameter values by name."""
        return self.study.config.grid.params(self.point)

    @property
    def why(self) -> Why | None:
        """Why the search proposed it; None where an older journal does not say."""
        return Why.from_json(json.loads(self.why_json)) if self.why_json else None

    @property
    def reference(self) -> Reference:
        """How events name this task."""
        return {"trial": self.number}

    def identity(self, attempt: int) -> dict[str, Any]:
        """What the job of an attempt and its outcome repeat: study, task, attempt, parameters."""
        return {**Task.identity(self, attempt), "params": self.params}


@dataclass(frozen=True, slots=True)
class KnownResult:
    """A result from elsewhere: what is known of a point without a trial.

    Attributes:
        point: level indices.
        params: parameter values by name.
        status: done or failed.
        metrics: what was measured, unless it failed.
        reason: why it failed, if it did.
        source: where it came from, such as the name of a file.
        where: its place there, such as ``line 12``.
    """

    point: Point
    params: Params
    status: Status
    metrics: Metrics
    reason: str
    source: str
    where: str

    @property
    def named(self) -> str:
        """How people are told of it: ``results.csv, line 12``."""
        return f"{self.source}, {self.where}"


@dataclass(slots=True)
class Session:
    """One driver's time with the study.

    Attributes:
        started: Unix time in seconds.
        seen: when it last left a sign of life, Unix time.
        parallel: most trials at once.
        trials: most trials in all, or None.
        hours: most hours in all, or None.
        host: where the driver ran.
        pid: its process id.
        on: the launcher.
        why: why it ended; empty if it runs or was killed.
        sweep: number of the sweep it measured for, or None.
    """

    started: float
    seen: float
    parallel: int
    trials: int | None
    hours: float | None
    host: str
    pid: int
    on: str
    why: str = ""
    sweep: int | None = None


@dataclass(slots=True)
class Sweep:
    """Further trials that were asked for a range of bounds.

    Attributes:
        bound: the range, as `dsice.swept.Swept` reads it.
        trials: how many.
        proposed: how many of them were proposed.
        ended: whether all that could be measured are.
    """

    bound: str
    trials: int
    proposed: int = 0
    ended: bool = False
