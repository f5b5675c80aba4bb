"""What follows from the end of a job: the rules, without the doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dsice.launch.job import Kind, Outcome
from dsice.study.state import Attempt, Verdict

MAX_LOST: Final = 3
"""How often a job may vanish, through no fault of its program, before its trial is given up."""


def judge(
    outcome: Outcome, earlier: Sequence[Attempt], retries: int, needed: Sequence[str]
) -> tuple[Verdict, str]:
    """The verdict on a job, and the reason if it did not measure what it should.

    Args:
        outcome: how it ended.
        earlier: the attempts before it.
        retries: how often a failure of the program is tried again.
        needed: names of the metrics that it must have returned.
    """
    reason = outcome.reason or _lacking(outcome, needed)
    if not reason:
        return Verdict.DONE, ""
    match outcome.kind:
        case Kind.CANCELLED | Kind.NOT_BEGUN:
            return Verdict.AGAIN, reason
        case Kind.LOST:
            lost = sum(attempt.kind is Kind.LOST for attempt in earlier) + 1
            return (Verdict.FAILED if lost > MAX_LOST else Verdict.AGAIN), reason
    spared = (Kind.CANCELLED, Kind.NOT_BEGUN, Kind.LOST)
    failures = sum(attempt.kind not in spared for attempt in earlier) + 1
    return (Verdict.FAILED if failures > retries else Verdict.AGAIN), reason


def _lacking(outcome: Outcome, needed: Sequence[str]) -> str:
    metrics = outcome.metrics or {}
    for name in needed:
        if name in outcome.others:
            return f"metric {name!r} is {outcome.others[name]}, not a finite number"
        if name not in metrics:
            found = ", ".join([*metrics, *outcome.others]) or "none"
            return f"metric {name!r} is not in its result; found: {found}"
    return ""
