"""A machine that breaks down does not eat the budget; points that fail are still learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.launch.job import Kind, Outcome
from dsice.study.config import parse
from dsice.study.events import Voided
from dsice.study.journal import Lines
from dsice.study.task import Status
from tests.dsice.study.outages import (
    GONE,
    Campaign,
    breaks_after,
    good,
    mend,
    points,
)

pytestmark = pytest.mark.usefixtures("no_flushing")


@pytest.mark.parametrize("parallel", [1, 4, 30])
@pytest.mark.parametrize("after", [0, 5])
def test_a_program_that_disappears_costs_nothing(tmp_path: Path, parallel: int, after: int) -> None:
    campaign = Campaign(tmp_path, breaks_after(after), f"parallel = {parallel}\ntrials = 30")
    study, message = campaign.gives_up()
    failed = len(campaign.calls) - after
    assert 5 <= failed < 5 + parallel
    assert message.startswith(f"{failed} trials in a row failed alike: {GONE.reason}\n")
    assert "They do not count" in message
    assert study.sessions[-1].why == message.partition("\n")[0]
    assert study.with_status(Status.FAILED) == []
    assert len(study.with_status(Status.WAITING)) == failed
    assert len(study.finished) == sum(ended for _, ended in study.history) == after
    assert all(not trial.reason for trial in study.trials)
    mend(campaign)
    study = campaign.run()
    assert len(study.with_status(Status.DONE)) == len(study.trials) == 30
    assert len(campaign.calls) == 30 + failed
    whole = Campaign(tmp_path / "whole", lambda a, b, n: good(a, b), f"parallel = {parallel}")
    whole.place.path.mkdir()
    unbroken = whole.run()
    assert points(study) == points(unbroken)[:30]


def test_running_on_without_mending_gives_up_again(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 30")
    for session in range(1, 4):
        study, _ = campaign.gives_up()
        assert len(study.trials) == 10
        assert len(campaign.calls) == 5 + 5 * session


@pytest.mark.parametrize(
    "outcome",
    [
        GONE,
        Outcome(Kind.SIGNAL, "killed by SIGSEGV"),
        Outcome(Kind.OUT_OF_MEMORY, "killed for using more memory than it may"),
        Outcome(Kind.NOT_STARTED, "cannot start 'prog': No such file or directory"),
        Outcome(Kind.NO_METRICS, "its output has no JSON object of metrics"),
        Outcome(Kind.LOST, "the disk quota was used up: exit code 2"),
    ],
)
def test_every_kind_of_failure(tmp_path: Path, outcome: Outcome) -> None:
    campaign = Campaign(tmp_path, breaks_after(5, outcome), "trials = 30")
    study, message = campaign.gives_up()
    assert outcome.reason in message
    assert len(study.with_status(Status.DONE)) == 5
    assert not study.with_status(Status.FAILED)
    assert len(campaign.calls) == 10


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Kind.PREEMPTED, "preempted"),
        Outcome(Kind.OK, others={"y": "NaN"}, metrics={}),
    ],
)
def test_ends_that_say_nothing_of_the_machine(tmp_path: Path, outcome: Outcome) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return (outcome, 0.5) if 5 < n <= 30 else good(a, b)

    study = Campaign(tmp_path, program, "trials = 40").run()
    assert len(study.finished) == 40


def test_words_are_compared_without_their_numbers(tmp_path: Path) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        words = f"exit code 1: [{n}:0x{n:x}] no licence, {n / 7} s, /trials/{n:05d}/x"
        return Outcome(Kind.EXIT, words), 0.1

    assert len(Campaign(tmp_path, program, "trials = 30").gives_up()[0].trials) == 5


def test_failures_that_are_not_alike_are_the_points_own(tmp_path: Path) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return Outcome(Kind.EXIT, "exit code 1: bad " + "ab"[n % 2] * (1 + n % 3)), 0.1

    study = Campaign(tmp_path, program, "trials = 30").run()
    assert len(study.with_status(Status.FAILED)) == 30


@pytest.mark.parametrize("parallel", [1, 8])
@pytest.mark.parametrize("share", [2, 4, 5])
def test_points_that_fail_among_others_are_learned(
    tmp_path: Path, parallel: int, share: int
) -> None:
    """However many in a row: such failures are known from points among measured ones."""

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        bad = n > 2 and (n == 3 or (a * 7 + b * 3) % 10 < share)
        return (Outcome(Kind.EXIT, "exit code 1: out of bounds"), 0.5) if bad else good(a, b)

    study = Campaign(tmp_path, program, f"parallel = {parallel}\ntrials = 100").run()
    assert len(study.with_status(Status.FAILED)) >= 10 * share - 2


def test_what_has_always_failed_now_and_then_is_an_outage_all_the_same(tmp_path: Path) -> None:
    """It takes more in a row, but not the whole budget."""

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return (GONE, 0.5) if n % 3 == 0 or n > 12 else good(a, b)

    study, _ = Campaign(tmp_path, program, "trials = 100").gives_up()
    assert len(study.with_status(Status.FAILED)) == 3
    assert 17 < len(study.trials) < 25


def test_at_the_start_bad_points_end_first(tmp_path: Path) -> None:
    """Of 40 at once six fail soon, before anything is measured: the others are waited for."""

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return (GONE, 10.0) if n in (2, 3, 9, 20, 21, 30) else good(a, b, 1000.0)

    campaign = Campaign(tmp_path, program, "parallel = 40\ntrials = 60")
    study = campaign.run()
    assert len(study.with_status(Status.FAILED)) == 6
    # All slots were busy again long before the others ended.
    late = [trial for trial in study.trials if trial.number > 40]
    assert sum(trial.attempts[0].submitted < 1500 for trial in late) == 6


def test_nothing_is_begun_while_it_is_not_sure(tmp_path: Path) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return good(a, b, 1000.0) if n in (1, 10) else (GONE, 10.0)

    campaign = Campaign(tmp_path, program, "parallel = 10\ntrials = 80")
    study, _ = campaign.gives_up()
    # The tenth began among those that failed, and lives longer than they did: a row of eight is no
    # outage, and it goes on until one is too long for points that fail so often.
    begun = [trial.attempts[0].submitted for trial in study.trials]
    assert begun[10] > begun[9] + 20
    assert len(study.with_status(Status.DONE)) == 2
    assert 40 < len(study.trials) < 60


def test_a_broken_host_is_named(tmp_path: Path) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        host = f"node{n % 4}"
        if n > 8 and host == "node3":
            return replace(GONE, host=host), 0.5
        return good(a, b, 5.0, host=host)

    campaign = Campaign(tmp_path, program, "parallel = 4\ntrials = 100")
    study, message = campaign.gives_up()
    assert "All of them ran on node3, and trials on other machines were measured." in message
    assert {trial.attempts[-1].host for trial in study.finished} == {f"node{k}" for k in range(4)}
    (event,) = [event for event in Lines(campaign.place.journal) if isinstance(event, Voided)]
    assert event.host == "node3"
    assert len(event.attempts) == 5
    assert len(study.with_status(Status.WAITING)) == 5


def test_tries_of_one_trial_are_no_row(tmp_path: Path) -> None:
    bad: list[tuple[int, int]] = []

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        bad.extend([(a, b)] if n == 6 else [])
        return (GONE, 0.5) if (a, b) in bad else good(a, b)

    study = Campaign(tmp_path, program, "trials = 30", trial="retries = 20").run()
    assert len(study.with_status(Status.FAILED)) == 1
    assert len(study.with_status(Status.DONE)) == 29


def test_accidents_of_one_trial_are_void_and_no_failure(tmp_path: Path) -> None:
    lost = Outcome(Kind.LOST, "the disk was full: exit code 2")
    campaign = Campaign(tmp_path, breaks_after(5, lost), "trials = 8")
    study, _ = campaign.gives_up()
    assert len(campaign.calls) == 10
    mend(campaign)
    study = campaign.run()
    assert [len(trial.attempts) for trial in study.trials[5:7]] == [5, 2]
    assert len(study.with_status(Status.DONE)) == 8


def test_void_tries_do_not_use_up_retries(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5), "trials = 12", trial="retries = 1")
    campaign.gives_up()
    calls = len(campaign.calls)
    campaign.program = lambda a, b, n: (GONE, 500.0) if n == calls + 1 else good(a, b)
    study = campaign.run()
    assert len(study.with_status(Status.DONE)) == 12
    assert len(study.trials[5].attempts) == 4


def test_slow_failures_are_the_points_own_once_something_was_measured(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, breaks_after(5, GONE, 90.0), "trials = 30")
    assert len(campaign.run().with_status(Status.FAILED)) == 25


def test_failures_of_before_still_count_when_the_driver_gives_up(tmp_path: Path) -> None:
    """Void are those of the row, and what fails so while the driver waits for what runs."""

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        if n == 11:
            return GONE, 500.0
        return (GONE, 0.5) if n == 3 or n > 12 else good(a, b)

    study, _ = Campaign(tmp_path, program, "parallel = 2\ntrials = 100").gives_up()
    assert [trial.number for trial in study.with_status(Status.FAILED)] == [3]


def test_slow_failures_at_the_start_are_an_outage(tmp_path: Path) -> None:
    slow = Outcome(Kind.TIMEOUT, "not finished within its time limit of 600 s")
    study, message = Campaign(tmp_path, breaks_after(0, slow, 600.0), "trials = 30").gives_up()
    assert len(study.trials) == 5
    assert "Is 'timeout' long enough?" in message


def test_a_tenth_of_the_usual_time_is_quick(tmp_path: Path) -> None:
    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return good(a, b, 30_000.0) if n <= 5 else (GONE, 2000.0)

    assert len(Campaign(tmp_path, program, "trials = 30").gives_up()[0].trials) == 10


@pytest.mark.parametrize(("few", "trials"), [(1, 6), (3, 8), (7, 12)])
def test_how_many_in_a_row(tmp_path: Path, few: int, trials: int) -> None:
    run = f"trials = 30\nmax_consecutive_failures = {few}"
    assert len(Campaign(tmp_path, breaks_after(5), run).gives_up()[0].trials) == trials


@pytest.mark.parametrize(
    "outcome", [GONE, Outcome(Kind.NOT_STARTED, "gone"), Outcome(Kind.OK, metrics={"x": 1.0})]
)
def test_never(tmp_path: Path, outcome: Outcome) -> None:
    run = "trials = 30\nmax_consecutive_failures = 0"
    study = Campaign(tmp_path, breaks_after(0, outcome), run).run()
    assert len(study.with_status(Status.FAILED)) == 30


def test_a_program_that_ends_well_without_metrics_after_long_work(tmp_path: Path) -> None:
    """Its metrics are forgotten at every point; a quick one might be right at others."""
    silent = Outcome(Kind.NO_METRICS, "it wrote no metrics: neither a result file nor any output")
    campaign = Campaign(tmp_path, breaks_after(0, silent, 3600.0), "trials = 30")
    with pytest.raises(InvalidInput, match="it wrote no metrics"):
        campaign.run()
    assert len(campaign.calls) == 1
    assert [trial.status for trial in campaign.look().trials] == [Status.WAITING]


def test_a_program_that_a_parameter_names(tmp_path: Path) -> None:
    absent = Outcome(Kind.NOT_STARTED, "cannot start 'clang': No such file or directory")

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return good(a, b) if a % 2 else (absent, 0.1)

    campaign = Campaign(tmp_path, program, "trials = 30")
    text = campaign.config.text.replace('["sh", "{a}", "{b}"]', '["{a}", "{a}", "{b}"]')
    campaign.config = parse(text, tmp_path)
    study = campaign.run()
    assert study.with_status(Status.DONE)
    assert study.with_status(Status.FAILED)


@pytest.mark.parametrize("trials", [2, 4])
def test_a_small_budget_that_measured_nothing(tmp_path: Path, trials: int) -> None:
    campaign = Campaign(tmp_path, breaks_after(0), f"trials = {trials}")
    message = campaign.gives_up()[1]
    assert message.startswith(f"{trials} trials in a row failed alike")
    mend(campaign)
    assert len(campaign.run().with_status(Status.DONE)) == trials


def test_a_single_failure_is_no_row(tmp_path: Path) -> None:
    study = Campaign(tmp_path, breaks_after(0), "trials = 1").run()
    assert [trial.status for trial in study.trials] == [Status.FAILED]


def test_what_runs_when_the_driver_gives_up_is_waited_for(tmp_path: Path) -> None:
    """It began before, and its results are worth having; what fails in the same way is void."""

    def program(a: int, b: int, n: int) -> tuple[Outcome, float]:
        return good(a, b, 5000.0) if n in (1, 3) else (GONE, 6000.0 if n == 2 else 1.0)

    campaign = Campaign(tmp_path, program, "parallel = 6\ntrials = 50")
    study, _ = campaign.gives_up()
    assert campaign.clock.now() >= 7000
    assert len(study.with_status(Status.DONE)) == 2
    assert not study.with_status(Status.FAILED)
    assert len(study.trials) == len(campaign.calls) < 15
    assert study.trouble.startswith("begins no more trials: ")
