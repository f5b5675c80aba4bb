"""The driver in virtual time: slots kept busy, budgets kept, and a crash at every single step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import Interrupted, InvalidInput, LaunchError, StageFailed
from dsice.explain.moment import search_before
from dsice.grid import Point
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.search.base import Search
from dsice.study.driver import Driver
from dsice.study.events import AttemptEnded, Event
from dsice.study.journal import Journal, Lines
from dsice.study.state import Study
from dsice.study.stop import Stop
from dsice.study.task import Status
from tests.dsice.study.machine import Bench, Crash, Machine, quadratic, results


def test_a_whole_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    study = bench.run()
    assert bench.machine.calls[0] == "stage"
    assert len(study.trials) == 25
    assert len(set(bench.machine.calls)) == len(bench.machine.calls) == 26
    assert bench.machine.busiest == 4
    assert study.sessions[-1].why == "the budget of 25 trials is used"
    assert str(study.goal) == "minimize y subject to z <= 8"
    assert study.goal.feasible(study.best.metrics)
    assert all(trial.folder.params.exists() for trial in study.trials)


def test_slots_are_refilled_as_they_fall_free(tmp_path: Path) -> None:
    # Every fifth trial takes ten times as long; nobody waits for it.
    bench = Bench(tmp_path, search="random", run="parallel = 4\ntrials = 40")
    bench.machine = machine = Machine(bench.clock, quadratic)
    submit = machine.submit

    def uneven(jobs: Sequence[JobFolder]) -> None:
        submit(jobs)
        for job in jobs:
            if len(machine.calls) % 5 == 0:
                machine.jobs[job] += 90.0

    machine.submit = uneven  # type: ignore[method-assign]
    study = bench.run()
    ended = [e for e in Lines(bench.place.journal) if isinstance(e, AttemptEnded)]
    ends = {event.trial: event.t for event in ended}
    starts = {trial.number: trial.attempts[0].submitted for trial in study.trials}
    for moment in starts.values():
        after = moment + 1.0  # polls come at most a quarter of a second apart
        busy = sum(starts[number] <= after < ends[number] for number in starts)
        assert busy == 4 or after >= max(starts.values())


def test_resuming_with_a_larger_budget(tmp_path: Path) -> None:
    bench = Bench(tmp_path, run="parallel = 2\ntrials = 6")
    assert len(bench.run().trials) == 6
    calls = len(bench.machine.calls)
    bench.run()
    assert len(bench.machine.calls) == calls
    more = Bench(tmp_path, run="parallel = 2\ntrials = 9")
    study = more.run()
    assert len(study.trials) == 9
    assert len(more.machine.calls) == 3
    assert len(study.sessions) == 3


def test_hours(tmp_path: Path) -> None:
    bench = Bench(tmp_path, run="parallel = 1\nhours = 0.01")  # 36 s
    study = bench.run()
    # The stage and then trials of 10 s each: the last one begins before the limit, and ends.
    assert 3 <= len(study.trials) <= 4
    assert all(trial.status is Status.DONE for trial in study.trials)
    assert study.sessions[-1].why == "the 0.01 hours are over"
    again = bench.run()
    assert len(again.trials) == len(study.trials)


def test_the_search_knows_how_long_trials_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and from the journal."""
    told: list[float | None] = []
    tell = Search.tell

    def listen(search: Search, point: Point, metrics: Any, *, seconds: float | None = None) -> None:
        told.append(seconds)
        tell(search, point, metrics, seconds=seconds)

    def program(argument: str) -> Outcome:
        took = 3.0 if argument == "stage" else 3.0 + int(argument.split()[0])
        return replace(quadratic(argument), started=1000.0, ended=1000.0 + took)

    monkeypatch.setattr(Search, "tell", listen)
    bench = Bench(tmp_path, program, search="dsice", run="parallel = 1\nhours = 0.025")  # 90 s
    study = bench.run()
    at_once = list(told)
    assert at_once == [3.0 + trial.point[0] for trial in study.trials]
    again = search_before(study, None)
    assert [again.history.seconds(trial.point) for trial in study.trials] == at_once
    assert again.ask(3) == search_before(study, None).ask(3)


