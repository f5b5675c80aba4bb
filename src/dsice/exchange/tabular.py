"""What tables have in common: a state and a reason beside parameters and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import Columns
from dsice.exchange.source import Row, RowState, is_blank
from dsice.study.config import StudyConfig
from dsice.study.state import Status

_STATES: Final = {
    Status.DONE: RowState.ENDED,
    Status.FAILED: RowState.FAILED,
    Status.RUNNING: RowState.OPEN,
    Status.WAITING: RowState.OPEN,
}


def rows_of(
    place: str,
    header: Sequence[str],
    lines: Iterable[tuple[str, Mapping[str, object]]],
    config: StudyConfig,
) -> tuple[Row, ...]:
    """The rows of a table; ``lines`` are places and values by column.

    Raises:
        InvalidInput: there is none, two columns have one name, or a state is unknown.
    """
    for name in header:
        if header.count(name) > 1:
            raise InvalidInput(f"{place} has two columns named {name!r}")
    facts = Columns.found(header, config.grid.names, config.goal).facts
    rows = []
    for where, values in lines:
        state = values.get(facts.get("state", ""))
        reason = values.get(facts.get("reason", ""))
        rows.append(
            Row(
                where=where,
                values=values,
                state=_state(state, f"{place}: {where}: {facts.get('state')}"),
                reason="" if is_blank(reason) else str(reason),
            )
        )
    if not rows:
        raise InvalidInput(f"{place} has no rows")
    return tuple(rows)


def _state(value: object, where: str) -> RowState:
    if is_blank(value):
        return RowState.ENDED
    try:
        return _STATES[Status(str(value).strip())]
    except ValueError:
        raise InvalidInput(
            f"{where} = {value!r}: accepted are {', '.join(_STATES)}, or nothing"
        ) from None
