"""Replaying the calls to a search, which restores its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dsice.goal import Metrics
from dsice.search.base import Search
from dsice.study.facts import Call, KnownResult, Told, Trial
from dsice.study.task import Status


def seconds_of(known: Trial | KnownResult) -> float | None:
    """How long a measurement took; None if unknown."""
    return (known.measured_seconds or None) if isinstance(known, Trial) else None


def replay(
    search: Search,
    calls: Iterable[Told],
    result: Callable[[Trial | KnownResult], Metrics | None],
) -> None:
    """Tell ``search`` of all ``calls`` in their order.

    Args:
        search: a new one.
        calls: see `dsice.study.state.Study`.
        result: the metrics of a trial or known result that has ended; None if it failed.
    """
    for told in calls:
        point = told.of.point
        withdrawn_to = told.of.withdrawn_to if isinstance(told.of, Trial) else None
        if Status.DISCARDED in (told.of.status, withdrawn_to):
            search.skip(point)
        elif told.call is Call.PEND:
            search.pend(point)
        elif told.call is Call.TELL:
            search.tell(point, result(told.of), seconds=seconds_of(told.of))
        elif told.report is not None:
            search.report(point, told.report.share, told.report.metrics)
        elif point in search.pending:
            search.end(point, seconds=told.seconds or None)
