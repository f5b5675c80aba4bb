"""The best trials once more at full length."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.errors import Interrupted, InvalidInput
from dsice.launch.job import Kind, Outcome
from dsice.launch.simulated import VirtualClock
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.finalists import Comparison
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status
from tests.dsice.study.machine import Machine

TEXT = """
name = "short"
minimize = "y"
subject_to = ["z <= 15"]
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
[trial]
command = ["sh", "short {{a}} {{b}}"]
[finalists]
trials = {finalists}
command = ["sh", "{{trial}}", "long {{a}} {{b}}"]
[run]
parallel = 3
trials = {trials}
"""


def result(argument: str) -> Outcome:
    """Long runs prefer b = 4, short ones b = 6."""
    kind, *values = argument.split()
    a, b = map(int, values)
    best = 6.0 if kind == "short" else 4.0
    return Outcome(Kind.OK, metrics={"y": (a - 3.0) ** 2 + (b - best) ** 2, "z": float(a + b)})


class Bench:
    def __init__(self, path: Path, finalists: int = 4, trials: int = 24) -> None:
        path.mkdir(exist_ok=True)
        self.config = parse(TEXT.format(finalists=finalists, trials=trials), path)
        self.place = StudyDirectory.at(path)
        self.clock = VirtualClock(1000.0)
        self.machine = Machine(self.clock, result)

    def run(self, stop_at: int | None = None) -> Study:
        self.machine.attached.clear()
        with Journal(self.place.journal, self.clock.now) as journal:
            study = Study(self.config, self.place).apply(journal.replay())
            driver = Driver(study, self.config.run, journal, self.machine, self.clock)
            if stop_at is not None:
                driver._on_change = lambda s: (
                    driver.stop(Stop.DRAIN) if len(s.finalists) >= stop_at else None
                )
            return driver.run()


def test_the_best_few_run_once_more_and_the_best_of_them_is_the_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    study = bench.run()
    assert len(study.finalists) == 4
    assert all(finalist.status is Status.DONE for finalist in study.finalists.values())
    assert len(bench.machine.calls) == 28
    first = next(iter(study.finalists.values()))
    assert first.job.spec().command[1] == str(first.trial.folder.work)
    short = sorted(trial.metrics["y"] for trial in study.trials)
    assert [f.trial.metrics["y"] for f in Comparison.of(study).finalists][:2] == short[:2]
    compared = Comparison.of(study)
    assert compared.best is not None
    longs = [finalist.metrics["y"] for finalist in compared.finalists]
    assert compared.best.metrics["y"] == min(longs)
    assert "rank correlation" in compared.verdict
    assert compared.low is not None
    assert compared.high is not None
    assert compared.low <= (compared.correlation or 0.0) <= compared.high
    assert study.best.metrics["y"] == short[0]  # the trials are as they were

    again = Study(bench.config, bench.place).apply(Lines(bench.place.journal))
    assert Comparison.of(again).as_json() == compared.as_json()
    assert len(bench.run().finalists) == 4
    assert len(bench.machine.calls) == 28


def test_finalists_go_on_after_a_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(Interrupted):
        bench.run(stop_at=1)
    study = bench.run()
    assert [f.status for f in study.finalists.values()] == [Status.DONE] * 4
    assert len(set(bench.machine.calls)) == len(bench.machine.calls) == 28


def test_with_more_trials_there_are_other_finalists(tmp_path: Path) -> None:
    assert len(Bench(tmp_path, 2, 6).run().finalists) == 2
    more = Bench(tmp_path, 2, 40).run()
    assert 2 <= len(more.finalists) <= 4
    compared = Comparison.of(more)
    assert compared.correlation is None or len(compared.finalists) > 2


def test_few_finalists_say_little(tmp_path: Path) -> None:
    two = Comparison.of(Bench(tmp_path / "2", 2).run())
    assert two.verdict.startswith("Too few")
    three = Comparison.of(Bench(tmp_path / "3", 3).run())
    assert three.correlation is None or "nothing can be concluded" in three.verdict


def test_what_a_study_file_may_say(tmp_path: Path) -> None:
    text = TEXT.format(finalists=3, trials=9)
    for before, after, wrong in (
        ("trials = 3", "trials = 0", "finalists.trials"),
        ("{trial}", "{stage.x}", r"\[finalists\]"),
        ('minimize = "y"', 'minimize = ["y", "z"]', "best few"),
    ):
        assert before in text
        with pytest.raises(InvalidInput, match=wrong):
            parse(text.replace(before, after, 1), tmp_path)
