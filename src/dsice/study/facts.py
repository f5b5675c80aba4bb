"""The records of a study: trials and stages, known results, sessions.

`dsice.study.state` folds the journal's events into them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum, auto
from html import escape
from typing import Any, NamedTuple

from dsice.goal import Metrics
from dsice.grid import Params, Point
from dsice.search.why import Role, Why
from dsice.study.directory import TaskFolder
from dsice.study.events import Verdict
from dsice.study.task import Ending, Reference, Report, Status, Task
from dsice.text import plain
from dsice.units import number, setting


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
        """The keys by which events identify this task."""
        return {"stage": self.name}


@dataclass(slots=True, repr=False)
class Trial(Task):
    """A trial: one measurement of a point.

    Attributes:
        number: counted from 1, in the order of proposal.
        point: level indices.
        given: the parameter values by which the journal identifies the point, None in format 1.
            They belong to the grid of that time, which may have grown since.
        why_json: why the search proposed it, as JSON; empty if unknown.
        capacity: maximum number of trials under way in the session that proposed it.
        sweep: number of the sweep that it was proposed for, or None.
        reports: its reports that contained something new.
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
        caption = 'style="text-align:left;white-space:nowrap"'  # also above a narrow table
        return f"<table {look}><caption {caption}>{head}</caption>{rows}</table>"

    def _lines(self) -> list[tuple[str, str]]:
        """Metrics, the reason of a failure, and parameters, as printable texts."""
        rows = [(plain(name, 60), number(value)) for name, value in self.metrics.items()]
        rows += [("reason", plain(self.reason, 200))] if self.reason else []
        params = self.params.items()
        return rows + [(plain(name, 60), plain(setting(value), 80)) for name, value in params]

    @property
    def withdrawn_to(self) -> Status | None:
        """Its status once its running job has ended, if a user has withdrawn it; else None."""
        running = self.status is Status.RUNNING
        return self.attempts[-1].withdrawn_to if running else None

    @property
    def spent_seconds(self) -> float:
        """Total run time of all its attempts that count, in seconds."""
        return sum(attempt.seconds for attempt in self.attempts if not attempt.void)

    @property
    def measured_seconds(self) -> float:
        """How long the measurement ran so far: with ``pause``, those before a pause count too."""
        earlier = self.attempts[:-1] if self.study.config.trial.progress.pause else []
        paused = sum(each.seconds for each in earlier if each.verdict is Verdict.STOPPED)
        return paused + self.seconds

    @property
    def is_given(self) -> bool:
        """Whether the user requested it: such a trial is not stopped early."""
        roles = (Role.GIVEN, Role.ADDED)
        return any(f'"{role.value}"'.encode() in self.why_json for role in roles)

    @property
    def ending(self) -> Ending | None:
        """Why it was stopped early, if it was."""
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
        """Why the search proposed it; None in older journals."""
        return Why.from_json(json.loads(self.why_json)) if self.why_json else None

    @property
    def reference(self) -> Reference:
        """The keys by which events identify this task."""
        return {"trial": self.number}

    def identity(self, attempt: int) -> dict[str, Any]:
        """The identity of an attempt, for its job and outcome: study, task, attempt, parameters."""
        params = self.params if self.given is None else self.given
        return {**Task.identity(self, attempt), "params": params}


@dataclass(slots=True)
class Finalist(Task):
    """One of the best trials, measured again at full length by a separate program.

    Attributes:
        trial: the original trial.
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
        """The keys by which events identify this task."""
        return {"finalist": self.trial.number}

    def identity(self, attempt: int) -> dict[str, Any]:
        """The identity of an attempt, for its job and outcome: study, task, attempt, parameters."""
        return {**Task.identity(self, attempt), "params": self.params}


@dataclass(frozen=True, slots=True)
class KnownResult:
    """A known result: the measurement of a point without a trial.

    Attributes:
        point: level indices.
        params: parameter values by name.
        status: done or failed.
        metrics: the measurement, unless it failed.
        reason: why it failed, if it did.
        source: its origin, such as the name of a file.
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
        """Its name for people: ``results.csv, line 12``."""
        return f"{self.source}, {self.where}"


class Call(Enum):
    """The kinds of calls by which a search learns of a point."""

    PEND = auto()
    REPORT = auto()
    STOP = auto()
    TELL = auto()


class Told(NamedTuple):
    """One call to a search.

    Attributes:
        of: a trial or a known result.
        call: its kind.
        report: for `Call.REPORT`.
        seconds: for `Call.STOP`, how long it had run; 0 if unknown.
    """

    of: Trial | KnownResult
    call: Call
    report: Report | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Session:
    """One driver's time with the study.

    Attributes:
        started: Unix time in seconds.
        seen: its last sign of life, Unix time.
        parallel: maximum number of trials at once.
        per_job: how many trials each job runs, one after another.
        trials: maximum number of trials in all, or None.
        hours: maximum hours in all, or None.
        job_hours: maximum machine time in all, or None.
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
    job_hours: float | None = None
    per_job: int = 1


@dataclass(slots=True)
class Sweep:
    """Further trials that were requested for a range of bounds.

    Attributes:
        bound: the range, in the form of `dsice.swept.Swept`.
        trials: how many were requested.
        proposed: how many were proposed.
        ended: whether all that can be measured are measured.
    """

    bound: str
    trials: int
    proposed: int = 0
    ended: bool = False
