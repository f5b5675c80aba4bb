"""Kernel Tuner's results: cache files, of any version and cut short too, and T4 output files.

A cache file has one entry for each configuration with its parameters and what was measured; a
configuration that failed has the name of an error in place of its time, or as ``__error__``. Kernel
Tuner appends to the file as it goes and closes its brackets at the end: those of a run that was
ended early, or that still goes on, are missing. A T4 file lists configurations, each with
``measurements`` and with ``invalidity``, which is ``correct`` or says what failed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.exchange.source import Row, RowState, Source
from dsice.study.config import StudyConfig

_ERRORS: Final = {
    "ErrorConfig": "Kernel Tuner: failed",
    "InvalidConfig": "Kernel Tuner: invalid configuration",
    "CompilationFailedConfig": "Kernel Tuner: compilation failed",
    "RuntimeFailedConfig": "Kernel Tuner: failed at run time",
}
_ENDINGS: Final = ("", "}", "}}", "]}")  # what may be missing behind the last entry


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a cache file or a T4 file.

    Raises:
        InvalidInput: it cannot be read, or is neither.
    """
    data = _json(place)
    try:
        if "cache" in data:
            rows = tuple(_cached(key, entry) for key, entry in data["cache"].items())
            keys = data.get("tune_params_keys") or data.get("tune_params") or ()
            params = frozenset(map(str, keys))
        else:
            rows = tuple(_t4(k, entry) for k, entry in enumerate(data["results"], 1))
            params = frozenset(key for each in data["results"] for key in each["configuration"])
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(
            f"{place} is neither a cache file nor a T4 results file of Kernel Tuner"
        ) from None
    names = dict.fromkeys(key for row in rows for key in row.values)
    return Source(place, tuple(names), rows, params)


def _json(place: str) -> Mapping[str, Any]:
    try:
        text = Path(place).read_text(encoding="utf-8").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput(f"cannot read {place}: {what}") from None
    whole = text.removesuffix(",")
    # A last entry that was cut short in the middle is dropped.
    for body in (whole, whole[: max(whole.rfind("\n"), 0)].rstrip().removesuffix(",")):
        for ending in _ENDINGS:
            try:
                data = json.loads(body + ending)
            except (ValueError, RecursionError):
                continue
            if isinstance(data, dict):
                return data
    raise InvalidInput(f"cannot read {place}: not a JSON file")


def _cached(key: str, entry: Mapping[str, Any]) -> Row:
    where = f"entry {key!r}"
    for value in entry.values():
        if isinstance(value, str) and value in _ERRORS:
            return Row(where, entry, RowState.FAILED, _ERRORS[value])
    return Row(where, entry)


def _t4(number: int, entry: Mapping[str, Any]) -> Row:
    measured = {each["name"]: each["value"] for each in entry.get("measurements", ())}
    values = {**measured, **entry["configuration"]}
    validity = entry.get("invalidity", "correct")
    if validity == "correct":
        return Row(f"result {number}", values)
    return Row(f"result {number}", values, RowState.FAILED, f"Kernel Tuner: {validity}")
