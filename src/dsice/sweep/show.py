"""The answers over a range of bounds, in a terminal of any width."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dsice.domain import Domain, covers_decades
from dsice.sweep.answer import Answer, Evidence, Row
from dsice.units import apart, count, number, span

_WIDTH: Final = 28  # of the picture
_UNLIMITED: Final = 10_000  # columns
_STYLES: Final = {
    Evidence.WELL: "green",
    Evidence.THIN: "yellow",
    Evidence.NONE: "red",
    Evidence.UNKNOWN: "dim",
}
_PICTURE: Final = "picture"
_NEAR: Final = "near"
_LEAVE_OUT: Final = (_PICTURE, "margin", _NEAR, "may gain", "trial")
"""Columns that a narrow terminal does without, the first ones first."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    heading: str
    cells: tuple[Text | str, ...]
    justify: Literal["left", "right"] = "right"


def show(answer: Answer, console: Console) -> None:
    """Print the front as a table and a picture, and where the evidence is thin."""
    console.print(f"{answer.goal}: {count(answer.measured, 'trial')} measured.")
    columns = _columns(answer)
    for name in _LEAVE_OUT:
        wide = console.options.update(max_width=_UNLIMITED)
        if Measurement.get(console, wide, _table(columns)).maximum <= console.width:
            break
        columns = [column for column in columns if column.name != name]
    console.print(_table(columns))
    for line in _words(answer, {column.name for column in columns}):
        console.print(line)


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _columns(answer: Answer) -> list[_Column]:
    goal, swept, picture = answer.goal, answer.swept, _Picture.of(answer)
    groups = [tuple(rows) for _, rows in itertools.groupby(answer.rows, key=_same)]
    firsts = [rows[0] for rows in groups]
    return [
        _Column(
            "limit",
            f"{swept.metric} {swept.relation}",
            tuple(_span([row.limit for row in rows]) for rows in groups),
        ),
        _Column("objective", goal.metric, tuple(_or_dash(row.objective) for row in firsts)),
        _Column(
            "trial",
            "trial",
            tuple("-" if row.trial is None else str(row.trial) for row in firsts),
        ),
        _Column("margin", "margin", tuple(_span([row.margin for row in rows]) for rows in groups)),
        _Column(_NEAR, _NEAR, tuple(_span([row.near for row in rows]) for rows in groups)),
        _Column("may gain", "may gain", tuple(_or_dash(row.gain) for row in firsts)),
        _Column(
            "evidence",
            "",
            tuple(Text(row.evidence, style=_STYLES[row.evidence]) for row in firsts),
            "left",
        ),
        _Column(_PICTURE, picture.scale, tuple(map(picture.of_row, firsts)), "left"),
    ]


def _same(row: Row) -> tuple[object, ...]:
    """What neighbouring bounds have in common that one line tells of."""
    return row.trial, row.objective, row.evidence, _or_dash(row.gain)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)


def _span(values: Sequence[float | None]) -> str:
    """``11.5``, ``11.5 to 12.5``; a dash if there are none."""
    known = [value for value in values if value is not None]
    return span(min(known), max(known)) if known else "-"


def _words(answer: Answer, shown: set[str]) -> list[str]:
    goal, swept = answer.goal, answer.swept
    best, limit = answer.reference
    legend = []
    if _PICTURE in shown:
        legend.append("o is the best known, < how far one more trial may be expected to go.")
    if _NEAR in shown:
        legend.append(f"near: trials within a row of the bound in {swept.metric}.")
    lines = [" ".join(legend)] if legend else []
    lines.append(
        f"The front has {count(len(answer.front), 'trial')}. Hypervolume "
        f"{number(answer.hypervolume)}, counted up to {goal.metric} {number(best)} (the worst that "
        f"keeps the loosest bound) and {swept.metric} {number(limit)}."
    )
    if answer.thin:
        limits = ", ".join(number(row.limit) for row in answer.thin)
        lines.append(f"The evidence is thin at {swept.metric} {swept.relation} {limits}.")
    elif all(row.evidence is Evidence.WELL for row in answer.rows):
        lines.append("The evidence is good at all of these bounds.")
    return lines


@dataclass(frozen=True, slots=True)
class _Picture:
    """Where the best lies at each bound, and how far one more trial may go.

    Attributes:
        domain: what is drawn.
        upwards: whether the objective is to be large: the better end is on the left.
        empty: whether no bound has an answer.
    """

    domain: Domain
    upwards: bool
    empty: bool

    @classmethod
    def of(cls, answer: Answer) -> _Picture:
        upwards = answer.goal.maximize is not None
        known = [row.objective for row in answer.rows if row.objective is not None]
        ends = [end for row in answer.rows if (end := _reached(row, upwards)) is not None]
        values = [*known, *ends] or [0.0]
        return cls(
            Domain(min(values), max(values), log=covers_decades(values)), upwards, empty=not known
        )

    @property
    def scale(self) -> str:
        """The two ends, the better one on the left."""
        if self.empty:
            return ""
        low, high = apart(self.domain.low, self.domain.high)
        if low == high:
            return low
        better, worse = (high, low) if self.upwards else (low, high)
        return f"{better}{worse:>{max(_WIDTH - len(better), len(worse) + 1)}}"

    def of_row(self, row: Row) -> str:
        """One line of the picture."""
        reached = _reached(row, self.upwards)
        if row.objective is None or reached is None:
            return ""
        at, reach = self._column(row.objective), self._column(reached)
        return " " * reach + "<" * (at - reach) + "o"

    def _column(self, value: float) -> int:
        place = self.domain.place(value)
        return round(
            (1 - place if self.upwards and self.domain.low < self.domain.high else place)
            * (_WIDTH - 1)
        )


def _reached(row: Row, upwards: bool) -> float | None:
    """What one more trial is expected to reach at a bound."""
    if row.objective is None:
        return None
    gain = row.gain or 0.0
    return row.objective + gain if upwards else row.objective - gain
