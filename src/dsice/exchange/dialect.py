"""The dialect of a CSV file: separator and decimal comma.

`csv.Sniffer` mistakes letters for separators on real tables. Here the header decides: split by the
right separator, it contains names of the study and has as many cells as the rows below it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final

_DELIMITERS: Final = ",;\t|"
_LOOKED_AT: Final = 50  # rows
_HINT: Final = re.compile(r"sep=([^\r\n])\r?\n")  # Excel's own, before the header
_COMMA: Final = re.compile(r"[+-]?(?:\d*|[1-9]\d{0,2}(?:\.\d{3})+),\d+(?:[eE][+-]?\d+)?")
_POINT: Final = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_THOUSANDS: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def split(text: str, names: Collection[str]) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """The separator of a table, and its rows with the numbers of their last lines.

    Args:
        text: of the file.
        names: that the header should have.

    Raises:
        csv.Error: while rows are taken: quotes are not closed, or something follows one.
    """
    hint = _HINT.match(text)
    start = hint.end() if hint else 0
    delimiter = hint[1] if hint else _delimiter(text, names)
    return delimiter, _rows(text[start:], delimiter, 1 if hint else 0)


def _rows(text: str, delimiter: str, before: int = 0) -> Iterator[tuple[int, list[str]]]:
    # Strict: a quote that is never closed would swallow all rows that follow.
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        for row in reader:
            yield before + reader.line_num, row
    except csv.Error as error:
        raise csv.Error(f"line {before + reader.line_num}: {error}") from None


def _delimiter(text: str, names: Collection[str]) -> str:
    def fitness(delimiter: str) -> tuple[int, float, int]:
        try:
            rows = [row for _, row in islice(_rows(text, delimiter), _LOOKED_AT) if row]
        except csv.Error:
            return 0, 0.0, 0
        width = len(rows[0]) if rows else 0
        if width < 2:
            return 0, 0.0, 0
        known = sum(name.strip() in names for name in rows[0])
        return known, sum(len(row) == width for row in rows) / len(rows), width

    return max(_DELIMITERS, key=fitness)  # the first of equal ones


def with_points(
    rows: Sequence[list[str]], delimiter: str, texts: Collection[str]
) -> Sequence[list[str]]:
    """``rows`` with points for decimal commas, ``0,5`` becoming ``0.5``, if the table has those.

    A column has them where it has numbers with a comma and none with a point. ``1,234`` alone is
    not enough in a table, since it is a thousand elsewhere, unless semicolons separate the columns.

    Args:
        rows: all of one length, without the header.
        delimiter: what separates columns.
        texts: that are no numbers, whatever they look like.
    """
    if not rows or not any("," in cell for row in rows for cell in row):
        return rows
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    found = {
        k
        for k, column in enumerate(columns)
        if any(map(_COMMA.fullmatch, column))
        and not any(map(_POINT.fullmatch, column))
        and not any(cell in texts for cell in column)
    }
    certain = delimiter == ";" or any(
        _COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell)
        for k in found
        for cell in columns[k]
    )
    if not certain:
        return rows
    return [[_point(cell) if k in found else cell for k, cell in enumerate(row)] for row in rows]


def _point(cell: str) -> str:
    text = cell.strip()
    return text.replace(".", "").replace(",", ".") if _COMMA.fullmatch(text) else cell
