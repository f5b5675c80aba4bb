"""The state of a study: what its journal, folded event by event, says.

The same fold serves the driver, which applies each event as it appends it, and everybody who only
looks. Events and their facts:

    study     dsice                                  the directory was made
    session   host pid on parallel trials hours      a driver began
    prior     source results                         results from elsewhere became known
    trial     trial point why                        a point was proposed, and why
    attempt   trial | stage, attempt                 a job is about to be submitted
    ended     trial | stage, attempt, verdict, outcome...   a job ended
    sweep     sweep bound trials                     this session measures for a range of bounds
    swept     sweep                                  these trials are measured
    trouble   text                                   what keeps jobs from being started; "": over
    session_end   why                                a driver ended, on purpose
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.grid import Params, Point
from dsice.launch.job import JobFolder, Kind
from dsice.launch.make import LOCAL
from dsice.search.why import Why
from dsice.study.config import StudyConfig
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.frozen import load_frozen
from dsice.study.journal import Event, read


class Verdict(StrEnum):
    """What follows from the end of a job."""

    DONE = "done"
    """It measured what it should."""
    FAILED = "failed"
    """It failed for good."""
    AGAIN = "again"
    """It counts for nothing: another attempt follows."""


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
        folder: its files.
        attempts: its jobs so far.
        status: how far it has come.
        metrics: what it measured, once done.
        reason: why it failed, once failed.
    """

    folder: TaskFolder
    attempts: list[Attempt] = field(default_factory=list)
    status: Status = Status.WAITING
    metrics: Metrics = field(default_factory=dict)
    reason: str = ""

    @property
    @abstractmethod
    def reference(self) -> dict[str, int | str]:
        """How events name this task."""

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
    def reference(self) -> dict[str, int | str]:
        """How events name this task."""
        return {"stage": self.name}


