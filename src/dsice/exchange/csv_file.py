"""Tables as CSV: written for spreadsheets and pandas, read from anybody."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

from dsice.errors import InvalidInput
from dsice.exchange.columns import Cell, Columns, cells
from dsice.exchange.source import Source
from dsice.exchange.tabular import rows_of
from dsice.files import write_atomically
from dsice.study.config import StudyConfig
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
    write_atomically(Path(place), text.getvalue())
    return f"{place}: {len(study.trials)} trials"


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a table with a header.

    Raises:
        InvalidInput: it cannot be read, or is none.
    """
    try:
        with Path(place).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval=None)
            header = tuple(name.strip() for name in reader.fieldnames or ())
            reader.fieldnames = list(header)
            lines = []
            for line in reader:
                where = f"line {reader.line_num}"
                if None in line:
                    raise InvalidInput(f"{place}: {where} has more values than names")
                lines.append((where, line))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = getattr(error, "strerror", None) or "not a CSV file in UTF-8"
        raise InvalidInput(f"cannot read {place}: {what}") from None
    return Source(place, header, rows_of(place, header, lines, config))


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds")
    return repr(cell) if isinstance(cell, float) else str(cell)
