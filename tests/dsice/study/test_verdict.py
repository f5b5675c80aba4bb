from __future__ import annotations

import pytest

from dsice.launch.job import Kind, Outcome
from dsice.study.events import Verdict
from dsice.study.task import Attempt
from dsice.study.verdict import MAX_LOST, judge

FAILURES = [
    Kind.EXIT,
    Kind.SIGNAL,
    Kind.TIMEOUT,
    Kind.NO_METRICS,
    Kind.NOT_STARTED,
    Kind.OUT_OF_MEMORY,
]
SPARED = [Kind.CANCELLED, Kind.NOT_BEGUN, Kind.PREEMPTED]
ACCIDENTS = [Kind.LOST, Kind.NODE_FAILED]


def earlier(*kinds: Kind) -> list[Attempt]:
    return [Attempt(n, 0.0, Verdict.AGAIN, kind) for n, kind in enumerate(kinds, 1)]


def test_well_done() -> None:
    outcome = Outcome(Kind.OK, metrics={"y": 1.0, "z": 2.0})
    assert judge(outcome, [], 0, ["y"]) == (Verdict.DONE, "")


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_tried_again_as_often_as_asked(kind: Kind) -> None:
    outcome = Outcome(kind, "why")
    assert judge(outcome, [], 0, []) == (Verdict.FAILED, "why")
    assert judge(outcome, [], 1, []) == (Verdict.AGAIN, "why")
    assert judge(outcome, earlier(kind), 1, []) == (Verdict.FAILED, "why")
    assert judge(outcome, earlier(*ACCIDENTS, *SPARED), 1, []) == (Verdict.AGAIN, "why")


@pytest.mark.parametrize("kind", SPARED)
def test_what_says_nothing_about_a_trial(kind: Kind) -> None:
    assert judge(Outcome(kind, "w"), earlier(*[kind] * 50), 0, [])[0] is Verdict.AGAIN


@pytest.mark.parametrize("kind", ACCIDENTS)
def test_accidents_are_counted_together(kind: Kind) -> None:
    accidents = (ACCIDENTS * MAX_LOST)[:MAX_LOST]
    assert judge(Outcome(kind, "w"), earlier(*accidents[1:], *SPARED), 0, [])[0] is Verdict.AGAIN
    assert judge(Outcome(kind, "w"), earlier(*accidents), 9, [])[0] is Verdict.FAILED


def test_what_somebody_removed_is_not_tried_again() -> None:
    assert judge(Outcome(Kind.REMOVED, "w"), [], 9, []) == (Verdict.FAILED, "w")


def test_every_end_has_a_rule() -> None:
    assert {*FAILURES, *SPARED, *ACCIDENTS, Kind.REMOVED, Kind.OK} == set(Kind)


def test_metrics_that_are_not_there() -> None:
    outcome = Outcome(Kind.OK, metrics={"z": 2.0}, others={"y": "NaN"})
    assert judge(outcome, [], 0, ["y"]) == (
        Verdict.FAILED,
        "metric 'y' is NaN, not a finite number",
    )
    assert judge(outcome, [], 0, ["x"]) == (
        Verdict.FAILED,
        "metric 'x' is not in its result; found: z, y",
    )
    assert judge(outcome, [], 0, ["z"]) == (Verdict.DONE, "")
