"""The state of a study: the fold of the events in its journal.

The driver, which applies each event as it appends it, and all readers use the same fold. The events
are those of `dsice.study.events`.

Each event names the session that wrote it. A driver that stalled and was superseded may have
written further events: those of a session after the beginning of the next one are left out, and so
are duplicates.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import UnsetType

from dsice.errors import DamagedStudy
from dsice.grid import Point
from dsice.study import taken_back
from dsice.study.directory import StudyDirectory
from dsice.study.events import (
    Added,
    AttemptBegan,
    AttemptEnded,
    Changed,
    Discarded,
    EndAsked,
    Event,
    FinalistsChosen,
    Header,
    Imported,
    Known,
    Proposed,
    Reported,
    Retried,
    SessionBegan,
    SessionEnded,
    SweepBegan,
    SweepEnded,
    Trouble,
    Verdict,
    Voided,
)
from dsice.study.facts import Call, Finalist, KnownResult, Session, Sweep, Told, Trial
from dsice.study.frozen import load_frozen, require_fingerprints
from dsice.study.grown import why_without_points
from dsice.study.journal import Lines
from dsice.study.results import Results
from dsice.study.sessions import Sessions
from dsice.study.task import Attempt, Ending, Report, Status, Task


@dataclass(slots=True, repr=False)
class Study(Results):
    """The current state of a study.

    Attributes:
        calls: the calls to a search, in order. A discarded trial has only its proposal, without a
            result, see `dsice.search.base.Search.skip`.
        warning: the problem with the journal; empty if there is none.
        trouble: why jobs cannot be started or followed at present; empty if they can.
        format: of its journal.
        fingerprints: of the constant parts of its study file, see `dsice.study.frozen`.
        by_index: whether points in its journal are level indices, as in format 1.
        left_out: number of events that do not count: of superseded sessions, and duplicates.
    """

    calls: list[Told] = field(default_factory=list)
    warning: str = ""
    trouble: str = ""
    format: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    by_index: bool = False
    _told: Sessions = field(default_factory=Sessions)
    _driver: str = ""  # session of the newest driver
    _seen: int = 0

    def __repr__(self) -> str:
        done, failed = len(self.finished), len(self.with_status(Status.FAILED))
        name, place = self.config.name, self.directory.path
        return f"<study {name!r} in {place}: {done} trials have ended, {failed} of them failed>"

    def __str__(self) -> str:
        """A short table: the goal, the progress and the best trial."""
        done, failed = len(self.finished), len(self.with_status(Status.FAILED))
        lines = [
            f"Study {self.config.name}: {self.goal}",
            f"  {done} trials have ended, {failed} of them failed",
        ]
        best = self.best_or_none if self.measured_for(self.goal) else None
        lines.append("No best trial yet" if best is None else f"Best: {best}")
        return "\n".join(lines)

    @classmethod
    def open(cls, path: Path | str) -> Study:
        """Open the study in a directory, read-only.

        Raises:
            InvalidInput: there is no study, or its files are damaged.
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
            DamagedStudy: an event is inconsistent with those before it.
        """
        with no_garbage():
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

    @property
    def token(self) -> str:
        """The token of the current session."""
        return self._told.token

    def knows_session(self, token: str) -> bool:
        """Whether a session with this token has begun; it may be over."""
        return self._told.knows(token)

    def _counts(self, event: Event) -> bool:
        """Whether an event is of the current session, or begins one."""
        counts = self._told.counts(event)
        self.left_out += not counts
        return counts

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
                    if task.status is Status.STOPPED and isinstance(task, Trial):
                        self.calls.append(Told(task, Call.PEND))
                        task.reason = ""
                    task.attempts.append(
                        Attempt(
                            event.attempt,
                            submitted=event.t,
                            slot=event.slot,
                            devices=event.devices,
                        )
                    )
                    self.set_status(task, Status.RUNNING)
            case AttemptEnded():
                self._end(self._task(event), event)
            case FinalistsChosen():
                for number in event.trials:
                    trial = self.trials[number - 1]
                    self.finalists.setdefault(number, Finalist(self, trial=trial))
            case Reported():
                self._hear(event)
            case EndAsked():
                ending = Ending(event.step, event.full, event.chance, event.rival)
                self.trials[event.trial - 1].attempts[event.attempt - 1].ending = ending
            case Voided():
                taken_back.void(self, event)
            case Retried():
                taken_back.retry(self, event)
            case Discarded():
                taken_back.discard(self, event)
            case Header():
                self.format, self.id = event.format, event.id
                self.fingerprints = event.fingerprints
            case Changed():
                self._change(event)
            case SessionBegan():
                self._begin_session(event)
            case Imported():
                for result in event.results:
                    self._know(event.source, result)
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
        if isinstance(event, Added | Discarded | Imported | Retried):
            self.requests.add(event.request)
            if not event.request or event.session != self._driver:
                return  # no driver was running
        if self.sessions:
            # A clock that was set back must not make a session shorter.
            self.sessions[-1].seen = max(self.sessions[-1].seen, event.t)

    def _change(self, event: Changed) -> None:
        """Apply a change; if the grid changed, level indices refer to the new one from here on."""
        if event.fingerprints.get("grid") != self.fingerprints.get("grid"):
            for trial in self.trials:
                trial.why_json = why_without_points(trial.why_json)
        self.fingerprints = event.fingerprints
        self.changes.append((event.t, tuple(event.what)))

    def _begin_session(self, event: SessionBegan) -> None:
        budget = {"parallel": event.parallel, "trials": event.trials, "hours": event.hours}
        budget |= {"job_hours": event.job_hours, "per_job": event.per_job}
        run = self.config.run.model_copy(update={**budget, "on": event.on})
        self.config = replace(self.config, run=run)
        self.sessions.append(
            Session(
                started=event.t,
                seen=event.t,
                parallel=event.parallel,
                trials=event.trials,
                hours=event.hours,
                job_hours=event.job_hours,
                per_job=event.per_job,
                host=event.host,
                pid=event.pid,
                on=event.on,
            )
        )
        self.trouble = ""
        self._driver = event.session

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
            given=event.params,
            capacity=session.parallel * session.per_job if session else 1,
            sweep=session.sweep if session else None,
        )
        if trial.sweep is not None:
            self.sweeps[trial.sweep - 1].proposed += 1
        self.trials.append(trial)
        self.set_status(trial, Status.WAITING)
        self.calls.append(Told(trial, Call.PEND))

    def _know(self, source: str, result: Known) -> None:
        point = self.point_of(result)
        known = KnownResult(
            point=point,
            params=self.config.grid.params(point),
            status=Status.FAILED if result.metrics is None else Status.DONE,
            metrics=result.metrics or {},
            reason=result.reason,
            source=source,
            where=result.where,
        )
        self.known.append(known)
        self.calls.append(Told(known, Call.TELL))

    def point_of(self, event: Proposed | Known) -> Point:
        """The point of an event.

        Raises:
            ValueError: the grid has no such point.
        """
        if event.params is not None:
            return self.config.grid.point(event.params)
        self.by_index = True
        if event.point is None or event.point not in self.config.grid:
            raise ValueError(f"the grid has no point {event.point}")
        return event.point

    def _task(self, event: AttemptBegan | AttemptEnded) -> Task:
        if event.stage is not None:
            return self.stage(event.stage)
        if event.finalist is not None:
            return self.finalists[event.finalist]
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
        if attempt.withdrawn_to is not None:
            if event.attempt == len(task.attempts):
                self.set_status(task, attempt.withdrawn_to)
            return
        match attempt.verdict:
            case Verdict.AGAIN:
                # In a repaired journal, the end of an earlier attempt may come late.
                if event.attempt == len(task.attempts):
                    self.set_status(task, Status.WAITING)
                return
            case Verdict.STOPPED:
                if isinstance(task, Trial) and event.attempt == len(task.attempts):
                    self.set_status(task, Status.STOPPED)
                    task.reason = event.reason
                    self.calls.append(Told(task, Call.STOP, seconds=task.measured_seconds))
                return
            case Verdict.DONE:
                self.set_status(task, Status.DONE)
                task.metrics = event.metrics
            case Verdict.FAILED:
                self.set_status(task, Status.FAILED)
                task.reason = attempt.reason
        if isinstance(task, Trial):
            self.finished.append(task)
            self.calls.append(Told(task, Call.TELL))

    def _hear(self, event: Reported) -> None:
        trial = self.trials[event.trial - 1]
        if trial.reports and event.share <= trial.reports[-1].share:
            self.left_out += 1
            return
        report = Report(event.step, event.share, event.metrics)
        trial.reports.append(report)
        self.calls.append(Told(trial, Call.REPORT, report))

    @property
    def history(self) -> Iterator[tuple[Trial | KnownResult, bool]]:
        """All proposals and ends, in order.

        Pairs of a trial and False when it was proposed, a trial and True when it was measured or
        failed, and a known result and True.
        """
        begun: set[int] = set()
        ended: set[int] = set()
        for told in self.calls:
            if told.call not in (Call.PEND, Call.TELL):
                continue
            seen = ended if told.call is Call.TELL else begun
            if (key := id(told.of)) not in seen:
                seen.add(key)
                yield told.of, told.call is Call.TELL

    def look_at_jobs(self) -> Study:
        """Update which pending jobs have begun, and return this study.

        The driver does not need this, as its launcher reports it.
        """
        for trial in self.with_status(Status.RUNNING):
            trial.attempts[-1].begun = trial.job.has_begun()
        return self


@contextmanager
def no_garbage() -> Iterator[None]:
    """Suspend garbage collection, which would traverse all trials repeatedly."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
