"""When a driver goes: its own time, the study's, a word from elsewhere; in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dsice.errors import Interrupted, OutOfTime
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.events import Trouble
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status

TEXT = """
name = "small"
minimize = "y"
search = "{search}"
[grid]
a = {{ integers = [0, 29] }}
b = {{ integers = [0, 29] }}
[trial]
command = ["sh", "{{a}}", "{{b}}"]
{trial}
[run]
{run}
"""


class Campaign:
    """A study whose jobs take virtual time, on which drivers are started."""

    def __init__(
        self,
        path: Path,
        run: str,
        trial: str = "",
        search: str = "random",
        seconds: Callable[[], float] = lambda: 100.0,
    ) -> None:
        self.config = parse(TEXT.format(run=run, trial=trial, search=search), path)
        self.place = StudyDirectory.at(path)
        self.clock = VirtualClock(1000.0)
        self.specs: list[JobSpec] = []

        def program(spec: JobSpec) -> tuple[Outcome, float]:
            self.specs.append(spec)
            return Outcome(Kind.OK, metrics={"y": float(spec.command[1])}), seconds()

        self.launcher = SimulatedLauncher(self.clock, program)

    def run(
        self,
        stop_after: float | None = None,
        asked: Callable[[], Stop] = lambda: Stop.NO,
    ) -> Study:
        with Journal(self.place.journal, self.clock.now) as journal:
            study = Study(self.config, self.place).apply(journal.replay())
            driver = Driver(
                study,
                self.config.run,
                journal,
                self.launcher,
                self.clock,
                asked_to_stop=asked,
                stop_after=stop_after,
            )
            return driver.run()

    @property
    def study(self) -> Study:
        return Study(self.config, self.place).apply(Lines(self.place.journal))


def test_no_slot_is_idle_before_the_last_submission(tmp_path: Path) -> None:
    chance = random.Random(3)
    campaign = Campaign(
        tmp_path,
        run="parallel = 40\ntrials = 200",
        search="dsice",
        seconds=lambda: 3600 * chance.lognormvariate(0, 0.5),
    )
    campaign.run()
    runs = campaign.launcher.runs
    assert len(runs) == 200
    last = max(begin for begin, _ in runs)
    for moment in {begin for begin, _ in runs if begin < last}:
        assert sum(begin <= moment < end for begin, end in runs) == 40


def test_nothing_is_begun_that_cannot_end_before_the_deadline(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, run="parallel = 3\nhours = 0.3")  # 1080 s: ten times 100 s
    study = campaign.run()
    assert len(study.trials) == 30
    assert max(end for _, end in campaign.launcher.runs) <= 1000 + 1080
    assert study.sessions[-1].why.startswith("the 0.3 hours are over")


def test_a_driver_whose_time_is_over_ends_what_would_die_with_it(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, run="parallel = 2\ntrials = 40")
    with pytest.raises(OutOfTime, match="nothing runs any more"):
        campaign.run(stop_after=950.0)
    study = campaign.study
    assert len(study.with_status(Status.DONE)) == 18
    assert not study.with_status(Status.RUNNING)
    assert len(campaign.run().with_status(Status.DONE)) == 40


def test_a_driver_whose_time_is_over_leaves_what_survives_it(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, run="parallel = 2\ntrials = 40")
    campaign.launcher.survives = True
    with pytest.raises(OutOfTime, match="2 jobs go on and are taken up again"):
        campaign.run(stop_after=950.0)
    assert len(campaign.study.with_status(Status.RUNNING)) == 2
    done = campaign.run()
    assert len(done.with_status(Status.DONE)) == len(campaign.specs) == 40


@pytest.mark.parametrize(("word", "running"), [(Stop.LEAVE, 2), (Stop.CANCEL, 0), (Stop.DRAIN, 0)])
def test_a_word_from_elsewhere(tmp_path: Path, word: Stop, running: int) -> None:
    campaign = Campaign(tmp_path, run="parallel = 2\ntrials = 40")
    calls = []

    def asked() -> Stop:
        calls.append(1)
        return word if len(calls) > 10 else Stop.NO

    with pytest.raises(Interrupted):
        campaign.run(asked=asked)
    assert len(campaign.study.with_status(Status.RUNNING)) == running
    assert len(campaign.run().with_status(Status.DONE)) == 40


def test_draining_takes_back_what_is_queued(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, run="parallel = 4\ntrials = 8")
    cancelled: list[JobFolder] = []
    poll = campaign.launcher.poll

    def half_queued() -> dict[JobFolder, JobState]:
        states = poll()
        under_way = [job for job, state in states.items() if state is JobState.RUNNING]
        return states | dict.fromkeys(under_way[2:], JobState.QUEUED)

    campaign.launcher.poll = half_queued  # type: ignore[method-assign]
    cancel = campaign.launcher.cancel

    def noted(jobs: Sequence[JobFolder]) -> None:
        cancelled.extend(jobs)
        cancel(jobs)

    campaign.launcher.cancel = noted  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="nothing runs any more"):
        campaign.run(asked=lambda: Stop.DRAIN)
    assert len(cancelled) == 2
    study = campaign.study
    assert len(study.with_status(Status.DONE)) == 2
    assert len(study.with_status(Status.WAITING)) == 2


def test_a_learned_time_limit(tmp_path: Path) -> None:
    chance = random.Random(0)
    campaign = Campaign(
        tmp_path,
        run="parallel = 1\ntrials = 12",
        trial='timeout = "3 x median"',
        seconds=lambda: chance.uniform(90, 110),
    )
    campaign.run()
    limits = [spec.timeout for spec in campaign.specs]
    assert limits[:5] == [None] * 5
    assert all(limit is not None and 270 < limit < 330 for limit in limits[5:])


def test_trouble_is_recorded_while_it_lasts(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, run="parallel = 1\ntrials = 6")

    class Troubled(SimulatedLauncher):
        @property
        def trouble(self) -> str:
            return "the scheduler is away" if 1200 < campaign.clock.now() < 1400 else ""

    campaign.launcher.__class__ = Troubled
    campaign.run()
    told = [e.text for e in Lines(campaign.place.journal) if isinstance(e, Trouble)]
    assert told == ["the scheduler is away", ""]
    assert campaign.study.trouble == ""
