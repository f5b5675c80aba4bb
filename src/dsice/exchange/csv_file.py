"""CSV files: writing them, and reading what spreadsheets, pandas and scripts write."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dsice.errors import InvalidInput
from dsice.exchange.columns import Cell, Columns, cells
from dsice.exchange.dialect import split, with_points
from dsice.exchange.output import put
from dsice.exchange.source import Source
from dsice.exchange.tabular import table
from dsice.exchange.text_file import read_text
from dsice.study.config import StudyConfig
from dsice.study.curves import curves_of
from dsice.study.state import Study


def write(study: Study, place: str, name: str | None = None) -> str:
    """Write one line for each trial to the file ``place``; returns what was done, in words."""
    columns = Columns.of(study)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.names)
    for trial in study.trials:
        found = cells(study, columns, trial)
        writer.writerow([_text(found[column]) for column in columns.names])
    return f"{put(place, text.getvalue())}: {len(study.trials)} trials"


def write_curves(study: Study, place: str, name: str | None = None) -> str:
    """Write what trials reported while they ran, in long form: a line for each value.

    The columns are ``trial``, ``step``, ``metric`` and ``value``.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("trial", "step", "metric", "value"))
    count = 0
    for trial in study.trials:
        for metric, curve in curves_of(trial).of.items():
            for step, value in zip(curve.steps, curve.values, strict=True):
                writer.writerow((trial.number, f"{step:.15g}", metric, repr(value)))
                count += 1
    return f"{put(place, text.getvalue())}: {count} values that trials reported"


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a table with a header.

    Commas, semicolons, tabs or vertical bars separate its columns, and numbers may have decimal
    commas.

    Raises:
        InvalidInput: it cannot be read, or is not a table.
    """
    text = read_text(place)
    grid = config.grid
    try:
        with _long_cells():
            delimiter, found = split(text, {*grid.names, *config.goal.metrics})
            lines = [(line, cells) for line, cells in found if cells]
    except csv.Error as error:
        raise InvalidInput(f"cannot read {place}: not a CSV file ({error})") from None
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    width = len(header)
    for line, each in lines:
        if any(cell.strip() for cell in each[width:]):
            raise InvalidInput(f"{place}: line {line} has more values than names")
    rows = [each[:width] + [""] * (width - len(each)) for _, each in lines[1:]]
    texts = {level for axis in grid.axes for level in axis.levels if isinstance(level, str)}
    places = [f"line {line}" for line, _ in lines[1:]]
    values = [dict(zip(header, row, strict=True)) for row in with_points(rows, delimiter, texts)]
    return table(place, header, zip(places, values, strict=True))


@contextmanager
def _long_cells() -> Iterator[None]:
    """Cells of any length are accepted within."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds")
    return repr(cell) if isinstance(cell, float) else str(cell)
