"""The driver: keeps every slot busy until the budget is used or the search has finished.

It owns no state. Every decision is first written to the journal as an event, and each event is
applied to the state by the same fold that rebuilds the state after a crash. So a driver that was
killed at any moment resumes where it was.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from itertools import chain
from math import inf
from typing import Any, Final, TypeVar

from msgspec import UNSET, Raw

from dsice.errors import (
    DamagedStudy,
    DsiceError,
    GaveUp,
    Interrupted,
    InvalidInput,
    LaunchError,
    OutOfTime,
    StageFailed,
)
from dsice.files import make_folder
from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.launch.base import JobState, Launcher
from dsice.launch.faults import fault_in
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.slots import Held, Slot, Slots
from dsice.search.base import Search
from dsice.search.why import Role, Why
from dsice.study import advice
from dsice.study.clock import Clock
from dsice.study.directory import write_json
from dsice.study.events import (
    FORMAT,
    AttemptBegan,
    AttemptEnded,
    EndAsked,
    Event,
    FinalistsChosen,
    Proposed,
    Reported,
    SessionBegan,
    SessionEnded,
    SweepBegan,
    SweepEnded,
    Trouble,
    Verdict,
    Voided,
)
from dsice.study.facts import Finalist, KnownResult, Status, Task, Trial
from dsice.study.finalists import chosen
from dsice.study.frozen import header_of
from dsice.study.further import Further, search_of
from dsice.study.journal import Journal
from dsice.study.outage import Job, Outage, Watch
from dsice.study.progress import Listener, full_length
from dsice.study.replay import replay
from dsice.study.requests import taken_up
from dsice.study.samples import Samples
from dsice.study.spec import check_files, config_of, next_job, usual_seconds
from dsice.study.state import Study
from dsice.study.tables import RunConfig
from dsice.study.verdict import judge

_MIN_PAUSE: Final = 0.02  # seconds between polls just after something happened
_NOTHING_MORE: Final = "the search has nothing more to propose"
_MAX_STILLBORN: Final = 3  # maximum number of jobs in a row that end before they begin


T = TypeVar("T")


class Stop(IntEnum):
    """How a driver was told to stop; a later request can only be stronger."""

    NO = 0
    DRAIN = 1
    """Begin nothing new; wait for what runs."""
    CANCEL = 2
    """Make what runs end; it is begun again on resumption."""
    LEAVE = 3
    """Go at once; what runs goes on, and is taken up on resumption."""


class Driver:
    """Runs one session of a study.

    Args:
        study: its state so far; updated during the session.
        budget: of this session.
        journal: opened for appending.
        launcher: runs the jobs.
        clock: the time.
        on_change: called with the study regularly, and immediately after events.
        asked_to_stop: returns how another process wants the driver to stop, if it does.
        stop_after: seconds after which this session must end, or None.
        further: trials for a range of bounds, instead of those of the budget.
        slots: the slots for trials; None: as many as the budget allows at once.

    Attributes:
        stopping: how it was told to stop.
        computing: whether the search is computing, which a KeyboardInterrupt may abort: it writes
            nothing, and all that it knows is in the journal.
    """

    def __init__(
        self,
        study: Study,
        budget: RunConfig,
        journal: Journal,
        launcher: Launcher,
        clock: Clock,
        on_change: Callable[[Study], None] = lambda study: None,
        asked_to_stop: Callable[[], Stop] = lambda: Stop.NO,
        stop_after: float | None = None,
        further: Further | None = None,
        slots: Slots | None = None,
    ) -> None:
        self.study: Final = study
        self.stopping = Stop.NO
        self.computing = False
        self._budget = budget if further is None else further.budget(study, budget)
        self._further = further
        self._slots = slots or Slots.plain(budget.parallel)
        self._journal = journal
        self._launcher = launcher
        self._clock = clock
        self._on_change = on_change
        self._asked_to_stop = asked_to_stop
        self._leave_at = inf if stop_after is None else clock.now() + stop_after
        self._out_of_time = False
        self._running: dict[JobFolder, Task] = {}
        self._submitted: set[JobFolder] = set()  # in this session
        self._stillborn = 0
        self._watch = Watch(study, budget.max_consecutive_failures)
        self._outage: Outage | None = None  # that ends this session
        self._search: Search | None = None
        self._told_anew = False  # whether a user has changed what the search was told
        self._given: deque[Point] = deque()  # the user's first points, still to be proposed
        self._goal: Goal = study.config.goal
        self._deadline = inf
        self._pause = _MIN_PAUSE
        self._listener: Listener | None = None
        self._later = False  # whether attempts may begin before their events are durable

    def stop(self, how: Stop) -> None:
        """Request the driver to stop; may be called from a signal handler."""
        self.stopping = max(self.stopping, how)

    def run(self) -> Study:
        """Run stages and trials until the budget is used or the search has finished.

        Returns:
            The study in its final state.

        Raises:
            StageFailed: a stage failed.
            GaveUp: trials in a row failed in the same way.
            Interrupted: `stop` was called, or another process requested it.
            OutOfTime: `stop_after` is over.
            InvalidInput: the program does not exist, or lacks a metric of the goal.
            LaunchError: jobs cannot be started.
        """
        self._begin()
        why = "ended by an error"
        try:
            self._recover()
            self._run_stages()
            why = self._run_trials()
            if self._further is None:
                self._run_finalists()
            else:
                self._record(SweepEnded(sweep=self.study.sessions[-1].sweep or 0))
        except (Interrupted, OutOfTime, GaveUp) as error:
            why = str(error).partition("\n")[0]
            raise
        except KeyboardInterrupt:
            why = "left at once on request; what ran was left running"
            raise
        except InvalidInput:
            # No other trial would do better; the next session restarts the running ones.
            self._launcher.cancel(list(self._running))
            raise
        finally:
            with suppress(DsiceError):  # a full disk must not hide the error that ended the session
                self._record(SessionEnded(why=why))
        return self.study

    def _record(self, event: Event) -> None:
        self.study.apply([self._journal.append(event)])

    def _begin(self) -> None:
        run = self._budget
        if run.hours is not None:
            self._deadline = self._clock.now() + run.hours * 3600 - self.study.wall_seconds
        if self._journal.format < FORMAT:
            self._record(header_of(self.study))
        self._record(
            SessionBegan(
                host=socket.gethostname(),
                pid=os.getpid(),
                on=run.on,
                parallel=run.parallel,
                trials=run.trials,
                hours=run.hours,
            )
        )
        if (further := self._further) is not None:
            number, text = further.number(self.study), further.swept.text
            self._record(SweepBegan(sweep=number, bound=text, trials=further.trials))

    def _recover(self) -> None:
        """Take over the jobs of a driver that was killed."""
        tasks = (self.study.stages.values(), self.study.trials, self.study.finalists.values())
        for task in chain[Task](*tasks):
            if task.status is Status.RUNNING:
                state = self._launcher.reattach(task.job)
                if state in (JobState.QUEUED, JobState.RUNNING):
                    self._running[task.job] = task
                    if task.attempts[-1].ending is not None:
                        self._launcher.cancel([task.job])
                else:
                    self._end(task, state)

    def _run_stages(self) -> None:
        """Run the unfinished stages, one after another."""
        for name in self.study.config.stages:
            stage = self.study.stage(name)
            tried = False
            while stage.status is not Status.DONE:
                # A stage that failed in an earlier session may have been fixed since.
                if stage.status is Status.FAILED and tried:
                    raise StageFailed(advice.stage_failed(stage))
                if not self._running:
                    self._raise_if_stopping()
                    self._submit([stage], self._begin_attempts([stage]))
                tried = True
                self._wait()

    def _run_trials(self) -> str:
        """Run trials until nothing is left to do, and return the reason."""
        check_files(self.study)
        self._told_anew = True
        while True:
            self._take_up_requests()
            if self._told_anew and not self.stopping:
                self._told_anew = False
                self._search = self._computed(self._make_search)
            rests = self._holds_back() or self.stopping or self._out_of_time
            search = None if rests else self._search
            why = "" if search is None else self._fill(search)
            if not self._running:
                self._raise_if_stopping()
                self._raise_if_failing()
                if not self._take_up_requests():
                    return why
                continue
            self._wait()

    def _run_finalists(self) -> None:
        """Measure the best trials again at full length, if the study file requests it."""
        config = self.study.config.finalists
        if config is None:
            return
        trials = self._computed(lambda: chosen(self.study, self._search, config.trials)) or []
        if new := [t.number for t in trials if t.number not in self.study.finalists]:
            self._record(FinalistsChosen(trials=new))
        while True:
            waiting = [
                finalist
                for finalist in self.study.finalists.values()
                if finalist.status is Status.WAITING
            ]
            free = self._budget.parallel - len(self._running)
            if waiting and free > 0 and not (self.stopping or self._out_of_time):
                waiting = waiting[:free]
                self._submit(waiting, self._begin_attempts(waiting))
            if not self._running:
                self._raise_if_stopping()
                return
            self._wait()

    def _take_up_requests(self) -> bool:
        """Fulfil users' requests; True if these changed the results."""
        changed = taken_up(self.study, self._record)
        self._told_anew |= changed
        return changed

    def _holds_back(self) -> bool:
        """Whether to begin nothing new, because failures in a row point to the machine.

        Once this is certain, they are void, and the session ends when nothing runs any more.
        Failures of an earlier session say nothing about the present state of the machine.
        """
        if self._outage is not None:
            self._void(self._watch.further(self._outage), self._outage)
            return True
        found = self._watch.look(self._clock.now())
        if found is None or not found.sure:
            return found is not None
        self._void(found.jobs, found)
        if any(job.own for job in found.jobs):
            self._outage = found
        else:
            self._search = self._computed(self._make_search)
        return self._outage is not None

    def _void(self, jobs: Sequence[Job], outage: Outage) -> None:
        if jobs:
            attempts = [(job.trial.number, job.attempt.number) for job in jobs]
            self._record(Voided(attempts=attempts, why=advice.summary(outage), host=outage.host))

    def _raise_if_failing(self) -> None:
        if self._outage is None and (outage := self._watch.at_end()) is not None:
            self._void(outage.jobs, outage)
            self._outage = outage
        if self._outage is not None:
            raise GaveUp(advice.gave_up(self.study, self._outage))

    def _make_search(self) -> Search:
        """Create the search and tell it all results."""
        search = search_of(self.study, self._budget.parallel, self.study.sessions[-1].sweep)
        self._goal = search.goal
        self._given = self._still_given()
        replay(search, self.study.calls, self._useful)
        return search

    def _computed(self, compute: Callable[[], T]) -> T | None:
        """Run a computation of the search; None if a signal aborted it.

        The search may then be in any state and is discarded: the next session creates a new one.
        """
        before = self.stopping
        try:
            self.computing = True
            found = compute()
            self.computing = False
            return found
        except KeyboardInterrupt:
            if self.stopping is before:  # requested again: leave at once
                raise
            self._search = None
            return None
        finally:
            self.computing = False

    def _fill(self, search: Search) -> str:
        """Give every free slot a trial; returns the reason if no trials are left."""
        study, run = self.study, self._budget
        free = min(run.parallel - len(self._running), len(self._free_slots()))
        if free <= 0:
            return ""
        if min(self._deadline, self._leave_at) < inf:
            now = self._clock.now()
            end = now + (usual_seconds(study) or 0.0)
            if end >= self._deadline:
                over = f"the {run.hours:g} hours are over"
                soon = "" if now >= self._deadline else " before another trial would have ended"
                return over + soon
            if end >= self._leave_at and not self._launcher.survives:
                self._out_of_time = True
                return ""
        wave = study.with_status(Status.WAITING)[:free]
        free -= len(wave)
        paused = {t.point: t for t in study.with_status(Status.STOPPED)}
        why = ""
        more = 0  # slots for paused trials, when no others may begin
        if run.trials is not None and study.spent + free > run.trials:
            more = free
            free = max(0, run.trials - study.spent)
            more -= free
            why = f"the budget of {run.trials} trials is used"
        samples = Samples.of(study, run.samples)
        with self._journal.together(self._later):
            owed = samples.owed - self._measure(search, samples.apart[:free], Role.SAMPLE, wave)
            new = free = free + owed - samples.owed
            if run.trials is not None:  # each new point must get all its samples
                room = max(0, run.trials - study.spent - owed) // run.samples
                new = min(free, room if study.trials else max(1, room))
                if new < free:
                    why = f"the budget of {run.trials} trials is used"
            given = [self._given.popleft() for _ in range(min(new, len(self._given)))]
            self._measure(search, given, Role.GIVEN, wave)
            free, new = free - len(given), new - len(given)
            if new:
                points = self._computed(lambda: search.ask(new))
                if points is None:
                    return ""
                if not points:
                    why = self._computed(lambda: search.reason) or _NOTHING_MORE
                for point in points:
                    if point in paused:  # to be continued
                        wave.append(paused[point])
                        continue
                    self._propose(point, search.why(point))
                    wave.append(study.trials[-1])
                free -= len(points)
            self._measure(search, samples.beside[:free], Role.SAMPLE, wave)
            if more:
                wave += [paused[p] for p in self._computed(lambda: search.resume(more)) or []]
            specs = self._begin_attempts(wave)
        if wave:
            self._submit(wave, specs)
        return why

    def _measure(
        self, search: Search, points: Sequence[Point], role: Role, wave: list[Trial]
    ) -> int:
        """Add proposals that the search did not make to ``wave``; returns their number."""
        for point in points:
            search.pend(point)
            self._propose(point, Why(role, known=len(self.study.finished)))
            wave.append(self.study.trials[-1])
        return len(points)

    def _still_given(self) -> deque[Point]:
        """The user's first points that are neither measured nor pending."""
        wanted, same = self.study.config.first, self.study.config.grid.program
        known = {same(each.point) for each, _ in self.study.history} if wanted else ()
        return deque(point for point in wanted if same(point) not in known)

    def _propose(self, point: Point, why: Why | None) -> None:
        params = self.study.config.grid.params(point)
        said = UNSET if why is None else Raw(json.dumps(why.as_json()).encode())
        self._record(Proposed(trial=len(self.study.trials) + 1, params=params, why=said))

    def _tell(self, trial: Trial, verdict: Verdict) -> None:
        if (search := self._search) is None:
            return
        if verdict is Verdict.STOPPED:
            self._computed(lambda: search.end(trial.point))
        else:
            self._computed(lambda: search.tell(trial.point, self._useful(trial)))

    def _listen(self) -> None:
        """Read the reports of running trials, and stop unpromising ones."""
        search = self._search
        if search is None or self.study.config.trial.progress.full is None:
            return
        if self._listener is None:
            self._listener = Listener(self.study.config, self._goal)
        running = {t.point: t for t in self._running.values() if isinstance(t, Trial)}
        heard = False
        with self._journal.together(later=True):
            for trial in running.values():
                for report in self._listener.news(trial):
                    heard = True
                    self._record(
                        Reported(
                            trial=trial.number,
                            step=report.step,
                            share=report.share,
                            metrics=dict(report.metrics),
                        )
                    )
                    search.report(trial.point, report.share, report.metrics)
        if not heard or self.stopping:
            return
        for point in self._computed(search.ending) or []:
            hopeless = running.get(point)
            if hopeless and hopeless.attempts[-1].ending is None and not hopeless.is_given:
                self._end_early(hopeless, search)

    def _end_early(self, trial: Trial, search: Search) -> None:
        """Record that a trial is to be stopped early, then end its job."""
        report, best = trial.reports[-1], self.study.best_or_none
        self._record(
            EndAsked(
                trial=trial.number,
                attempt=len(trial.attempts),
                step=report.step,
                full=full_length(self.study.config, trial.params) or report.step,
                chance=search.chance(trial.point) or 0.0,
                rival=None if best is None else best.number,
            )
        )
        self._journal.flush()
        self._launcher.cancel([trial.job])

    def _useful(self, known: Trial | KnownResult) -> Metrics | None:
        """The metrics of a result for the search: None unless it has all metrics of the goal."""
        able = known.status is Status.DONE and self._goal.missing(known.metrics) is None
        return known.metrics if able else None

    def _begin_attempts(self, tasks: Sequence[Task]) -> list[JobSpec]:
        """Record the next attempt of each task, which is followed from then on."""
        free = iter(self._free_slots())
        specs = []
        for task in tasks:
            own = config_of(self.study, task).resources.gpus
            slot = next(free) if isinstance(task, Trial | Finalist) else self._slots.whole(own)
            specs.append(next_job(self.study, task, slot))
            number, devices = slot.number, list(slot.devices)
            self._record(
                AttemptBegan(
                    **task.reference,
                    attempt=len(task.attempts) + 1,
                    slot=number,
                    devices=devices,
                )
            )
        return specs

    def _free_slots(self) -> list[Slot]:
        """The slots without a trial, counting also trials that an earlier session began."""
        newest = [task.attempts[-1] for task in self._running.values()]
        return self._slots.free([Held(attempt.slot, attempt.devices) for attempt in newest])

    def _submit(self, tasks: Sequence[Task], specs: Sequence[JobSpec]) -> None:
        """Submit the newest attempt of each task, as one batch."""
        jobs = []
        self._journal.check()  # a driver that has been superseded must not start anything
        for task, spec in zip(tasks, specs, strict=True):
            make_folder(task.folder.work)
            if isinstance(task, Trial | Finalist):
                write_json(task.folder.params, task.params, durably=False)
            task.job.create(spec)
            self._running[task.job] = task
            if isinstance(task, Trial):
                self._watch.began(task)
            jobs.append(task.job)
        self._submitted.update(jobs)
        self._launcher.submit(jobs)
        self._pause = _MIN_PAUSE
        self._on_change(self.study)

    def _wait(self) -> None:
        """Poll the running jobs once; if nothing happened, pause briefly."""
        self._see_to_stop()
        self._journal.flush()
        changed = False
        queued = []
        self._listen()
        # Ends are also in the jobs' folders, so one flush suffices for them and what begins next.
        with self._journal.together(later=True):
            for job, state in self._launcher.poll().items():
                if state in (JobState.QUEUED, JobState.RUNNING):
                    self._running[job].attempts[-1].begun = state is JobState.RUNNING
                    if state is JobState.QUEUED:
                        queued.append(job)
                    else:
                        self._watch.runs(job, self._clock.now())
                else:
                    self._end(self._running.pop(job), state)
                    changed = True
        if (self.stopping is Stop.DRAIN or self._outage is not None) and queued:
            self._launcher.cancel(queued)
        outage = self._outage and f"begins no more trials: {advice.summary(self._outage)}"
        if (trouble := self._launcher.trouble or outage or "") != self.study.trouble:
            self._record(Trouble(text=trouble))
        self._on_change(self.study)
        self._pause = _MIN_PAUSE if changed else min(self._pause * 1.3, self._launcher.pause)
        if not changed:
            self._launcher.wait(self._pause, self._clock.sleep)

    def _see_to_stop(self) -> None:
        """Stop as requested, or when time is over."""
        self.stop(self._asked_to_stop())
        if self._clock.now() >= self._leave_at:
            self._out_of_time = True
            self.stop(Stop.LEAVE if self._launcher.survives else Stop.CANCEL)
        if self.stopping is Stop.LEAVE:
            self._raise_if_stopping()
        if self.stopping is Stop.CANCEL:
            self._launcher.cancel(list(self._running))

    def _end(self, task: Task, state: JobState) -> None:
        """Record the end of a task's newest job and its consequences."""
        self._conclude(task, self._outcome(task), state)

    def _conclude(self, task: Task, outcome: Outcome | None, state: JobState) -> None:
        outcome = outcome or _without_outcome(state)
        needed = self._goal.metrics if isinstance(task, Trial | Finalist) else ()
        retries = config_of(self.study, task).retries
        earlier = [attempt for attempt in task.attempts[:-1] if not attempt.void]
        verdict, reason = judge(outcome, earlier, retries, needed)
        if (ending := task.attempts[-1].ending) is not None and verdict is Verdict.AGAIN:
            verdict, reason = Verdict.STOPPED, str(ending)
        hopeless = isinstance(task, Trial) and self._watch.is_hopeless(outcome, self._goal)
        if hopeless:
            verdict = Verdict.AGAIN
        self._record(
            AttemptEnded(
                **task.reference,
                attempt=len(task.attempts),
                verdict=verdict,
                kind=outcome.kind,
                reason=reason,
                metrics=dict(outcome.metrics or {}),
                exit_code=outcome.exit_code,
                started=outcome.started,
                ended=outcome.ended,
                host=outcome.host,
            )
        )
        if isinstance(task, Trial) and verdict is not Verdict.AGAIN:
            self._tell(task, verdict)
        self._count_stillborn(task, state)
        if isinstance(task, Trial):
            self._watch.ended(task.job, self._clock.now())
            if hopeless:
                self._give_up_at_once(task)

    def _outcome(self, task: Task) -> Outcome | None:
        """The outcome of a task's newest job, if any, after checking that it is of this job."""
        outcome = task.job.outcome()
        if outcome is not None:
            _require_identity(task.job, outcome.identity, task.identity(len(task.attempts)))
        return outcome

    def _count_stillborn(self, task: Task, state: JobState) -> None:
        """Give up when jobs of this session repeatedly end before they begin."""
        if self.stopping or task.job not in self._submitted:
            return
        self._stillborn = self._stillborn + 1 if state is JobState.REVOKED else 0
        if self._stillborn >= _MAX_STILLBORN:
            job, reason = task.job.path, task.attempts[-1].reason
            why = f"{fault}: {reason}" if (fault := fault_in(job)) else reason
            raise LaunchError(
                f"jobs end before they begin, {self._stillborn} in a row. Of the last: {why}; "
                f"its files are in {job}"
            )

    def _give_up_at_once(self, trial: Trial) -> None:
        attempt = trial.attempts[-1]
        self._record(Voided(attempts=[(trial.number, attempt.number)], why=attempt.reason))
        # Jobs of an earlier session say nothing about the present state of the program.
        if trial.job in self._submitted:
            raise InvalidInput(advice.hopeless(self.study.config, trial.job, attempt))

    def _raise_if_stopping(self) -> None:
        if self._out_of_time and not (self._running and self.stopping is Stop.CANCEL):
            raise OutOfTime(f"its own time is over; {self._left_words()}")
        if self.stopping is Stop.LEAVE:
            raise Interrupted(f"left on request; {self._left_words()}")
        if self.stopping is Stop.CANCEL:
            raise Interrupted(
                "stopped on request; what ran was ended and begins again on resumption"
            )
        if self.stopping is Stop.DRAIN:
            raise Interrupted("stopped on request; nothing runs any more")

    def _left_words(self) -> str:
        if not self._running:
            return "nothing runs any more"
        return f"{len(self._running)} jobs go on and are taken up again on resumption"


def _require_identity(job: JobFolder, found: Mapping[str, Any], expected: dict[str, Any]) -> None:
    """Check that an outcome belongs to its job.

    Raises:
        DamagedStudy: it belongs to another job.
    """
    if found == expected or not (found or job.spec().identity):  # format 1 had no identities
        return
    raise DamagedStudy(
        f"{job.path} holds a result of {_named(found)}, not of {_named(expected)}: it is not used. "
        f"'dsice repair' shows what can be done"
    )


def _named(identity: Mapping[str, Any]) -> str:
    if not identity:
        return "an unknown trial"
    what = " ".join(f"{k} {v}" for k, v in identity.items() if k not in ("study", "params"))
    at = f" at {dict(identity['params'])}" if "params" in identity else ""
    return f"{what}{at} of study {identity.get('study')}"


def _without_outcome(state: JobState) -> Outcome:
    if state is JobState.REVOKED:
        return Outcome(Kind.NOT_BEGUN, "not begun")
    why = "vanished without a result: killed from outside, out of memory, or the machine went down"
    return Outcome(Kind.LOST, why)
