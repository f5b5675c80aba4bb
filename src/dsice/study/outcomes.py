"""The outcome of a task's newest job, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsice.errors import DamagedStudy
from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, Kind, Outcome
from dsice.study.task import Task


def outcome_of(task: Task) -> Outcome | None:
    """The outcome of a task's newest job; None without one.

    Raises:
        DamagedStudy: it is that of another job.
    """
    outcome = task.job.outcome()
    if outcome is not None:
        _require_identity(task.job, outcome.identity, task.identity(len(task.attempts)))
    return outcome


def without_outcome(state: JobState) -> Outcome:
    """What stands in for the outcome of a job that ended in ``state`` without one."""
    if state is JobState.REVOKED:
        return Outcome(Kind.NOT_BEGUN, "not begun")
    why = "vanished without a result: killed from outside, out of memory, or the machine went down"
    return Outcome(Kind.LOST, why)


def _require_identity(job: JobFolder, found: Mapping[str, Any], expected: dict[str, Any]) -> None:
    if found == expected or not (found or job.spec().identity):  # format 1 had no identities
        return
    raise DamagedStudy(
        f"{job.path} holds a result of {_named(found)}, not of {_named(expected)}: it is not used. "
        f"'dsice repair' shows what can be done"
    )


def _named(identity: Mapping[str, Any]) -> str:
    if not identity:
        return "an unknown trial"
    what = " ".join(f"{k} {v}" for k, v in identity.items() if k not in ("study", "params"))
    at = f" at {dict(identity['params'])}" if "params" in identity else ""
    return f"{what}{at} of study {identity.get('study')}"
