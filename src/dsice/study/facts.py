"""What a study consists of: trials and stages with their attempts, known results, sessions.

These are the records that the journal's events are folded into, see `dsice.study.state`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from html import escape
from typing import Any, NamedTuple, Protocol, TypedDict

from dsice.goal import Metrics
from dsice.grid import Params, Point
from dsice.launch.job import JobFolder, Kind
from dsice.search.why import Role, Why
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.events import Verdict
from dsice.text import plain
from dsice.units import number, setting


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
    finalist: int


class Status(StrEnum):
    """How far a trial or a stage has come."""

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
    """What a trial reported on its way.

    Attributes:
        step: how far it had come, in its own count.
        share: the same as a share of its whole length.
        metrics: the goal's, as far as it told them.
    """

    step: float
    share: float
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a trial was ended early.

    Attributes:
        step: of its last report.
        full: its whole length, in the same count.
        chance: its probability to become the best feasible one.
        rival: number of the trial to beat, or None.
    """

    step: float
    full: float
    chance: float
    rival: int | None

    def __str__(self) -> str:
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
        reason: why it failed, in plain words.
        started: when the program began, Unix time; 0 if it never did.
        ended: when it ended, Unix time.
        host: where it ran.
        begun: whether its program has begun, as far as was seen; not in the journal.
        void: whether it does not count: the machine was at fault, or somebody has said so.
        slot: the number of its slot; None for stages, and in journals of earlier versions.
        devices: names of the slot's GPUs.
        ending: why the driver ended it early, if it did.
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


@dataclass(slots=True, repr=False)
class Trial(Task):
    """A trial: one measurement of a point.

    Attributes:
        number: counted from 1, in the order of proposal.
        point: level indices.
        given: the parameter values by which the journal names the point, None in format 1: those of
            the grid of then, which may have grown since.
        why_json: why the search proposed it, as JSON; empty where nobody said.
        capacity: how many trials ran at once, at most, in the session that proposed it.
        sweep: number of the sweep that it was proposed for, or None.
        reports: what it reported, as far as that told something new.
    """

    number: int = 0
    point: Point = ()
    given: Params | None = None
    why_json: bytes = b""
    capacity: int = 1
    sweep: int | None = None
    reports: list[Report] = field(default_factory=list)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={text}" for name, text in self._lines())
        return f"<trial {self.number}, {self.status.value}: {said}>"

    def __str__(self) -> str:
        """A short table: the trial's state, metrics and parameters."""
        rows = self._lines()
        width = max((len(name) for name, _ in rows), default=0)
        lines = [f"  {name:{width}}  {text}" for name, text in rows]
        return "\n".join([f"Trial {self.number}: {self.status.value}", *lines])

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        cell = 'style="text-align:left;padding:1px 12px 1px 0"'
        rows = "".join(
            f"<tr><th {cell}>{escape(name)}</th><td {cell}>{escape(text)}</td></tr>"
            for name, text in self._lines()
        )
        head = f"Trial {self.number}: {self.status.value}"
        look = 'style="color:inherit;background:none"'
        return f"<table {look}><caption {cell}>{head}</caption>{rows}</table>"

    def _lines(self) -> list[tuple[str, str]]:
        """Metrics, the reason of a failure, and parameters, as texts fit to be shown."""
        rows = [(plain(name, 60), number(value)) for name, value in self.metrics.items()]
        rows += [("reason", plain(self.reason, 200))] if self.reason else []
        params = self.params.items()
        return rows + [(plain(name, 60), plain(setting(value), 80)) for name, value in params]

    @property
    def spent_seconds(self) -> float:
        """How long all its attempts that count ran together."""
        return sum(attempt.seconds for attempt in self.attempts if not attempt.void)

    @property
    def is_given(self) -> bool:
        """Whether the user wanted it measured: such a trial is not ended early."""
        roles = (Role.GIVEN, Role.ADDED)
        return any(f'"{role.value}"'.encode() in self.why_json for role in roles)

    @property
    def ending(self) -> Ending | None:
        """Why it was ended early, if it was."""
        return self.attempts[-1].ending if self.status is Status.STOPPED else None

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
        params = self.params if self.given is None else self.given
        return {**Task.identity(self, attempt), "params": params}


@dataclass(slots=True)
class Finalist(Task):
    """One of the best trials, measured once more at full length by a program of its own.

    Attributes:
        trial: it was.
    """

    trial: Trial = field(kw_only=True)

    @property
    def folder(self) -> TaskFolder:
        """Its files."""
        return self.study.directory.finalist(self.trial.number)

    @property
    def params(self) -> Params:
        """Parameter values by name."""
        return self.trial.params

    @property
    def reference(self) -> Reference:
        """How events name this task."""
        return {"finalist": self.trial.number}

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


class Call(Enum):
    """What a search was told of a point."""

    PEND = auto()
    REPORT = auto()
    STOP = auto()
    TELL = auto()


class Told(NamedTuple):
    """One thing that a search was told.

    Attributes:
        of: a trial, or a result from elsewhere.
        call: what.
        report: of a `Call.REPORT`.
    """

    of: Trial | KnownResult
    call: Call
    report: Report | None = None


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
