from __future__ import annotations

import pytest

from dsice.launch.job import Kind, Outcome
from dsice.study.state import Attempt, Verdict
from dsice.study.verdict import MAX_LOST, judge

FAILURES = [Kind.EXIT, Kind.SIGNAL, Kind.TIMEOUT, Kind.NO_METRICS, Kind.NOT_STARTED]


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
    assert judge(outcome, earlier(Kind.LOST, Kind.NOT_BEGUN, Kind.CANCELLED), 1, []) == (
        Verdict.AGAIN,
        "why",
    )


def test_what_is_no_fault_of_the_program() -> None:
    for kind in (Kind.CANCELLED, Kind.NOT_BEGUN):
        assert judge(Outcome(kind, "w"), earlier(*[kind] * 50), 0, [])[0] is Verdict.AGAIN
    lost = Outcome(Kind.LOST, "w")
    assert judge(lost, earlier(*[Kind.LOST] * (MAX_LOST - 1)), 0, [])[0] is Verdict.AGAIN
    assert judge(lost, earlier(*[Kind.LOST] * MAX_LOST), 0, [])[0] is Verdict.FAILED


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
