"""The jobs of a session: attempts begin, are followed, and end, each as an event of the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

from dsice.errors import InvalidInput, LaunchError
from dsice.files import make_folder
from dsice.launch.base import JobState, Launcher
from dsice.launch.faults import fault_in
from dsice.launch.job import JobFolder, JobSpec, Outcome
from dsice.launch.slots import Held, Slot, Slots
from dsice.study import advice
from dsice.study.clock import Clock
from dsice.study.directory import write_json
from dsice.study.events import AttemptBegan, AttemptEnded, Event, Verdict, Voided
from dsice.study.facts import Finalist, Trial
from dsice.study.journal import Journal
from dsice.study.outage import Watch
from dsice.study.outcomes import outcome_of, without_outcome
from dsice.study.proposals import Proposals
from dsice.study.spec import config_of, next_job
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status, Task
from dsice.study.verdict import judge

_MAX_STILLBORN: Final = 3  # maximum number of jobs in a row that end before they begin


class Jobs:
    """Begins the attempts of tasks as jobs of a launcher, and records their ends.

    Args:
        study: its state, which ``record`` updates.
        proposals: is told of trials that have ended.
        journal: of the study.
        record: writes an event to the journal and applies it to the study.
        launcher: runs the jobs.
        slots: for trials.
        watch: watches for outages.
        clock: the time.
        stopping: how the driver was told to stop so far.

    Attributes:
        running: the task of each job that has not ended.
        durable_first: whether the events of attempts must be on the disk before these begin.
    """

    durable_first = True

    def __init__(
        self,
        study: Study,
        proposals: Proposals,
        journal: Journal,
        record: Callable[[Event], None],
        launcher: Launcher,
        slots: Slots,
        watch: Watch,
        clock: Clock,
        stopping: Callable[[], Stop],
    ) -> None:
        self.running: Final[dict[JobFolder, Task]] = {}
        self._study = study
        self._proposals = proposals
        self._journal = journal
        self._record = record
        self._launcher = launcher
        self._slots = slots
        self._watch = watch
        self._clock = clock
        self._stopping = stopping
        self._submitted: dict[JobFolder, int] = {}  # in this session, and as which batch job
        self._batches = 0
        self._stillborn: set[int] = set()  # batch jobs in a row
        self._cancelled: set[JobFolder] = set()

    @property
    def trials(self) -> list[Trial]:
        """The running trials, except for those that a user has withdrawn."""
        tasks = self.running.values()
        return [t for t in tasks if isinstance(t, Trial) and t.withdrawn_to is None]

    def cancel_withdrawn(self) -> None:
        """End the jobs of trials that a user has withdrawn."""
        tasks = [task for task in self.running.values() if isinstance(task, Trial)]
        if withdrawn := [trial.job for trial in tasks if trial.withdrawn_to is not None]:
            self.cancel(withdrawn)

    def take_over(self) -> None:
        """Follow the jobs of a driver that was killed."""
        study = self._study
        tasks = (study.stages.values(), study.trials, study.finalists.values())
        for task in chain[Task](*tasks):
            if task.status is Status.RUNNING:
                state = self._launcher.reattach(task.job)
                if state in (JobState.QUEUED, JobState.RUNNING):
                    self.running[task.job] = task
                    newest = task.attempts[-1]
                    if newest.ending is not None or newest.withdrawn_to is not None:
                        self._launcher.cancel([task.job])
                else:
                    self._conclude(task, outcome_of(task), state)

    def free_slots(self) -> list[Slot]:
        """The slots without a trial, counting also trials that an earlier session began."""
        newest = [task.attempts[-1] for task in self.running.values()]
        return self._slots.free([Held(attempt.slot, attempt.devices) for attempt in newest])

    @property
    def busy(self) -> int:
        """How many slots running trials, and stages, have."""
        slots = [task.attempts[-1].slot for task in self.running.values()]
        return slots.count(None) + len({slot for slot in slots if slot is not None})

    def begin(self, tasks: Sequence[Task], each: int = 1) -> list[JobSpec]:
        """Record the next attempt of each task, to be submitted once the record is durable.

        Args:
            tasks: to begin.
            each: how many trials are given the same slot, to run one after another.
        """
        free = self.free_slots()
        specs = []
        for index, task in enumerate(tasks):
            own = config_of(self._study, task).resources.gpus
            is_trial = isinstance(task, Trial | Finalist)
            slot = free[index // each] if is_trial else self._slots.whole(own)
            specs.append(next_job(self._study, task, slot))
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

    def submit(self, tasks: Sequence[Task], specs: Sequence[JobSpec]) -> None:
        """Submit the newest attempt of each task, as one batch."""
        jobs = []
        self._journal.check()  # a driver that has been superseded must not start anything
        before: JobSpec | None = None
        for task, spec in zip(tasks, specs, strict=True):
            if before is None or spec.slot is None or spec.slot != before.slot:
                self._batches += 1
            before = spec
            make_folder(task.folder.work)
            if isinstance(task, Trial | Finalist):
                write_json(task.folder.params, task.params, durably=False)
            task.job.create(spec)
            self._follow(task)
            jobs.append(task.job)
        self._launcher.submit(jobs)

    def _follow(self, task: Task) -> None:
        """Note that this session has begun the newest attempt of a task."""
        self.running[task.job] = task
        self._submitted[task.job] = self._batches
        if isinstance(task, Trial):
            self._watch.began(task)

    def flush(self) -> None:
        """Make sure that what happened is on the disk."""
        self._journal.flush()

    def poll(self) -> tuple[bool, list[JobFolder]]:
        """Look at the jobs once, and record those that have ended.

        Returns:
            Whether a job has ended, and the jobs that wait in a queue.
        """
        changed = False
        queued = []
        # Ends are also in the jobs' folders, so one flush suffices for them and what begins next.
        with self._journal.together(later=True):
            for job, state in self._launcher.poll().items():
                if state in (JobState.QUEUED, JobState.RUNNING):
                    self.running[job].attempts[-1].begun = state is JobState.RUNNING
                    if state is JobState.QUEUED:
                        queued.append(job)
                    else:
                        self._watch.runs(job, self._clock.now())
                else:
                    task = self.running.pop(job)
                    self._conclude(task, outcome_of(task), state)
                    changed = True
        return changed, queued

    def cancel(self, jobs: Sequence[JobFolder] | None = None) -> None:
        """End jobs, by default all that run."""
        jobs = list(self.running) if jobs is None else list(jobs)
        self._cancelled.update(jobs)
        self._launcher.cancel(jobs)

    def interrupt(self, how: Stop) -> None:
        """React at once to a request to stop; may be called from a signal handler."""

    def _conclude(self, task: Task, outcome: Outcome | None, state: JobState) -> None:
        """Record the end of a task's newest job and its consequences."""
        outcome = outcome or without_outcome(state)
        goal = self._proposals.goal
        needed = goal.metrics if isinstance(task, Trial | Finalist) else ()
        retries = config_of(self._study, task).retries
        earlier = [attempt for attempt in task.attempts[:-1] if not attempt.void]
        verdict, reason = judge(outcome, earlier, retries, needed)
        if (ending := task.attempts[-1].ending) is not None and verdict is Verdict.AGAIN:
            verdict, reason = Verdict.STOPPED, str(ending)
        withdrawn = task.attempts[-1].withdrawn_to is not None
        hopeless = (
            isinstance(task, Trial) and not withdrawn and self._watch.is_hopeless(outcome, goal)
        )
        if hopeless or withdrawn:
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
            self._proposals.tell(task, verdict)
        if not withdrawn:
            self._count_stillborn(task, state)
        if isinstance(task, Trial):
            self._watch.ended(task.job, self._clock.now())
            if hopeless:
                self._give_up_at_once(task)

    def _count_stillborn(self, task: Task, state: JobState) -> None:
        """Give up when jobs of this session repeatedly end before they begin."""
        if self._stopping() or task.job not in self._submitted or task.job in self._cancelled:
            return
        if state is JobState.REVOKED:
            self._stillborn.add(self._submitted[task.job])
        else:
            self._stillborn.clear()
        if len(self._stillborn) >= _MAX_STILLBORN:
            job, reason = task.job.path, task.attempts[-1].reason
            why = f"{fault}: {reason}" if (fault := fault_in(job)) else reason
            raise LaunchError(
                f"jobs end before they begin, {len(self._stillborn)} in a row. Of the last: {why}; "
                f"its files are in {job}"
            )

    def _give_up_at_once(self, trial: Trial) -> None:
        attempt = trial.attempts[-1]
        self._record(Voided(attempts=[(trial.number, attempt.number)], why=attempt.reason))
        # Jobs of an earlier session say nothing about the present state of the program.
        if trial.job in self._submitted:
            raise InvalidInput(advice.hopeless(self._study.config, trial.job, attempt))
