"""Trials that are ended early: what is read, recorded and done, with a crash at every step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.launch.simulated import VirtualClock
from dsice.search.asynchronous import Dsice
from dsice.study.config import parse
from dsice.study.driver import Driver
from dsice.study.events import (
    AttemptBegan,
    AttemptEnded,
    EndAsked,
    Event,
    Proposed,
    Reported,
    Verdict,
)
from dsice.study.facts import Trial
from dsice.study.journal import Journal, Lines
from dsice.study.progress import Listener
from dsice.study.replay import replay
from dsice.study.state import Study
from dsice.study.task import Attempt, Status
from tests.dsice.study.machine import Crash, Machine, Workbench, quadratic

FULL = 16
TEXT = """
name = "curves"
minimize = "loss"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
[trial]
command = ["sh", "{{a}} {{b}}"]
[trial.progress]
step = "epoch"
full = 16
{more}
[run]
parallel = 4
trials = 24
"""


class Clock(VirtualClock):
    """Half an epoch passes at a time, however long a driver waits."""

    def sleep(self, seconds: float) -> None:
        self.skip(0.5)

    def skip(self, seconds: float) -> None:
        super().sleep(seconds)


class Trainings(Machine):
    """Trains in virtual time, an epoch a second, and goes on from the checkpoint in its folder.

    It outlives drivers. What it has run is in `epochs`, by point.
    """

    def __init__(self, pause: bool) -> None:
        super().__init__(Clock(1000.0), quadratic, seconds=0.0)
        self.pauses = pause
        self.epochs: dict[str, list[int]] = {}

    def submit(self, jobs: Sequence[JobFolder]) -> None:
        for job in jobs:
            self.step()
            job.claim("job")
            self.jobs[job] = self.clock.now()
            self.attached.add(job)
            self.step()

    def _pass(self) -> None:
        for job, begun in list(self.jobs.items()):
            spec = job.spec()
            a, b = map(int, spec.command[-1].split())
            epochs = self.epochs.setdefault(spec.command[-1], [])
            checkpoint = Path(spec.workdir, "checkpoint")
            while begun + 1 <= self.clock.now() and job in self.jobs:
                begun += 1
                done = int(checkpoint.read_text()) if checkpoint.exists() and self.pauses else 0
                epoch = (epochs[-1] if epochs and not self.pauses else done) + 1
                epochs.append(epoch)
                checkpoint.write_text(str(epoch))
                loss = (a - 3.0) ** 2 + (b - 6.0) ** 2 + 20 / epoch
                with job.progress.open("a") as file:
                    file.write(json.dumps({"epoch": epoch, "loss": loss}) + "\n")
                if epoch == FULL:
                    job.finish(Outcome(Kind.OK, metrics={"loss": loss}))
                    del self.jobs[job]
            if job in self.jobs:
                self.jobs[job] = begun

    def cancel(self, jobs: Sequence[JobFolder]) -> None:
        self.step()
        self._pass()  # it may have ended meanwhile
        super().cancel(jobs)
        self.step()


class Bench(Workbench):
    machine: Trainings
    clock: Clock

    def __init__(self, path: Path, more: str = "", pause: bool = False) -> None:
        text = TEXT.format(more=more + ("\npause = true" if pause else ""))
        super().__init__(path, text, Trainings(pause))

    def look(self) -> Study:
        return Study(self.config, self.place).apply(Lines(self.place.journal))


@pytest.mark.parametrize("pause", [False, True])
def test_some_trials_end_early(tmp_path: Path, pause: bool) -> None:
    bench = Bench(tmp_path, pause=pause)
    study = bench.run()
    assert len(study.trials) == 24
    done, stopped = study.with_status(Status.DONE), study.with_status(Status.STOPPED)
    assert len(done) + len(stopped) == 24
    assert len(stopped) > 4
    assert study.best.metrics["loss"] == min(trial.metrics["loss"] for trial in done)
    for trial in stopped:
        assert trial.metrics == {}
        assert trial.ending is not None
        assert str(trial.ending).startswith(f"at {trial.reports[-1].step:g} of 16: ")
    for key, epochs in bench.machine.epochs.items():
        assert epochs == list(range(1, len(epochs) + 1)), key
    assert {trial.number for trial in study.finished} == {trial.number for trial in done}
    resumed = [trial for trial in study.trials if len(trial.attempts) > 1]
    assert bool(resumed) <= pause
    again = bench.look()
    assert [t.status for t in again.trials] == [t.status for t in study.trials]
    assert [t.reports for t in again.trials] == [t.reports for t in study.trials]


def test_the_first_trials_of_one_worker_pause_and_come_to_their_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, pause=True)
    few = TEXT.replace("parallel = 4", "parallel = 1").replace("trials = 24", "trials = 2")
    bench.config = parse(few.format(more="pause = true"), tmp_path)
    study = bench.run()
    assert [trial.status for trial in study.trials] == [Status.DONE] * 2
    assert [len(trial.attempts) for trial in study.trials] == [2, 2]
    ends = [str(trial.attempts[0].ending) for trial in study.trials]
    assert ends == ["at 2 of 16: until others can be compared with it"] * 2
    for epochs in bench.machine.epochs.values():
        assert epochs == list(range(1, FULL + 1))


@pytest.mark.parametrize("pause", [False, True])
def test_a_search_hears_how_long_trials_ran_before_they_ended(tmp_path: Path, pause: bool) -> None:
    bench = Bench(tmp_path, pause=pause)
    study = Study(bench.config, bench.place)
    events: list[Event] = [
        Proposed(trial=1, params={"a": 1, "b": 2}),
        AttemptBegan(trial=1, attempt=1),
        Reported(trial=1, step=4, share=0.25, metrics={"loss": 1.0}),
        AttemptEnded(
            attempt=1,
            trial=1,
            verdict=Verdict.STOPPED,
            kind=Kind.CANCELLED,
            started=100.0,
            ended=105.0,
        ),
    ]
    last: list[Event] = [
        AttemptBegan(trial=1, attempt=2),
        AttemptEnded(
            attempt=2,
            trial=1,
            verdict=Verdict.DONE,
            kind=Kind.OK,
            metrics={"loss": 0.5},
            started=200.0,
            ended=212.0,
        ),
    ]
    for more, seconds in ((events, [5.0]), (last, [5.0, 17.0 if pause else 12.0])):
        study.apply(more)
        search = Dsice(bench.config.grid, study.goal, steps=[0.25, 0.5, 1.0], pause=pause)
        replay(search, study.calls, lambda known: known.metrics)
        heard = [event.seconds for event in search.ledger.events if event.seconds is not None]
        assert heard == seconds


def test_without_a_length_nothing_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.config = parse(TEXT.format(more="").replace("full = 16\n", ""), tmp_path)
    study = bench.run()
    assert len(study.with_status(Status.DONE)) == 24
    assert not [e for e in Lines(bench.place.journal) if isinstance(e, Reported | EndAsked)]


@pytest.mark.parametrize("pause", [False, True])
def test_a_crash_at_every_step(
    tmp_path: Path, pause: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the driver is killed, no epoch is run twice and every trial comes to its end."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no machine crashes here
    expected = 24
    steps = 0
    for crash_at in (3, 17, 40, 71, 113):
        bench = Bench(tmp_path / str(crash_at), pause=pause)
        count = 0
        crashes = 0

        def step(at: int = crash_at) -> None:
            nonlocal count, crashes
            count += 1
            if count % at == 0 and crashes < 3:
                crashes += 1
                raise Crash

        bench.machine.step = step

        def prepare(driver: Driver, journal: Journal) -> None:
            append = journal.append

            def appended(event: Event) -> Event:
                step()
                found = append(event)
                step()
                return found

            journal.append = appended  # type: ignore[assignment, method-assign]

        while True:
            try:
                study = bench.run(prepare)
                break
            except Crash:
                continue
        steps = max(steps, count)
        assert len(study.trials) == expected
        assert all(t.status in (Status.DONE, Status.STOPPED) for t in study.trials)
        for epochs in bench.machine.epochs.values():
            assert epochs == list(range(1, len(epochs) + 1))
        assert [t.status for t in bench.look().trials] == [t.status for t in study.trials]
    assert steps > 100


def test_a_trial_that_ends_by_itself_meanwhile_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    cancel = bench.machine.cancel

    def too_late(jobs: Sequence[JobFolder]) -> None:
        bench.clock.skip(FULL)
        cancel(jobs)

    bench.machine.cancel = too_late  # type: ignore[method-assign]
    study = bench.run()
    assert len(study.with_status(Status.DONE)) == 24
    assert any(attempt.ending for trial in study.trials for attempt in trial.attempts)


def test_reports_are_read_once_and_rubbish_is_passed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trial = Trial(study=Study(bench.config, bench.place), number=1, point=(0, 0))
    trial.attempts.append(Attempt(1, submitted=0.0))
    trial.job.path.mkdir(parents=True)
    listener = Listener(bench.config, bench.config.goal)
    assert listener.news(trial) == []
    with trial.job.progress.open("w") as file:
        file.write('{"epoch": 1, "loss": 4}\nrubbish\n[1]\n{"epoch": 2}\n{"epoch": 2, "lo')
    (first,) = listener.news(trial)
    assert (first.step, first.share, dict(first.metrics)) == (1.0, 1 / 16, {"loss": 4.0})
    trial.reports.append(first)
    with trial.job.progress.open("a") as file:
        file.write('ss": NaN}\n{"epoch": 1, "loss": 0}\n{"epoch": true, "loss": 0}\n')
    (second,) = listener.news(trial)
    assert second.step == 2.0
    assert second.metrics["loss"] >= 1e300
    assert math.isfinite(second.metrics["loss"])
    assert listener.news(trial) == []


def test_a_metric_may_have_another_key_in_progress_lines(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 'metrics = { loss = "val_loss" }')
    trial = Trial(study=Study(bench.config, bench.place), number=1, point=(0, 0))
    trial.attempts.append(Attempt(1, submitted=0.0))
    trial.job.path.mkdir(parents=True)
    trial.job.progress.write_text('{"epoch": 1, "loss": 4}\n{"epoch": 2, "val_loss": 3}\n')
    (report,) = Listener(bench.config, bench.config.goal).news(trial)
    assert (report.step, dict(report.metrics)) == (2.0, {"loss": 3.0})
    with pytest.raises(InvalidInput, match="'acc' is no metric of the goal"):
        Bench(tmp_path, 'metrics = { acc = "val_acc" }')


def test_a_trial_that_diverges_is_heard_at_once_and_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trial = Trial(study=Study(bench.config, bench.place), number=1, point=(0, 0))
    trial.attempts.append(Attempt(1, submitted=0.0))
    trial.job.path.mkdir(parents=True)
    lines = [(9, "1"), (10, "NaN"), (10.5, "NaN"), (16, "NaN")]
    text = "".join(f'{{"epoch": {epoch}, "loss": {loss}}}\n' for epoch, loss in lines)
    trial.job.progress.write_text(text)
    heard = Listener(bench.config, bench.config.goal).news(trial)
    assert [report.step for report in heard] == [9, 10, 16]


def test_what_a_study_file_may_say(tmp_path: Path) -> None:
    for more, wrong in (
        ("end_below = 1", "end_below"),
        ("end_below = -0.1", "end_below"),
        ("pause = 3", "pause"),
    ):
        with pytest.raises(InvalidInput, match=wrong):
            Bench(tmp_path, more)
    for full, wrong in (("0", "full"), ('"c"', "'c'")):
        with pytest.raises(InvalidInput, match=wrong):
            parse(TEXT.format(more="").replace("full = 16", f"full = {full}"), tmp_path)
    with pytest.raises(InvalidInput, match="dsice-2018"):
        parse(TEXT.format(more="").replace("[grid]", 'search = "dsice-2018"\n[grid]'), tmp_path)
