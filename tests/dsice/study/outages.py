"""Studies in virtual time whose program breaks, for the tests of outages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import GaveUp
from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study

TEXT = """
name = "small"
minimize = "y"
search = "random"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
[trial]
command = ["sh", "{{a}}", "{{b}}"]
{trial}
[run]
{run}
"""

Program = Callable[[int, int, int], tuple[Outcome, float]]
"""What a job returns and how long it takes, by its parameters and its number from 1."""

GONE = Outcome(Kind.EXIT, "exit code 127: sh: 1: prog: not found", exit_code=127)


def good(a: int, b: int, seconds: float = 100.0, **more: Any) -> tuple[Outcome, float]:
    return Outcome(Kind.OK, metrics={"y": (a - 3.0) ** 2 + b}, **more), seconds


class Clock(VirtualClock):
    """Stops on the way to the next event, as a driver does that waits for something else."""

    def sleep(self, seconds: float) -> None:
        event = self.next_event()
        later = self._time + max(seconds, 5.0)
        self._time = later if event is None else max(self._time, min(event, later))


class Campaign:
    """A study whose jobs take virtual time, on which drivers are started."""

    def __init__(self, path: Path, program: Program, run: str, trial: str = "") -> None:
        self.config = parse(TEXT.format(run=run, trial=trial), path)
        self.place = StudyDirectory.at(path)
        self.clock = Clock(1000.0)
        self.program = program
        self.calls: list[tuple[int, int]] = []
        self.launcher = SimulatedLauncher(self.clock, self._called)

    def _called(self, spec: JobSpec) -> tuple[Outcome, float]:
        a, b = map(int, spec.command[1:])
        self.calls.append((a, b))
        return self.program(a, b, len(self.calls))

    def run(self, prepare: Callable[[Driver, Journal], None] = lambda d, j: None) -> Study:
        with Journal(self.place.journal, self.clock.now) as journal:
            study = Study(self.config, self.place).apply(journal.replay())
            driver = Driver(study, self.config.run, journal, self.launcher, self.clock)
            prepare(driver, journal)
            return driver.run()

    def gives_up(self) -> tuple[Study, str]:
        """Run until the driver gives up; the study as it is on disk, and the message."""
        with pytest.raises(GaveUp) as error:
            self.run()
        return self.look(), str(error.value)

    def look(self) -> Study:
        return Study(self.config, self.place).apply(Lines(self.place.journal))


def breaks_after(count: int, outcome: Outcome = GONE, seconds: float = 0.5) -> Program:
    return lambda a, b, n: good(a, b) if n <= count else (outcome, seconds)


def mend(campaign: Campaign) -> None:
    campaign.program = lambda a, b, n: good(a, b)


def points(study: Study) -> list[Any]:
    return [(trial.point, trial.status, dict(trial.metrics)) for trial in study.trials]
