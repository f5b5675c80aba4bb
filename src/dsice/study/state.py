"""The state of a study: what its journal, folded event by event, says.

The same fold serves the driver, which applies each event as it appends it, and everybody who only
looks. The events are those of `dsice.study.events`.

Each event names the session that wrote it. A driver that stalled and was taken over may still have
written a few: the events of a session after which another one began are left out, and so is the
second of two that say the same.
"""

from __future__ import annotations

import gc
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypedDict

from msgspec import UnsetType

from dsice.errors import DamagedStudy, InvalidInput, NoResult
from dsice.goal import Goal, Metrics
from dsice.grid import Params, Point
from dsice.incumbent import Incumbent, Standing, best_standing, incumbents, standings
from dsice.launch.job import JobFolder, Kind
from dsice.search.why import Why
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.events import (
    AttemptBegan,
    AttemptEnded,
    Event,
    Header,
    Imported,
    Known,
    Proposed,
    SessionBegan,
    SessionEnded,
    SweepBegan,
    SweepEnded,
    Trouble,
    Verdict,
    Voided,
)
from dsice.study.frozen import load_frozen, require_fingerprints
from dsice.study.journal import Lines


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
        void: whether its failure does not count, as the machine was at fault.
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
        reason: why it failed, once failed.
    """

    study: Study = field(repr=False, compare=False)
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
class Prior:
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


@dataclass(slots=True)
class Study:
    """A study as it stands.

    Attributes:
        config: its study file, with the budget that the newest session was given.
        directory: its files.
        stages: by name, those begun or asked for.
        trials: in the order of proposal.
        finished: done and failed trials in the order of their ends.
        priors: results from elsewhere, in the order in which they became known.
        history: what a search has been asked and told, in order, as pairs: a trial and False when
            it was proposed, a trial and True when it ended, a prior and True.
        sessions: the drivers so far.
        sweeps: what was asked for ranges of bounds.
        warning: what was wrong with the journal, if anything.
        trouble: what keeps jobs from being started or followed just now, if anything.
        id: unique; empty in a study of format 1.
        format: of its journal.
        fingerprints: of the parts of its study file that stay, see `dsice.study.frozen`.
        token: of the session that the newest events are of.
        left_out: how many events of sessions that had been taken over, or said twice, do not count.
    """

    config: StudyConfig
    directory: StudyDirectory
    stages: dict[str, Stage] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    finished: list[Trial] = field(default_factory=list)
    priors: list[Prior] = field(default_factory=list)
    history: list[tuple[Trial | Prior, bool]] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    warning: str = ""
    trouble: str = ""
    id: str = ""
    format: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    token: str = ""
    _over: set[str] = field(default_factory=set)
    _seen: int = 0

    @classmethod
    def open(cls, path: Path | str) -> Study:
        """The study in a directory, for looking at.

        Raises:
            InvalidInput: there is none, or its files are damaged.
        """
        directory = StudyDirectory.at(path)
        directory.require_study()
        study = cls(load_frozen(directory), directory)
        lines = Lines(directory.journal)
        study.apply(lines)
        study.warning = lines.warning
        require_fingerprints(study)
        return study

    def apply(self, events: Iterable[Event]) -> Study:
        """Fold events into this state, in order, and return it.

        Raises:
            DamagedStudy: one does not follow from those before it.
        """
        with _no_garbage():
            for event in events:
                self._seen += 1
                try:
                    if self._counts(event):
                        self._apply(event)
                except (KeyError, IndexError, TypeError, ValueError) as error:
                    raise DamagedStudy(
                        f"{self.directory.journal}: line {self._seen} does not follow from those "
                        f"before it: {error}. 'dsice repair {self.directory.path}' shows what can "
                        "be done"
                    ) from error
        return self

    def knows_session(self, token: str) -> bool:
        """Whether a session with this token has begun, be it over or not."""
        return token == self.token or token in self._over

    def _counts(self, event: Event) -> bool:
        """Whether an event is of the present session, or begins one."""
        if event.session != self.token:
            if not event.opens or event.session in self._over:
                self.left_out += 1
                return False
            self._over.add(self.token)
            self.token = event.session
        return True

    def _apply(self, event: Event) -> None:
        match event:
            case Proposed():
                self._propose(event)
            case AttemptBegan():
                task = self._task(event)
                if event.attempt == len(task.attempts):
                    self.left_out += 1
                elif event.attempt != len(task.attempts) + 1:
                    raise ValueError(f"attempt {len(task.attempts) + 1} is missing")
                else:
                    task.attempts.append(Attempt(event.attempt, submitted=event.t))
                    task.status = Status.RUNNING
            case AttemptEnded():
                self._end(self._task(event), event)
            case Voided():
                self._void(event)
            case Header():
                self.format, self.id = event.format, event.id
                self.fingerprints = event.fingerprints
            case SessionBegan():
                self._begin_session(event)
            case Imported():
                for result in event.results:
                    self._know(event.source, result)
                return  # no driver was at work
            case Trouble():
                self.trouble = event.text
            case SessionEnded():
                self.sessions[-1].why = event.why
            case SweepBegan():
                if event.sweep == len(self.sweeps) + 1:
                    self.sweeps.append(Sweep(event.bound, event.trials))
                self.sessions[-1].sweep = event.sweep
            case SweepEnded():
                self.sweeps[event.sweep - 1].ended = True
        if self.sessions:
            # A clock that was set back does not make a session shorter.
            self.sessions[-1].seen = max(self.sessions[-1].seen, event.t)

    def _begin_session(self, event: SessionBegan) -> None:
        budget = {"parallel": event.parallel, "trials": event.trials, "hours": event.hours}
        run = self.config.run.model_copy(update={**budget, "on": event.on})
        self.config = replace(self.config, run=run)
        self.sessions.append(
            Session(
                started=event.t,
                seen=event.t,
                parallel=event.parallel,
                trials=event.trials,
                hours=event.hours,
                host=event.host,
                pid=event.pid,
                on=event.on,
            )
        )
        self.trouble = ""

    def _propose(self, event: Proposed) -> None:
        point = self.point_of(event)
        if event.trial <= len(self.trials) and self.trials[event.trial - 1].point == point:
            self.left_out += 1
            return
        if event.trial != len(self.trials) + 1:
            raise ValueError(f"expected trial {len(self.trials) + 1}, not {event.trial}")
        session = self.sessions[-1] if self.sessions else None
        trial = Trial(
            study=self,
            number=event.trial,
            point=point,
            why_json=b"" if isinstance(event.why, UnsetType) else bytes(event.why),
            capacity=session.parallel if session else 1,
            sweep=session.sweep if session else None,
        )
        if trial.sweep is not None:
            self.sweeps[trial.sweep - 1].proposed += 1
        self.trials.append(trial)
        self.history.append((trial, False))

    def _know(self, source: str, result: Known) -> None:
        point = self.point_of(result)
        prior = Prior(
            point=point,
            params=self.config.grid.params(point),
            status=Status.FAILED if result.metrics is None else Status.DONE,
            metrics=result.metrics or {},
            reason=result.reason,
            source=source,
            where=result.where,
        )
        self.priors.append(prior)
        self.history.append((prior, True))

    def point_of(self, event: Proposed | Known) -> Point:
        """The point that an event is about.

        Raises:
            ValueError: the grid has no such point.
        """
        if event.params is not None:
            return self.config.grid.point(event.params)
        if event.point is None or event.point not in self.config.grid:
            raise ValueError(f"the grid has no point {event.point}")
        return event.point

    def _task(self, event: AttemptBegan | AttemptEnded) -> Task:
        if event.stage is not None:
            return self.stage(event.stage)
        if event.trial is None or not 0 < event.trial <= len(self.trials):
            raise ValueError(f"there is no trial {event.trial}")
        return self.trials[event.trial - 1]

    def _end(self, task: Task, event: AttemptEnded) -> None:
        if not 0 < event.attempt <= len(task.attempts):
            raise ValueError(f"attempt {event.attempt} never began")
        attempt = task.attempts[event.attempt - 1]
        if attempt.verdict is not None:
            self.left_out += 1
            return
        attempt.verdict, attempt.kind = event.verdict, event.kind
        attempt.reason = event.reason
        attempt.started, attempt.ended = event.started, event.ended
        attempt.host = event.host
        match attempt.verdict:
            case Verdict.AGAIN:
                # In a journal that was repaired, the end of an earlier attempt may come late.
                if event.attempt == len(task.attempts):
                    task.status = Status.WAITING
                return
            case Verdict.DONE:
                task.status = Status.DONE
                task.metrics = event.metrics
            case Verdict.FAILED:
                task.status = Status.FAILED
                task.reason = attempt.reason
        if isinstance(task, Trial):
            self.finished.append(task)
            self.history.append((task, True))

    def _void(self, event: Voided) -> None:
        void = []
        for number, attempt_number in event.attempts:
            if not 0 < number <= len(self.trials):
                raise ValueError(f"there is no trial {number}")
            trial = self.trials[number - 1]
            if not 0 < attempt_number <= len(trial.attempts):
                raise ValueError(f"attempt {attempt_number} of trial {number} never began")
            attempt = trial.attempts[attempt_number - 1]
            if attempt.verdict in (None, Verdict.DONE):
                raise ValueError(f"attempt {attempt_number} of trial {number} has not failed")
            void.append((trial, attempt))
        forgotten = set()
        for trial, attempt in void:
            if attempt.verdict is Verdict.FAILED:
                forgotten.add(trial.number)
                trial.status, trial.reason = Status.WAITING, ""
            attempt.verdict, attempt.void = Verdict.AGAIN, True
        self.finished[:] = [trial for trial in self.finished if trial.number not in forgotten]
        self.history[:] = [
            (known, ended)
            for known, ended in self.history
            if not (ended and isinstance(known, Trial) and known.number in forgotten)
        ]

    def stage(self, name: str) -> Stage:
        """The stage of this name, as far as it has come."""
        return self.stages.setdefault(name, Stage(self, name=name))

    @property
    def goal(self) -> Goal:
        """The goal, its bounds settled by the stages that have ended."""
        ended = self.stage_metrics
        if all(bound.stages <= ended.keys() for bound in self.config.goal.bounds):
            return self.config.goal.settled(ended)
        return self.config.goal

    @property
    def stage_metrics(self) -> dict[str, Metrics]:
        """The metrics of the stages that have ended well, by stage."""
        return {s.name: s.metrics for s in self.stages.values() if s.status is Status.DONE}

    @property
    def best(self) -> Trial:
        """The best feasible trial.

        Raises:
            NoResult: there is none so far.
        """
        best = self.best_or_none
        if best is None:
            raise NoResult(f"{self.directory.path} has no best trial: {self._why_no_best()}")
        return best

    @property
    def best_or_none(self) -> Trial | None:
        """The best feasible trial, or None."""
        return self.best_for(self.goal)

    def _why_no_best(self) -> str:
        done, failed = self.with_status(Status.DONE), self.with_status(Status.FAILED)
        if done:
            return f"none of {len(done)} that were measured keeps the bounds: {self.goal}"
        if failed:
            last = failed[-1]
            return f"all {len(failed)} failed; the last, trial {last.number}: {last.reason}"
        return "no trial has ended"

    def best_for(self, goal: Goal) -> Trial | None:
        """The best trial for any goal: the same history, asked another question.

        It stands for its point, see `dsice.incumbent`.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        found = self.best_standing(goal)
        return None if found is None else found.median

    def best_standing(self, goal: Goal) -> Standing[Trial] | None:
        """All measurements of the best point for a goal; None if no point keeps its bounds.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        done, able = self.with_status(Status.DONE), self.measured_for(goal)
        if done and not able:
            raise InvalidInput(
                f"metric {goal.missing(done[0].metrics)!r} is in no result: "
                f"there are {', '.join(sorted(done[0].metrics))}"
            )
        return best_standing(able, goal)

    def incumbents_for(self, goal: Goal) -> list[Incumbent[Trial]]:
        """The best point so far, each time that it changed, in the order of the trials' ends."""
        ended = [t for t in self.finished if t.status is Status.DONE]
        return incumbents([t for t in ended if goal.missing(t.metrics) is None], goal)

    def measured_for(self, goal: Goal) -> list[Trial]:
        """The trials that have every metric of a goal, in the order of proposal."""
        done = self.with_status(Status.DONE)
        return [trial for trial in done if goal.missing(trial.metrics) is None]

    def best_prior(self, goal: Goal) -> Prior | None:
        """The best of the results from elsewhere for a goal, or None if none keeps its bounds.

        None, too, while a bound waits for the result of a stage.
        """
        if any(bound.limit is None for bound in goal.bounds):
            return None
        feasible = [
            prior
            for prior in self.priors
            if prior.status is Status.DONE
            and goal.missing(prior.metrics) is None
            and goal.feasible(prior.metrics)
        ]
        return min(feasible, key=lambda prior: goal.cost(prior.metrics), default=None)

    def better_prior(self, goal: Goal) -> Prior | None:
        """The best result from elsewhere if it is better than every trial of this study."""
        prior = self.best_prior(goal)
        if prior is None:
            return None
        best = self.best_for(goal) if self.measured_for(goal) else None
        is_better = best is None or goal.cost(prior.metrics) < goal.cost(best.metrics)
        return prior if is_better else None

    def front_for(self, goal: Goal) -> list[Trial]:
        """The trials that keep the bounds and that no other beats at every bound swept.

        With several objectives: that no other beats in one of them without being worse in another.
        They are in the order of the (first) swept metric, strictest first; without one it is the
        best trial alone.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        from dsice.front import front  # NumPy takes longer to load than a short command

        if self.best_for(goal) is None:
            return []
        middle = [standing.median for standing in standings(self.measured_for(goal), goal)]
        kept = [trial for trial in middle if goal.feasible(trial.metrics)]
        return [kept[index] for index in front([goal.costs(trial.metrics) for trial in kept])]

    @property
    def front(self) -> list[Trial]:
        """The front for the study's own goal, see `front_for`."""
        return self.front_for(self.goal)

    def with_status(self, status: Status) -> list[Trial]:
        """The trials of one status, in the order of proposal."""
        return [trial for trial in self.trials if trial.status is status]

    @property
    def queued(self) -> list[Trial]:
        """The trials whose jobs were submitted and have not begun, as far as was seen."""
        return [t for t in self.with_status(Status.RUNNING) if not t.attempts[-1].begun]

    def look_at_jobs(self) -> Study:
        """See which of the jobs under way have begun, and return this study.

        The driver needs no such look: its launcher tells it.
        """
        for trial in self.with_status(Status.RUNNING):
            trial.attempts[-1].begun = trial.job.has_begun()
        return self

    @property
    def job_seconds(self) -> float:
        """Time that all jobs of trials took, one after another; running ones do not count yet."""
        return sum(attempt.seconds for trial in self.trials for attempt in trial.attempts)

    @property
    def wall_seconds(self) -> float:
        """Time in which some driver was at work."""
        return sum(session.seen - session.started for session in self.sessions)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Suspend the collector, which would go through all trials again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
