"""The driver: keeps every slot busy until the budget is used or the search has finished.

It owns no state. Every decision is first written to the journal as an event, and each event is
applied to the state by the same fold that rebuilds the state after a crash. So a driver that was
killed at any moment resumes where it was.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Final

from dsice.errors import (
    DsiceError,
    GaveUp,
    Interrupted,
    InvalidInput,
    OutOfTime,
    StageFailed,
)
from dsice.launch.base import Launcher
from dsice.launch.job import JobSpec
from dsice.launch.slots import Slots
from dsice.study import advice, machine_time
from dsice.study.clock import Clock
from dsice.study.early import Early
from dsice.study.events import (
    FORMAT,
    Event,
    FinalistsChosen,
    SessionBegan,
    SessionEnded,
    SweepBegan,
    SweepEnded,
    Trouble,
)
from dsice.study.frozen import header_of
from dsice.study.further import Further
from dsice.study.guard import Guard
from dsice.study.in_process import Call, Calls
from dsice.study.jobs import Jobs
from dsice.study.journal import Journal
from dsice.study.outage import Watch
from dsice.study.proposals import Proposals
from dsice.study.requests import taken_up
from dsice.study.run_table import RunConfig
from dsice.study.spec import check_files, usual_seconds
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status, Task

_MIN_PAUSE: Final = 0.02  # seconds between polls just after something happened


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
        call: a function that each trial calls in this process, instead of starting a job.

    Attributes:
        stopping: how it was told to stop.
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
        call: Call | None = None,
    ) -> None:
        self.study: Final = study
        self.stopping = Stop.NO
        self._budget = budget if further is None else further.budget(study, budget)
        self._further = further
        self._journal = journal
        self._launcher = launcher
        self._clock = clock
        self._on_change = on_change
        self._asked_to_stop = asked_to_stop
        self._leave_at = inf if stop_after is None else clock.now() + stop_after
        self._out_of_time = False
        self._deadline = inf
        self._pause = _MIN_PAUSE
        self._results_changed = False  # by a user, since the search was told of them
        watch = Watch(study, budget.max_consecutive_failures)
        self._proposals = Proposals(study, self._budget, self._record, lambda: self.stopping)
        self._guard = Guard(study, watch, self._record, self._proposals.renew)
        self._early = Early(study, self._proposals, self._record)
        make = Jobs if call is None else partial(Calls, call)
        self._jobs = make(
            study,
            self._proposals,
            journal,
            self._record,
            launcher,
            slots or Slots.plain(budget.parallel),
            watch,
            clock,
            lambda: self.stopping,
        )

    @property
    def computing(self) -> bool:
        """Whether the search is computing, which a KeyboardInterrupt may abort."""
        return self._proposals.computing

    def stop(self, how: Stop) -> None:
        """Request the driver to stop; may be called from a signal handler."""
        self.stopping = max(self.stopping, how)
        self._jobs.interrupt(how)

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
            self._jobs.take_over()
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
            self._jobs.cancel()
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
                job_hours=run.job_hours,
                per_job=run.per_job,
            )
        )
        if (further := self._further) is not None:
            number, text = further.number(self.study), further.swept.text
            self._record(SweepBegan(sweep=number, bound=text, trials=further.trials))

    def _run_stages(self) -> None:
        """Run the unfinished stages, one after another."""
        for name in self.study.config.stages:
            stage = self.study.stage(name)
            tried = False
            while stage.status is not Status.DONE:
                # A stage that failed in an earlier session may have been fixed since.
                if stage.status is Status.FAILED and tried:
                    raise StageFailed(advice.stage_failed(stage))
                if not self._jobs.running:
                    self._raise_if_stopping()
                    self._start([stage])
                tried = True
                self._wait()

    def _run_trials(self) -> str:
        """Run trials until nothing is left to do, and return the reason."""
        check_files(self.study)
        self._results_changed = True
        while True:
            self._take_up_requests()
            if self._results_changed and not self.stopping:
                self._results_changed = False
                self._proposals.renew()
            rests = self._guard.holds_back(self._clock.now()) or self.stopping or self._out_of_time
            why = "" if rests else self._fill()
            if not self._jobs.running:
                self._raise_if_stopping()
                self._guard.raise_if_failing()
                if not self._take_up_requests():
                    return why
                continue
            self._wait()

    def _run_finalists(self) -> None:
        """Measure the best trials again at full length, if the study file requests it."""
        config = self.study.config.finalists
        if config is None:
            return
        trials = self._proposals.finalists(config.trials)
        if new := [t.number for t in trials if t.number not in self.study.finalists]:
            self._record(FinalistsChosen(trials=new))
        while True:
            waiting = [
                finalist
                for finalist in self.study.finalists.values()
                if finalist.status is Status.WAITING
            ]
            free = self._budget.parallel - len(self._jobs.running)
            if waiting and free > 0 and not (self.stopping or self._out_of_time):
                self._start(waiting[:free])
            if not self._jobs.running:
                self._raise_if_stopping()
                return
            self._wait()

    def _take_up_requests(self) -> bool:
        """Fulfil users' requests; True if these changed the results."""
        changed = taken_up(self.study, self._record)
        if changed:
            self._jobs.cancel_withdrawn()
        self._results_changed |= changed
        return changed

    def _fill(self) -> str:
        """Give every free slot a trial; returns the reason if no trials are left."""
        slots = min(self._budget.parallel - self._jobs.busy, len(self._jobs.free_slots()))
        if slots <= 0:
            return ""
        why = self._no_time()
        if why or self._out_of_time:
            return why
        free, why = self._affordable(slots * self._per_job())
        if not free:
            return why
        with self._journal.together(later=not self._jobs.durable_first):
            wave, why = self._proposals.wave(free)
            # The last ones are spread evenly, so that they end at the same time.
            specs = self._jobs.begin(wave, -(-len(wave) // slots))
        self._submit(wave, specs)
        return why

    def _no_time(self) -> str:
        """The reason why another trial would end too late; notes if this session's time is over."""
        if min(self._deadline, self._leave_at) == inf:
            return ""
        now = self._clock.now()
        end = now + (usual_seconds(self.study) or 0.0)
        if end >= self._deadline:
            over = f"the {self._budget.hours:g} hours are over"
            soon = "" if now >= self._deadline else " before another trial would have ended"
            return over + soon
        if end >= self._leave_at and not self._launcher.survives:
            self._out_of_time = True
        return ""

    def _per_job(self) -> int:
        """How many trials a job should run, so that all have ended when the hours are over."""
        most = self._budget.per_job
        if most == 1 or self._deadline == inf or not (usual := usual_seconds(self.study)):
            return most
        return min(most, max(1, int((self._deadline - self._clock.now()) / usual)))

    def _affordable(self, free: int) -> tuple[int, str]:
        """How many of ``free`` trials the machine time allows, and why not all of them."""
        budget = self._budget.job_hours
        if budget is None:
            return free, ""
        spent, unit = machine_time.used(self.study), machine_time.unit_of(self.study.config)
        seconds, measured = machine_time.expected(self.study)
        each = seconds / 3600 * machine_time.share_of(self.study.config)
        count = machine_time.room(budget, spent, len(self._jobs.running), each, measured)
        soon = "" if spent >= budget else ": another trial would exceed them"
        return min(free, count), f"the {budget:g} {unit} are used{soon}"

    def _start(self, tasks: Sequence[Task]) -> None:
        self._submit(tasks, self._jobs.begin(tasks))

    def _submit(self, tasks: Sequence[Task], specs: Sequence[JobSpec]) -> None:
        if not tasks:
            return
        self._jobs.submit(tasks, specs)
        self._pause = _MIN_PAUSE
        self._on_change(self.study)

    def _wait(self) -> None:
        """Look at the running jobs once; if nothing happened, pause briefly."""
        self._see_to_stop()
        self._jobs.flush()
        self._listen()
        changed, queued = self._jobs.poll()
        if (self.stopping is Stop.DRAIN or self._guard.trouble) and queued:
            self._jobs.cancel(queued)
        if (trouble := self._launcher.trouble or self._guard.trouble) != self.study.trouble:
            self._record(Trouble(text=trouble))
        self._on_change(self.study)
        self._pause = _MIN_PAUSE if changed else min(self._pause * 1.3, self._launcher.pause)
        if not changed:
            self._launcher.wait(self._pause, self._clock.sleep)

    def _listen(self) -> None:
        """Read what running trials report, and end those that lead nowhere."""
        with self._journal.together(later=True):
            heard = self._early.listen(self._jobs.trials)
        if heard and not self.stopping:
            with self._journal.together():
                ended = self._early.ended(self._jobs.trials)
            if ended:
                self._jobs.cancel([trial.job for trial in ended])

    def _see_to_stop(self) -> None:
        """Stop as requested, or when time is over."""
        self.stop(self._asked_to_stop())
        if self._clock.now() >= self._leave_at:
            self._out_of_time = True
            self.stop(Stop.LEAVE if self._launcher.survives else Stop.CANCEL)
        if self.stopping is Stop.LEAVE:
            self._raise_if_stopping()
        if self.stopping is Stop.CANCEL:
            self._jobs.cancel()

    def _raise_if_stopping(self) -> None:
        if self._out_of_time and not (self._jobs.running and self.stopping is Stop.CANCEL):
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
        if not self._jobs.running:
            return "nothing runs any more"
        return f"{len(self._jobs.running)} jobs go on and are taken up again on resumption"
