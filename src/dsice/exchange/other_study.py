"""Another study's directory as a source: its trials and its known results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import metric_column
from dsice.exchange.source import Row, RowState, Source
from dsice.study.config import StudyConfig
from dsice.study.facts import KnownResult, Trial
from dsice.study.state import Study
from dsice.study.task import Status

_STATES: Final = {
    Status.DONE: RowState.ENDED,
    Status.FAILED: RowState.FAILED,
    Status.RUNNING: RowState.OPEN,
    Status.WAITING: RowState.OPEN,
    Status.STOPPED: RowState.OPEN,
    Status.DISCARDED: RowState.OPEN,
}


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read the study in a directory, also while it runs.

    Its parameters have values there, not levels: the grids need not be the same.

    Raises:
        InvalidInput: no study was begun there, or it has no results.
    """
    study = Study.open(place)
    rows = tuple(_rows(study))
    if not rows:
        raise InvalidInput(f"{place} has no results yet")
    names = dict.fromkeys(key for row in rows for key in row.values)
    return Source(place, tuple(names), rows, frozenset(study.config.grid.names))


def _rows(study: Study) -> Iterator[Row]:
    known: list[tuple[str, KnownResult | Trial]] = []
    known += ((f"known from {each.named}", each) for each in study.known)
    known += ((f"trial {trial.number}", trial) for trial in study.trials)
    for where, each in known:
        params = each.params
        metrics = {metric_column(n, params): value for n, value in each.metrics.items()}
        yield Row(where, {**params, **metrics}, _STATES[each.status], each.reason)
