"""Results as JSON: a list of objects, JSON lines, the forms of pandas, Kernel Tuner's files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dsice.errors import InvalidInput
from dsice.exchange import kernel_tuner
from dsice.exchange.source import Source
from dsice.exchange.tabular import table
from dsice.exchange.text_file import read_text
from dsice.study.config import StudyConfig

Records = list[tuple[str, Mapping[str, Any]]]


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read results as JSON.

    Objects within objects are flattened: ``{"params": {"lr": 0.1}}`` has the value ``params.lr``.

    Raises:
        InvalidInput: it cannot be read, or has none of these forms.
    """
    data = _parsed(place, read_text(place))
    if kernel_tuner.fits(data):
        return kernel_tuner.source(place, data)
    records = _records(data, {*config.grid.names, *config.goal.metrics})
    if records is None:
        raise InvalidInput(
            f"{place} has no results that can be read: accepted are a list of objects, an object a "
            "line, a table of pandas, and Kernel Tuner's files"
        )
    lines = [(where, dict(_flat(values))) for where, values in records]
    return table(place, tuple(dict.fromkeys(key for _, each in lines for key in each)), lines)


def _parsed(place: str, text: str) -> Any:
    """The content: of several lines with an object each, a list of them with their places."""
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidInput(f"cannot read {place}: JSON that is nested too deeply") from None
    except ValueError as error:
        why = error
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if isinstance(_line(first), dict):
        return _lines(place, lines)
    data = kernel_tuner.parsed(text)
    if not kernel_tuner.fits(data):
        raise InvalidInput(f"cannot read {place}: not JSON: {why}")
    return data


def _lines(place: str, lines: list[str]) -> Records:
    """An object a line; one more that is being written at this moment does not count yet."""
    found: Records = []
    last = len(lines) if lines[-1].strip() else 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        values = _line(line)
        if isinstance(values, dict):
            found.append((f"line {number}", values))
        elif number != last:
            raise InvalidInput(f"cannot read {place}: line {number} is no JSON object")
    return found


def _line(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _records(data: Any, names: Collection[str]) -> Records | None:
    """Places and values of results; None if ``data`` has none of the forms."""
    if isinstance(data, list):
        if all(isinstance(each, tuple) for each in data):  # of lines, with their places
            return data
        if not all(isinstance(each, dict) for each in data):
            return None
        return [(f"entry {number}", each) for number, each in enumerate(data, 1)]
    if not isinstance(data, dict) or not data:
        return None
    if isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):  # "split"
        columns, rows = data["columns"], data["data"]
        if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
            return None
        return _records([dict(zip(map(str, columns), row, strict=True)) for row in rows], names)
    if all(isinstance(each, dict) for each in data.values()) and not _is_one(data):
        return _table(data, names)
    if _are_columns(data.values()):
        rows = zip(*data.values(), strict=True)
        return _records([dict(zip(data, row, strict=True)) for row in rows], names)
    lists = [each for each in data.values() if isinstance(each, list) and each]
    objects = [each for each in lists if all(isinstance(value, dict) for value in each)]
    if len(objects) == 1 and not names & data.keys():
        return _records(objects[0], names)  # {"trials": [...]}
    return [("its object", data)]


def _are_columns(values: Collection[Any]) -> bool:
    """Whether these are lists of one length, without objects."""
    return (
        all(isinstance(each, list) for each in values)
        and len({len(each) for each in values}) == 1
        and not any(isinstance(value, dict) for each in values for value in each)
    )


def _is_one(data: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether objects by key are the parts of one result: params, metrics."""
    keys = [key for each in data.values() for key in each]
    return len(data) > 1 and len(set(keys)) == len(keys)


def _table(data: Mapping[str, Mapping[str, Any]], names: Collection[str]) -> Records:
    """Results by key, or columns by name as pandas writes them, each with a value by row."""
    keys = list(dict.fromkeys(key for each in data.values() for key in each))
    by_column = len(set(names) & data.keys()) - len(set(names) & set(keys))
    if by_column > 0 or (by_column == 0 and all(key.isdecimal() for key in keys)):
        rows = {key: {n: each[key] for n, each in data.items() if key in each} for key in keys}
        return [(f"row {key}", values) for key, values in rows.items()]
    return [(f"entry {key!r}", values) for key, values in data.items()]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
