"""Interpreting tables of any origin: which columns hold what, and how each row ended."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import dialect_params, found_facts
from dsice.exchange.source import Row, RowState, Source, is_blank
from dsice.exchange.states import state_of
from dsice.goal import Goal

# What pandas calls the column of its row numbers, if anything.
_INDEX: Final = re.compile(r"|Unnamed: \d+|__index_level_\d+__")
_STATES: Final = ("state", "status")


def table(
    place: str, header: Sequence[str], lines: Iterable[tuple[str, Mapping[str, object]]]
) -> Source:
    """A table as a source.

    Columns without a name and rows without any value are left out.

    Args:
        place: of the table, for messages.
        header: names of its columns.
        lines: places of rows, and their values by column.

    Raises:
        InvalidInput: there are no rows, or two columns have one name.
    """
    names = [name for name in header if not _INDEX.fullmatch(name)]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{place} has two columns named {name!r}")
    rows = tuple(
        Row(where, values)
        for where, values in lines
        if not all(is_blank(values.get(name)) for name in names)
    )
    if not rows:
        raise InvalidInput(f"{place} has no rows")
    return Source(place, tuple(names), rows, is_table=True)


def interpreted(
    source: Source, params: Mapping[str, str], goal: Goal, ignored: Collection[str]
) -> Source:
    """A table with its facts, the states of its rows, and its parameters if their names tell.

    Args:
        source: the table.
        params: what each parameter of the study is called there, as far as is said.
        goal: of the study.
        ignored: columns that are not looked at.
    """
    seen = [name for name in source.names if name not in ignored]
    facts = found_facts(seen, params, goal)
    facts.pop("state", None)
    column = _state_column(source, [n for n in seen if n not in params and n not in goal.metrics])
    if column is not None:
        facts["state"] = column
    rows = tuple(_judged(row, column, facts.get("reason")) for row in source.rows)
    return replace(source, rows=rows, facts=facts, params=dialect_params(seen, params))


def _state_column(source: Source, names: Collection[str]) -> str | None:
    """The column that says how runs ended: by its name, and by a word in it that is known."""
    for name in sorted(names, key=lambda name: not name.startswith("dsice_")):
        if name.removeprefix("dsice_").casefold() in _STATES and any(
            state_of(row.values.get(name)) for row in source.rows
        ):
            return name
    return None


def _judged(row: Row, column: str | None, reason: str | None) -> Row:
    """A row with the state that ``column`` says, and the reason in column ``reason``."""
    given = None if reason is None else row.values.get(reason)
    why = "" if is_blank(given) else str(given)
    value = None if column is None else row.values.get(column)
    if is_blank(value):
        return replace(row, reason=why)
    found = state_of(value)
    if found is None:
        why = f"{column} {str(value)!r} is not known; --ignore {column} judges by metrics alone"
        return replace(row, state=RowState.OPEN, reason=why)
    state, word = found
    return replace(row, state=state, reason=word if state is RowState.OPEN else why or word)