def test_the_search_ends_before_the_budget(tmp_path: Path) -> None:
    study = Bench(tmp_path, run="parallel = 3").run()
    assert len(study.trials) < 100
    assert study.sessions[-1].why == "no line through the best point leads to a better one"


def test_failures_are_learned_and_retried(tmp_path: Path) -> None:
    def moody(argument: str) -> Outcome:
        bad = argument != "stage" and argument[0] in "13579"
        return Outcome(Kind.EXIT, "exit code 1") if bad else quadratic(argument)

    study = Bench(tmp_path, moody, trial="retries = 2").run()
    failed = study.with_status(Status.FAILED)
    assert failed
    assert all(trial.params["a"] in (1, 3, 5, 7, 9) for trial in failed)
    assert all(len(trial.attempts) == 3 for trial in failed)
    assert all(len(trial.attempts) == 1 for trial in study.with_status(Status.DONE))


def test_a_failed_stage_stops_the_study_and_is_tried_anew(tmp_path: Path) -> None:
    broken = Bench(tmp_path, lambda argument: Outcome(Kind.EXIT, "exit code 1: no compiler"))
    for _ in range(2):
        with pytest.raises(StageFailed, match="stage 'first' failed: exit code 1: no compiler"):
            broken.run()
    assert broken.machine.calls == ["stage", "stage"]
    assert len(Bench(tmp_path).run().trials) == 25


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Outcome(Kind.OK, metrics={"x": 1.0}), "metric 'y' is not in its result; found: x"),
        (Outcome(Kind.NOT_STARTED, "cannot start 'p': gone"), "cannot start 'p': gone"),
    ],
)
def test_a_study_at_fault_stops_and_loses_nothing(
    tmp_path: Path, outcome: Outcome, message: str
) -> None:
    bench = Bench(tmp_path, lambda a: quadratic(a) if a == "stage" else outcome)
    with pytest.raises(InvalidInput, match=message):
        bench.run()
    mended = Bench(tmp_path)
    study = mended.run()
    assert study.with_status(Status.DONE) == study.trials
    assert len(set(mended.machine.calls)) == len(mended.machine.calls) == 25


def test_a_trial_without_the_metric_among_others_only_fails(tmp_path: Path) -> None:
    def program(argument: str) -> Outcome:
        lacks = argument.startswith("5 4")
        return Outcome(Kind.OK, metrics={"z": 1.0}) if lacks else quadratic(argument)

    study = Bench(tmp_path, program, search="random", run="parallel = 4").run()
    assert [trial.params for trial in study.with_status(Status.FAILED)] == [{"a": 5, "b": 4}]


@pytest.mark.parametrize("fault", ["", "the disk quota was used up"])
def test_jobs_that_never_begin_end_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    bench = Bench(tmp_path)
    submit = bench.machine.submit

    def revoked(jobs: Sequence[JobFolder]) -> None:
        for job in jobs:
            job.revoke()
        submit(jobs)

    def poll() -> dict[JobFolder, JobState]:
        states = dict.fromkeys(bench.machine.attached, JobState.REVOKED)
        bench.machine.attached.clear()
        return states

    monkeypatch.setattr(bench.machine, "submit", revoked)
    monkeypatch.setattr(bench.machine, "poll", poll)
    monkeypatch.setattr("dsice.study.jobs.fault_in", lambda folder: fault)
    why = f"{fault}: not begun" if fault else "not begun"
    with pytest.raises(LaunchError, match=f"before they begin, 3 in a row. Of the last: {why}; "):
        bench.run()
    assert not bench.machine.calls


