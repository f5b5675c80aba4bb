"""A machine in virtual time, whose jobs are functions, and studies that a driver runs on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.launch.simulated import VirtualClock
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.journal import Journal
from dsice.study.state import Study


class Machine(Launcher):
    """Runs jobs in virtual time; it outlives drivers, as a cluster does.

    ``program`` maps the last argument of a command to an outcome; a job takes ``seconds``.
    """

    def __init__(
        self, clock: VirtualClock, program: Callable[[str], Outcome], seconds: float = 10.0
    ) -> None:
        self.clock, self.program, self.seconds = clock, program, seconds
        self.calls: list[str] = []
        self.jobs: dict[JobFolder, float] = {}
        self.attached: set[JobFolder] = set()
        self.busiest = 0
        self.step: Callable[[], None] = lambda: None

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        for job in jobs:
            self.step()
            if job.claim("job"):
                self.calls.append(job.spec().command[-1])
            self.jobs[job] = self.clock.now() + self.seconds
            self.attached.add(job)
            self.step()
        self.busiest = max(self.busiest, len(self.jobs))

    def _pass(self) -> None:
        for job, end in list(self.jobs.items()):
            if self.clock.now() >= end:
                job.finish(self.program(job.spec().command[-1]))
                del self.jobs[job]

    def poll(self) -> dict[JobFolder, JobState]:
        self._pass()
        states = {
            job: JobState.RUNNING if job in self.jobs else JobState.ENDED for job in self.attached
        }
        self.attached &= self.jobs.keys()
        return states

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        for job in jobs:
            if job in self.jobs:
                del self.jobs[job]
                job.finish(Outcome(Kind.CANCELLED, "cancelled"))

    def reattach(self, job: JobFolder) -> JobState:
        self._pass()
        if not job.path.exists() or job.claim("driver"):
            return JobState.REVOKED
        if job in self.jobs:
            self.attached.add(job)
            return JobState.RUNNING
        return JobState.ENDED if job.outcome() else JobState.LOST


def quadratic(argument: str) -> Outcome:
    if argument == "stage":
        return Outcome(Kind.OK, metrics={"limit": 6.0})
    a, b = map(int, argument.split())
    return Outcome(Kind.OK, metrics={"y": (a - 3.0) ** 2 + (b - 6.0) ** 2, "z": a + b - 0.5})


TEXT = """
name = "small"
minimize = "y"
subject_to = ["z <= stage.first.limit + 2"]
search = "{search}"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
[stage.first]
command = ["sh", "stage"]
[trial]
command = ["sh", "{{a}} {{b}}"]
{trial}
[run]
{run}
"""


class Workbench:
    """A study, a machine and its clock, on which drivers are started."""

    def __init__(self, path: Path, text: str, machine: Machine) -> None:
        path.mkdir(exist_ok=True)
        self.config = parse(text, path)
        self.place = StudyDirectory.at(path)
        self.machine = machine
        self.clock = machine.clock

    def run(self, prepare: Callable[[Driver, Journal], None] = lambda d, j: None) -> Study:
        self.machine.attached.clear()
        with Journal(self.place.journal, self.clock.now) as journal:
            study = Study(self.config, self.place).apply(journal.replay())
            driver = Driver(study, self.config.run, journal, self.machine, self.clock)
            prepare(driver, journal)
            return driver.run()


class Bench(Workbench):
    """One whose jobs are functions of their last argument."""

    def __init__(
        self,
        path: Path,
        program: Callable[[str], Outcome] = quadratic,
        search: str = "dsice-2024",
        run: str = "parallel = 4\ntrials = 25",
        trial: str = "",
    ) -> None:
        text = TEXT.format(search=search, run=run, trial=trial)
        super().__init__(path, text, Machine(VirtualClock(1000.0), program))


def results(study: Study) -> dict[Any, Any]:
    return {trial.point: (trial.status, dict(trial.metrics)) for trial in study.trials}


class Crash(BaseException):
    """The driver is gone: nothing of it runs any more."""
