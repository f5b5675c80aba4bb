"""The common form of all formats: rows of named values, as another program wrote them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

ABSENT: Final = object()
"""Stands for a value that a row does not have, where None may be a value."""


class RowState(StrEnum):
    """How a row's program ended, according to the source."""

    ENDED = "ended"
    """It ran to its end; whether it measured something, the values say."""
    FAILED = "failed"
    """It failed."""
    OPEN = "open"
    """It has not ended, or was given up: it says nothing about its point."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a program.

    Attributes:
        where: its place in the source, such as ``line 12``.
        values: parameters and metrics by the source's names; texts where the format has nothing
            else; None for an empty cell.
        state: how it ended.
        reason: why it failed, or why it is left out.
    """

    where: str
    values: Mapping[str, object]
    state: RowState = RowState.ENDED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What was read.

    Attributes:
        what: words for people: the file, or the study in a storage.
        names: of all values, in order.
        rows: in order.
        params: the names that are parameters for certain; None if the format does not say.
        objective: the name of an objective that has no name of its own there, or an empty text.
        sense: ``minimize`` or ``maximize``, of that objective.
        facts: names of values that are neither parameters nor metrics, by `columns.FACTS`.
        is_table: whether anybody may have made it, so that how a row ended is a column like any
            other: `dsice.exchange.tabular.interpreted` finds it.
    """

    what: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    params: frozenset[str] | None = None
    objective: str = ""
    sense: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    is_table: bool = False


def number(value: object) -> float | None:
    """A number, or the number that a text is; None if it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str) and "_" in value:  # 1_000 is a number in Python only
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def is_blank(value: object) -> bool:
    """Whether a cell is empty; NaN counts as empty except in texts."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value is ABSENT or (isinstance(value, float) and math.isnan(value))
