"""Tables as Parquet, through pyarrow, which ``dsice[parquet]`` installs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import Cell, Columns, cells, needs
from dsice.exchange.output import put
from dsice.exchange.source import Source
from dsice.exchange.tabular import table
from dsice.study.config import StudyConfig
from dsice.study.state import Study

_MARK: Final = b"PAR1"


def write(study: Study, place: str, name: str | None = None) -> str:
    """Write one row for each trial to the file ``place``; returns what was done, in words."""
    arrow, parquet = _arrow()
    columns = Columns.of(study)
    rows = [cells(study, columns, trial) for trial in study.trials]
    kinds = {
        columns.facts["trial"]: arrow.int64(),
        columns.facts["feasible"]: arrow.bool_(),
        columns.facts["started"]: arrow.timestamp("ms", "UTC"),
        columns.facts["ended"]: arrow.timestamp("ms", "UTC"),
        columns.facts["seconds"]: arrow.float64(),
        **dict.fromkeys(columns.metrics.values(), arrow.float64()),
    }
    for axis in study.config.grid.axes:
        kinds[axis.name] = _kind(arrow, axis.levels)
    arrays = [
        _array(arrow, [row[column] for row in rows], kinds.get(column, arrow.string()))
        for column in columns.names
    ]
    data = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, names=list(columns.names)), data)
    return f"{put(place, data.getvalue())}: {len(rows)} trials"


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a table.

    Raises:
        InvalidInput: it cannot be read, or is none.
    """
    arrow, parquet = _arrow()
    try:
        with Path(place).open("rb") as file:
            start = file.read(len(_MARK))
            if start != _MARK:  # what has no end is not read to it
                raise InvalidInput(f"cannot read {place}: not a Parquet file")
            found = parquet.read_table(io.BytesIO(start + file.read()))
    except OSError as error:
        raise InvalidInput(f"cannot read {place}: {error.strerror or error}") from None
    except arrow.ArrowException:
        raise InvalidInput(f"cannot read {place}: a damaged Parquet file") from None
    lines = [(f"row {number}", row) for number, row in enumerate(found.to_pylist(), 1)]
    return table(place, found.column_names, lines)


def _kind(arrow: Any, levels: tuple[Cell, ...]) -> Any:
    """The type of a column that holds ``levels``: text where they are of several kinds."""
    kinds = {type(level) for level in levels}
    if kinds == {bool}:
        return arrow.bool_()
    if kinds == {int}:
        return arrow.int64()
    return arrow.float64() if kinds <= {int, float} else arrow.string()


def _array(arrow: Any, values: list[Cell], kind: Any) -> Any:
    if kind == arrow.string():
        return arrow.array([None if value is None else str(value) for value in values], kind)
    if kind == arrow.float64():
        sizes = [float(value) if isinstance(value, int | float) else None for value in values]
        return arrow.array(sizes, kind)
    return arrow.array(values, kind)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise needs("pyarrow", "parquet") from None
    return pyarrow, pyarrow.parquet