@dataclass(slots=True)
class Trial(Task):
    """A trial: one measurement of a point.

    Attributes:
        number: counted from 1, in the order of proposal.
        point: level indices.
        params: parameter values by name.
        why: why the search proposed it; None where an older journal does not say.
        capacity: how many trials ran at once, at most, in the session that proposed it.
        sweep: number of the sweep that it was proposed for, or None.
    """

    number: int = 0
    point: Point = ()
    params: Params = field(default_factory=dict)
    why: Why | None = None
    capacity: int = 1
    sweep: int | None = None

    @property
    def reference(self) -> dict[str, int | str]:
        """How events name this task."""
        return {"trial": self.number}


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

    @classmethod
    def open(cls, path: Path | str) -> Study:
        """The study in a directory, for looking at.

        Raises:
            InvalidInput: there is none, or its files are damaged.
        """
        directory = StudyDirectory.at(path)
        directory.require_study()
        study = cls(load_frozen(directory), directory)
        events, study.warning = read(directory.journal)
        return study.apply(events)

    def apply(self, events: Iterable[Event]) -> Study:
        """Fold events into this state, in order, and return it."""
        for event in events:
            try:
                self._apply(event)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise InvalidInput(
                    f"{self.directory.journal}: cannot read the event {event!r}: {error!r}"
                ) from error
        return self

    def _apply(self, event: Event) -> None:
        match event["event"]:
            case "session":
                budget = {key: event[key] for key in ("parallel", "trials", "hours")}
                budget["on"] = event.get("on", LOCAL)
                run = self.config.run.model_copy(update=budget)
                self.config = replace(self.config, run=run)
                self.sessions.append(
                    Session(
                        started=event["t"],
                        seen=event["t"],
                        parallel=event["parallel"],
                        trials=event["trials"],
                        hours=event["hours"],
                        host=event["host"],
                        pid=event["pid"],
                        on=budget["on"],
                    )
                )
                self.trouble = ""
            case "prior":
                for result in event["results"]:
                    self._know(event["source"], result)
                return  # no driver was at work
            case "trouble":
                self.trouble = event["text"]
            case "session_end":
                self.sessions[-1].why = event["why"]
            case "trial":
                number, point = event["trial"], tuple(event["point"])
                if number != len(self.trials) + 1:
                    raise ValueError(f"expected trial {len(self.trials) + 1}")
                trial = Trial(
                    folder=self.directory.trial(number),
                    number=number,
                    point=point,
                    params=self.config.grid.params(point),
                    why=Why.from_json(event["why"]) if "why" in event else None,
                    capacity=self.sessions[-1].parallel if self.sessions else 1,
                    sweep=self.sessions[-1].sweep if self.sessions else None,
                )
                if trial.sweep is not None:
                    self.sweeps[trial.sweep - 1].proposed += 1
                self.trials.append(trial)
                self.history.append((trial, False))
            case "attempt":
                task = self._task(event)
                task.attempts.append(Attempt(event["attempt"], submitted=event["t"]))
                task.status = Status.RUNNING
            case "ended":
                self._end(self._task(event), event)
            case "sweep":
                if event["sweep"] == len(self.sweeps) + 1:
                    self.sweeps.append(Sweep(event["bound"], event["trials"]))
                self.sessions[-1].sweep = event["sweep"]
            case "swept":
                self.sweeps[event["sweep"] - 1].ended = True
        if self.sessions:
            # A clock that was set back does not make a session shorter.
            self.sessions[-1].seen = max(self.sessions[-1].seen, event["t"])

    def _know(self, source: str, result: Event) -> None:
        point, metrics = tuple(result["point"]), result["metrics"]
        prior = Prior(
            point=point,
            params=self.config.grid.params(point),
            status=Status.FAILED if metrics is None else Status.DONE,
            metrics=metrics or {},
            reason=result.get("reason", ""),
            source=source,
            where=result["where"],
        )
        self.priors.append(prior)
        self.history.append((prior, True))

    def _task(self, event: Event) -> Task:
        if "stage" in event:
            return self.stage(event["stage"])
        trial: Trial = self.trials[event["trial"] - 1]
        return trial

    def _end(self, task: Task, event: Event) -> None:
        attempt = task.attempts[event["attempt"] - 1]
        attempt.verdict = Verdict(event["verdict"])
        attempt.kind = Kind(event["kind"])
        attempt.reason = event["reason"]
        attempt.started, attempt.ended = event["started"], event["ended"]
        attempt.host = event["host"]
        match attempt.verdict:
            case Verdict.AGAIN:
                task.status = Status.WAITING
                return
            case Verdict.DONE:
                task.status = Status.DONE
                task.metrics = event["metrics"]
            case Verdict.FAILED:
                task.status = Status.FAILED
                task.reason = attempt.reason
        if isinstance(task, Trial):
            self.finished.append(task)
            self.history.append((task, True))

    def stage(self, name: str) -> Stage:
        """The stage of this name, as far as it has come."""
        return self.stages.setdefault(name, Stage(self.directory.stage(name), name=name))

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
    def best(self) -> Trial | None:
        """The best feasible trial, or None."""
        return self.best_for(self.goal)

    def best_for(self, goal: Goal) -> Trial | None:
        """The best trial for any goal: the same history, asked another question.

        A point that was measured several times is as good as the middle one of its trials, which
        stands for it (of two, the worse): one lucky measurement does not win.

        Raises:
            InvalidInput: no trial has a metric of the goal.
        """
        done = self.with_status(Status.DONE)
        able = [trial for trial in done if goal.missing(trial.metrics) is None]
        if done and not able:
            raise InvalidInput(
                f"metric {goal.missing(done[0].metrics)!r} is in no result: "
                f"there are {', '.join(sorted(done[0].metrics))}"
            )
        feasible = [trial for trial in _middle_ones(able, goal) if goal.feasible(trial.metrics)]
        return min(feasible, key=lambda t: (goal.cost(t.metrics), t.number), default=None)

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
        done = [t for t in self.with_status(Status.DONE) if goal.missing(t.metrics) is None]
        best = self.best_for(goal) if done else None
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
        done = [t for t in self.with_status(Status.DONE) if goal.missing(t.metrics) is None]
        kept = [trial for trial in _middle_ones(done, goal) if goal.feasible(trial.metrics)]
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


def _middle_ones(trials: Sequence[Trial], goal: Goal) -> list[Trial]:
    """Of each point the trial in the middle, from best to worst; in the order of proposal.

    One that breaks a bound is worse than one that does not. Of an even number it is the worse one.
    """
    points: dict[Point, list[Trial]] = {}
    for trial in trials:
        points.setdefault(trial.point, []).append(trial)

    def badness(trial: Trial) -> tuple[bool, float, int]:
        return not goal.feasible(trial.metrics), goal.cost(trial.metrics), trial.number

    middle = [sorted(each, key=badness)[len(each) // 2] for each in points.values()]
    return sorted(middle, key=lambda trial: trial.number)
