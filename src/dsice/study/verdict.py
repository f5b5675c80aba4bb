"""The verdict on the end of a job, as pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dsice.launch.job import Kind, Outcome
from dsice.study.events import Verdict
from dsice.study.task import Attempt

SPARED: Final = (Kind.CANCELLED, Kind.NOT_BEGUN, Kind.PREEMPTED)
"""What says nothing about a trial: it is tried again as often as it takes."""

ACCIDENTS: Final = (Kind.LOST, Kind.NODE_FAILED)
"""What is no fault of the program, unless it happens time and again."""

MAX_LOST: Final = 3
"""How many accidents a trial may have before it is given up."""


def judge(
    outcome: Outcome, earlier: Sequence[Attempt], retries: int, needed: Sequence[str]
) -> tuple[Verdict, str]:
    """The verdict on a job, and the reason if it lacks its measurement.

    A running job that somebody removed from a batch system's queue by hand has failed, presumably
    for a reason. Exceeding the time limit or the memory is a failure of the program.

    Args:
        outcome: how it ended.
        earlier: the attempts before it.
        retries: how often a failed program is repeated.
        needed: names of the metrics that it must return.
    """
    reason = outcome.reason or _lacking(outcome, needed)
    if not reason:
        return Verdict.DONE, ""
    if outcome.kind in SPARED:
        return Verdict.AGAIN, reason
    if outcome.kind in ACCIDENTS:
        accidents = sum(attempt.kind in ACCIDENTS for attempt in earlier) + 1
        return (Verdict.FAILED if accidents > MAX_LOST else Verdict.AGAIN), reason
    if outcome.kind is Kind.REMOVED:
        return Verdict.FAILED, reason
    spared = (*SPARED, *ACCIDENTS)
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
