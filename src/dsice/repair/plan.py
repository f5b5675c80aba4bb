"""Finding contradictions between the files of a study, and planning the repair.

The journal may be damaged, or older than the job folders beside it. Missing events are restored
from the folders, which identify what they measure; whatever remains uncertain is set aside.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dsice.errors import DamagedStudy, DsiceError, InvalidInput
from dsice.files import make_folder, read_regular, write_atomically
from dsice.launch.job import JobFolder
from dsice.repair.found import Damage, given_up, identity_of, in_order, jobs_in, scan
from dsice.study.codec import encode
from dsice.study.directory import StudyDirectory, TaskFolder
from dsice.study.events import (
    AttemptBegan,
    AttemptEnded,
    Discarded,
    Event,
    Header,
    Proposed,
    Retried,
    SessionBegan,
    Voided,
)
from dsice.study.facts import Stage, Trial
from dsice.study.frozen import header_of, load_frozen
from dsice.study.journal import Lines
from dsice.study.state import Study
from dsice.study.task import Status, Task
from dsice.study.unknown import numbers_in, unknown_folders
from dsice.units import count

_SHOWN: Final = 60  # bytes of a damaged line
_CLOCKS: Final = 600.0  # seconds by which clocks of machines may differ


@dataclass(slots=True)
class Repair:
    """The findings about a study and the planned repair; nothing changes before `write`.

    Attributes:
        directory: of the study.
        findings: what is wrong, a line each, for people; empty: nothing is.
        set_aside: folders that would be moved away.
    """

    directory: StudyDirectory
    findings: list[str] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)
    _events: list[Event] = field(default_factory=list)
    _study: Study = field(init=False)
    _doubtful: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path | str, adopt: bool = True) -> Repair:
        """Find out what is wrong with the study in a directory.

        Args:
            path: of the directory.
            adopt: whether to take in what folders hold that the journal does not know; if not,
                they are set aside.

        Raises:
            InvalidInput: there is no study, or a later version wrote it.
            DamagedStudy: it cannot be repaired; the message says why.
        """
        directory = StudyDirectory.at(path)
        directory.require_study()
        repair = cls(directory)
        repair._study = Study(load_frozen(directory), directory)
        lines, moved = in_order(list(scan(directory.journal)))
        if moved:
            repair.findings.append(f"{count(moved, 'session')} of the journal began out of order")
        for found in lines:
            if not isinstance(found, Damage):
                repair._take(found)
                continue
            fate = "is lost" if found.event is None else "had one bit changed and is mended"
            repair.findings.append(
                f"line {found.number} of the journal {fate}: {found.why}; it begins "
                f"{found.line[:_SHOWN]!r}"
            )
            if found.event is not None:
                repair._take(found.event)
        repair._find_identity()
        try:
            Study(repair._study.config, directory).apply(Lines(directory.journal))
        except DamagedStudy as error:
            if not repair.findings:  # lines are not where they were written
                repair.findings.append(str(error).partition(". 'dsice repair")[0])
        if repair._study.left_out:
            repair.findings.append(
                f"{repair._study.left_out} events in the journal are of a driver that had been "
                "taken over, or there twice; they do not count"
            )
        repair._distrust()
        repair._see_to_folders(adopt)
        return repair

    def write(self) -> Path:
        """Do it, and return where the journal of before is kept.

        The caller holds the study's lock.

        Raises:
            DsiceError: a job still runs in a folder that is to be set aside; nothing was changed.
        """
        for path in self.set_aside:
            for job in jobs_in(path):
                if job.is_alive():
                    raise DsiceError(f"{job.path} is to be set aside, and its job still runs")
        place = self.directory.path
        number = 1
        while (kept := place / f"repair-{number}").exists():
            number += 1
        make_folder(kept)
        before = read_regular(self.directory.journal)
        write_atomically(kept / self.directory.journal.name, before)
        for path in self.set_aside:
            for job in jobs_in(path):
                job.revoke()  # one that waits in a queue must not begin any more
            target = kept / path.relative_to(place)
            make_folder(target.parent)
            path.rename(target)
        write_atomically(self.directory.journal, b"".join(map(encode, self._rewritten())))
        return kept

    # -- the journal -------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        """Keep an event, and before it what it takes for granted and the journal has lost."""
        for missing in (*self._missing_session(event), *self._missing_before(event)):
            self._keep(missing)
        if isinstance(event, Voided):
            self._find_failures(event)
        if isinstance(event, Retried | Discarded):
            self._find_ends(event)
        if isinstance(event, Proposed) and event.trial <= len(self._study.trials):
            known = self._study.trials[event.trial - 1]
            if event.session == self._study.token and self._study.point_of(event) != known.point:
                self._doubtful.add(event.trial)
                self.findings.append(f"trial {event.trial} is in the journal with two points")
                return
        self._keep(event)

    def _keep(self, event: Event) -> None:
        try:
            before = self._study.left_out
            self._study.apply([event])
        except DamagedStudy as error:
            self.findings.append(f"an event is left out: {error.__cause__}")
            return
        if self._study.left_out == before:
            self._events.append(event)

    def _missing_session(self, event: Event) -> list[Event]:
        """A session whose beginning is lost, as far as it matters."""
        study = self._study
        lost = event.after if event.opens else event.session
        if not lost or study.knows_session(lost):
            return []
        run = study.config.run
        began = SessionBegan(
            host="", pid=0, parallel=run.parallel, trials=run.trials, hours=run.hours, on=run.on
        )
        began.t, began.session = event.t, lost
        return [began]

    def _missing_before(self, event: Event) -> list[Event]:
        """The proposals and attempts that are lost between the journal so far and ``event``."""
        study, found = self._study, []
        numbers: Iterable[int] = ()
        if isinstance(event, Proposed):
            numbers = range(len(study.trials) + 1, event.trial)
        elif isinstance(event, AttemptBegan | AttemptEnded) and event.trial is not None:
            numbers = range(len(study.trials) + 1, event.trial + 1)
        for number in numbers:
            found.append(self._stamped(self._proposal(number), event))
        if isinstance(event, AttemptBegan | AttemptEnded):
            last = event.attempt - isinstance(event, AttemptBegan)
            begun = 0
            if event.stage is not None:
                begun = len(study.stage(event.stage).attempts)
            elif event.trial is not None and event.trial <= len(study.trials):
                begun = len(study.trials[event.trial - 1].attempts)
            for attempt in range(begun + 1, last + 1):
                began = AttemptBegan(trial=event.trial, stage=event.stage, attempt=attempt)
                found.append(self._stamped(began, event))
        return found

    def _find_failures(self, event: Voided) -> None:
        """Bring back the ends of the attempts that ``event`` says do not count."""
        for number, attempt in event.attempts:
            began = self._stamped(AttemptBegan(trial=number, attempt=attempt + 1), event)
            for missing in self._missing_before(began):
                self._keep(missing)
            trial = self._study.trials[number - 1]
            if trial.attempts[attempt - 1].verdict is None:
                self._keep(self._stamped(given_up(trial), event))

    def _find_ends(self, event: Retried | Discarded) -> None:
        """Bring back the ends of the trials that ``event`` takes back; their results do not count.

        A trial whose job had not ended by then was withdrawn while it ran.

        Raises:
            DamagedStudy: a trial is lost, and its folder does not say what it measured.
        """
        for number in range(len(self._study.trials) + 1, max(event.trials, default=0) + 1):
            self._keep(self._stamped(self._proposal(number), event))
        for number in event.trials:
            trial = self._study.trials[number - 1]
            if trial.status is not Status.RUNNING:
                continue
            outcome = trial.job.outcome()
            if outcome is not None and outcome.ended <= event.t:
                self._keep(self._stamped(given_up(trial), event))

    def _stamped(self, event: Event, like: Event) -> Event:
        """An event that is to come before another one, with the time and session that fit."""
        event.t = like.t
        event.session = self._study.token if like.opens else like.session
        return event

    def _proposal(self, number: int) -> Proposed:
        """The proposal of a trial, from what its folder says.

        Raises:
            DamagedStudy: it does not say.
        """
        params = self._params_in(self.directory.trial(number))
        if params is None:
            raise DamagedStudy(
                f"{self.directory.path} cannot be repaired: its journal has lost trial {number}, "
                f"and {self.directory.trial(number).path} does not say what it measured. Bring "
                "that folder back from a backup, or the journal"
            )
        return Proposed(trial=number, params=params)

    def _params_in(self, folder: TaskFolder) -> dict[str, Any] | None:
        """The parameters that a trial's folder says it measures; None if it does not, or cannot."""
        said = []
        for job in jobs_in(folder.path):
            outcome = job.outcome()
            said += [identity_of(job), outcome.identity if outcome else {}]
        found = [each["params"] for each in said if "params" in each and self._is_ours(each)]
        if not found:
            if any(said):
                return None  # it is of another study
            try:  # format 1 has it here only
                found = [json.loads(read_regular(folder.params))]
            except (OSError, ValueError, RecursionError):
                return None
        try:
            points = {self._study.config.grid.point(params) for params in found}
        except (InvalidInput, TypeError, AttributeError):
            return None
        return self._study.config.grid.params(points.pop()) if len(points) == 1 else None

    def _is_ours(self, identity: Mapping[str, Any]) -> bool:
        return not self._study.id or identity.get("study") == self._study.id

    def _find_identity(self) -> None:
        """Give a study whose header is lost its identity back, as its folders have it."""
        if self._study.format >= 2:
            return
        for number in range(1, len(self._study.trials) + 1):
            for job in jobs_in(self.directory.trial(number).path):
                if found := identity_of(job).get("study"):
                    self._study.id = found
                    return

    def _rewritten(self) -> Iterator[Event]:
        """The events as they are to be, in the present format."""
        header = header_of(self._study)
        header.id = self._study.id or header.id
        header.t = self._events[0].t if self._events else 0.0
        header.session = token = secrets.token_hex(4)
        before = ""
        yield header
        for event in self._events:
            if isinstance(event, Header):
                continue
            begins = isinstance(event, SessionBegan) or event.session != before
            event.after = ""
            if event.opens and begins:
                event.after, token = token, secrets.token_hex(4)
            before, event.session = event.session, token
            if isinstance(event, Voided):
                event.attempts = [a for a in event.attempts if a[0] not in self._doubtful]
            if not self._is_doubtful(event):
                yield event

    def _is_doubtful(self, event: Event) -> bool:
        return isinstance(event, AttemptBegan | AttemptEnded) and event.trial in self._doubtful

    # -- results and folders -----------------------------------------------------------------------

    def _distrust(self) -> None:
        """Find results that are not of the trial that has them."""
        for trial in self._study.trials:
            for attempt in trial.attempts:
                # Format 1 could take up what an earlier trial of the same number had left.
                if attempt.started and attempt.started < attempt.submitted - _CLOCKS:
                    self.findings.append(
                        f"trial {trial.number}: its result began before the trial was submitted, "
                        "so it is of another one"
                    )
                    self._doubtful.add(trial.number)
        for number in sorted(self._doubtful):
            self.findings.append(f"trial {number} will be measured again")
            self._set_aside(self.directory.trial(number).path)

    def _see_to_folders(self, adopt: bool) -> None:
        unknown = unknown_folders(self._study)
        self._see_to_outcomes()
        place = self.directory
        trials = [p for p in unknown if p.parent == place.path / "trials"]
        for path in unknown:
            if path not in trials and path.parent not in self.set_aside:
                self._see_to_attempt(JobFolder(path), adopt)
        for path in trials:
            number = int(path.name)
            params = self._params_in(TaskFolder(path)) if adopt else None
            if params is None or number != len(self._study.trials) + 1:
                self.findings.append(f"{self._named(path)} is not in the journal: set aside")
                self._set_aside(path)
                continue
            self._append(Proposed(trial=number, params=params))
            self._adopt_attempts(self._study.trials[-1])
            self.findings.append(
                f"{self._named(path)} is not in the journal: adopted, at "
                + ", ".join(f"{name}={value}" for name, value in params.items())
            )

    def _see_to_attempt(self, job: JobFolder, adopt: bool) -> None:
        task = self._task_of(job)
        number = int(job.path.name.removeprefix("attempt-"))
        fits = identity_of(job) in ({}, task.identity(number))
        if adopt and fits and number == len(task.attempts) + 1:
            self._adopt_attempts(task)
            self.findings.append(f"{self._named(job.path)} is not in the journal: adopted")
        elif number > len(task.attempts):
            self.findings.append(f"{self._named(job.path)} is not in the journal: set aside")
            self._set_aside(job.path)

    def _see_to_outcomes(self) -> None:
        """Find the jobs under way whose folder holds another job."""
        tasks: Sequence[Task] = [*self._study.stages.values(), *self._study.trials]
        for task in tasks:
            if task.status is not Status.RUNNING:
                continue
            outcome = task.job.outcome()
            said = [identity_of(task.job), outcome.identity if outcome else {}]
            own = task.identity(len(task.attempts))
            if any(each not in ({}, own) for each in said):
                self.findings.append(f"{self._named(task.job.path)} is of another trial: set aside")
                self._set_aside(task.job.path)

    def _adopt_attempts(self, task: Task) -> None:
        """Take in the attempts of a task that have folders, in order."""
        for number in numbers_in(task.folder.path, "attempt-"):
            if number != len(task.attempts) + 1:
                continue
            if task.attempts and task.attempts[-1].verdict is None:
                self._append(given_up(task))
            began = AttemptBegan(**task.reference, attempt=number)
            with suppress(OSError, DamagedStudy):
                spec = task.folder.job(number).spec()
                began.slot, began.devices = spec.slot, list(spec.devices)
            self._append(began)

    def _append(self, event: Event) -> None:
        event.session = self._study.token
        event.t = self._events[-1].t if self._events else 0.0
        self._keep(event)

    def _task_of(self, job: JobFolder) -> Trial | Stage:
        folder = job.path.parent
        if folder.parent.name == "trials":
            return self._study.trials[int(folder.name) - 1]
        return self._study.stage(folder.name)

    def _set_aside(self, path: Path) -> None:
        if path.exists() and path not in self.set_aside:
            self.set_aside.append(path)

    def _named(self, path: Path) -> str:
        return str(path.relative_to(self.directory.path))