def test_draining(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def stop_after_two(driver: Driver, journal: Journal) -> None:
        driver._on_change = lambda s: driver.stop(Stop.DRAIN) if len(s.finished) > 1 else None

    with pytest.raises(Interrupted, match="nothing runs any more"):
        bench.run(stop_after_two)
    stopped = Study(bench.config, bench.place).apply(Lines(bench.place.journal))
    assert len(stopped.with_status(Status.DONE)) == len(stopped.trials) >= 2
    assert "stopped on request" in stopped.sessions[-1].why
    bench.run()
    assert len(set(bench.machine.calls)) == len(bench.machine.calls)


def test_cancelling(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def stop_after_two(driver: Driver, journal: Journal) -> None:
        driver._on_change = lambda s: driver.stop(Stop.CANCEL) if len(s.finished) > 1 else None

    with pytest.raises(Interrupted, match="begins again on resumption"):
        bench.run(stop_after_two)
    assert not bench.machine.jobs
    study = bench.run()
    assert len(study.with_status(Status.DONE)) == 25


def test_several_trials_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slot gets its trials at once, and none before all of them have ended."""
    run = 'parallel = 2\nper_job = 3\ntrials = 22\non = "slurm"\nslurm = { time = 60 }'
    bench = Bench(tmp_path, search="random", run=run)
    submit = bench.machine.submit
    batches: list[tuple[int | None, int]] = []

    def noted(jobs: Sequence[JobFolder]) -> None:
        submit(jobs)
        slots = [job.spec().slot for job in jobs]
        batches.extend((slot, len(list(group))) for slot, group in groupby(slots))

    monkeypatch.setattr(bench.machine, "submit", noted)
    study = bench.run()
    assert len(study.with_status(Status.DONE)) == 22
    # At last, four trials are left for two slots.
    assert batches == [(None, 1), *[(slot, 3) for slot in [0, 1] * 3], (0, 2), (1, 2)]
    assert bench.machine.busiest == 6
    assert {trial.capacity for trial in study.trials} == {6}
    assert study.sessions[-1].per_job == 3


def test_a_batch_job_that_never_begins_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = 'parallel = 1\nper_job = 5\ntrials = 25\non = "slurm"\nslurm = { time = 60 }'
    bench = Bench(tmp_path, run=run)
    submit, poll, sizes = bench.machine.submit, bench.machine.poll, []

    def revoked(jobs: Sequence[JobFolder]) -> None:
        if jobs[0].spec().slot is not None:
            sizes.append(len(jobs))
            for job in jobs:
                job.revoke()
        submit(jobs)

    def states() -> dict[JobFolder, JobState]:
        if not sizes:
            return poll()
        found = dict.fromkeys(bench.machine.attached, JobState.REVOKED)
        bench.machine.attached.clear()
        return found

    monkeypatch.setattr(bench.machine, "submit", revoked)
    monkeypatch.setattr(bench.machine, "poll", states)
    with pytest.raises(LaunchError, match="before they begin, 3 in a row"):
        bench.run()
    assert sizes == [5, 5, 5]


TOGETHER = 'parallel = 2\nper_job = 2\ntrials = 8\non = "slurm"\nslurm = { time = 60 }'


@pytest.mark.parametrize(
    ("search", "run"),
    [
        ("dsice-2018", "parallel = 3\ntrials = 8"),
        ("dsice-2024", "parallel = 3\ntrials = 8"),
        ("random", "parallel = 3\ntrials = 8"),
        ("random", TOGETHER),
    ],
)
def test_a_crash_at_every_step(
    tmp_path: Path, search: str, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no machine crashes here

    def bench_at(name: str) -> Bench:
        return Bench(tmp_path / name, search=search, run=run)

    unbroken = bench_at("unbroken")
    expected = results(unbroken.run())
    crash_at, crashed = 0, True
    while crashed:
        bench, countdown, crashed = bench_at(f"crash-{crash_at}"), [crash_at], False

        def step(countdown: list[int] = countdown) -> None:
            countdown[0] -= 1
            if countdown[0] < 0:
                raise Crash

        def prepare(
            driver: Driver,
            journal: Journal,
            step: Callable[[], None] = step,
            machine: Machine = bench.machine,
        ) -> None:
            append = journal.append

            def fragile(event: Event) -> Event:
                step()
                entry = append(event)
                step()
                return entry

            journal.append = fragile  # type: ignore[method-assign, assignment]
            machine.step = step

        try:
            study = bench.run(prepare)
        except Crash:
            crashed = True
            bench.machine.step = lambda: None
            study = bench.run()
        assert results(study) == expected
        assert sorted(bench.machine.calls) == sorted(unbroken.machine.calls)
        crash_at += 1
    assert crash_at > 60
