"""Folding the events that revoke results: void failures, retried and discarded trials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from dsice.study.events import Discarded, Retried, Verdict, Voided
from dsice.study.facts import Call, Told, Trial
from dsice.study.task import Status

if TYPE_CHECKING:
    from dsice.study.state import Study


def void(study: Study, event: Voided) -> None:
    """Void failures that were the machine's fault: their trials wait to be measured again.

    Raises:
        ValueError: there are no such failures.
    """
    attempts = []
    for number, attempt_number in event.attempts:
        (trial,) = _trials(study, [number])
        if not 0 < attempt_number <= len(trial.attempts):
            raise ValueError(f"attempt {attempt_number} of trial {number} never began")
        attempt = trial.attempts[attempt_number - 1]
        if attempt.verdict in (None, Verdict.DONE):
            raise ValueError(f"attempt {attempt_number} of trial {number} has not failed")
        attempts.append((trial, attempt))
    forgotten = set()
    for trial, attempt in attempts:
        if attempt.verdict is Verdict.FAILED:
            forgotten.add(trial.number)
            study.set_status(trial, Status.WAITING)
            trial.reason = ""
        attempt.verdict, attempt.void = Verdict.AGAIN, True
    _forget(study, forgotten)


def retry(study: Study, event: Retried) -> None:
    """Let trials wait to be measured again; running ones once their jobs have ended.

    Raises:
        ValueError: there is no such trial.
    """
    for trial in _take_back(study, event.trials, Status.WAITING, ""):
        for attempt in trial.attempts:
            if trial.status is not Status.RUNNING or attempt is not trial.attempts[-1]:
                attempt.verdict = Verdict.AGAIN


def discard(study: Study, event: Discarded) -> None:
    """Discard trials; running ones once their jobs have ended.

    Raises:
        ValueError: there is no such trial.
    """
    _take_back(study, event.trials, Status.DISCARDED, event.why)


def _take_back(study: Study, numbers: Collection[int], status: Status, reason: str) -> list[Trial]:
    trials = list(_trials(study, numbers))
    for trial in trials:
        trial.reason, trial.metrics = reason, {}
        if trial.status is Status.RUNNING:
            trial.attempts[-1].withdrawn_to = status
        else:
            study.set_status(trial, status)
        for attempt in trial.attempts:
            attempt.void = True
    _forget(study, numbers)
    return trials


def _trials(study: Study, numbers: Iterable[int]) -> Iterator[Trial]:
    for number in numbers:
        if not 0 < number <= len(study.trials):
            raise ValueError(f"there is no trial {number}")
        yield study.trials[number - 1]


def _forget(study: Study, numbers: Collection[int]) -> None:
    """Remove the ends of trials from the results."""
    study.finished[:] = [trial for trial in study.finished if trial.number not in numbers]
    for trial in _trials(study, numbers):
        trial.reports.clear()
    known: list[Told] = []
    again: set[int] = set()  # whose first proposal has been seen
    for told in study.calls:
        if not isinstance(told.of, Trial) or told.of.number not in numbers:
            known.append(told)
        elif told.call is Call.PEND and told.of.number not in again:
            again.add(told.of.number)
            known.append(told)
    study.calls[:] = known
