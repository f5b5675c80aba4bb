"""Kernel Tuner's results: cache files, of any version and cut short too, and T4 output files.

A cache file has one entry for each configuration with its parameters and what was measured; a
configuration that failed has the name of an error in place of its time, or as ``__error__``. Kernel
Tuner appends to the file as it goes and closes its brackets at the end: those of a run that was
ended early, or that still goes on, are missing. A T4 file lists configurations, each with
``measurements`` and with ``invalidity``, which is ``correct`` or says what failed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.exchange.source import Row, RowState, Source, number
from dsice.exchange.text_file import read_text
from dsice.study.config import StudyConfig

_ERRORS: Final = {
    "ErrorConfig": "failed",
    "InvalidConfig": "invalid configuration",
    "CompilationFailedConfig": "compilation failed",
    "RuntimeFailedConfig": "failed at run time",
}
_INVALIDITY: Final = {
    "constraints": _ERRORS["InvalidConfig"],
    "compile": _ERRORS["CompilationFailedConfig"],
    "runtime": _ERRORS["RuntimeFailedConfig"],
}
_ENDINGS: Final = ("", "}", "}}", "]}")  # what may be missing behind the last entry
_TIMES: Final = {  # by what T4 calls them
    "compilation": "compile_time",
    "benchmark": "benchmark_time",
    "framework": "framework_time",
    "search_algorithm": "strategy_time",
    "validation": "verification_time",
}


def read(place: str, config: StudyConfig, name: str | None = None) -> Source:
    """Read a cache file or a T4 file.

    Raises:
        InvalidInput: it cannot be read, or is neither.
    """
    data = parsed(read_text(place))
    if data is None:
        raise InvalidInput(f"cannot read {place}: not a JSON object, as Kernel Tuner's files are")
    return source(place, data)


def parsed(text: str) -> Mapping[str, Any] | None:
    """The JSON object of a file that may lack its end; None if it is none."""
    text = text.rstrip()
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
    return None


def fits(data: object) -> bool:
    """Whether ``data`` is the content of one of these files."""
    if not isinstance(data, dict):
        return False
    if "cache" in data:
        return isinstance(data["cache"], dict)
    results = data.get("results")
    return (
        isinstance(results, list)
        and bool(results)
        and all(isinstance(r, dict) and "configuration" in r for r in results)
    )


def source(place: str, data: Mapping[str, Any]) -> Source:
    """The results in a cache file or a T4 file with this content.

    Raises:
        InvalidInput: it is neither.
    """
    try:
        if "cache" in data:
            keys = data.get("tune_params_keys") or data.get("tune_params") or ()
            params = frozenset(map(str, keys))
            objectives = _listed(data.get("objective", "time"))
            rows = tuple(
                _cached(key, entry, params, objectives) for key, entry in data["cache"].items()
            )
        else:
            rows = tuple(_t4(k, entry) for k, entry in enumerate(data["results"], 1))
            params = frozenset(key for each in data["results"] for key in each["configuration"])
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(
            f"{place} is neither a cache file nor a T4 results file of Kernel Tuner"
        ) from None
    names = dict.fromkeys(key for row in rows for key in row.values)
    return Source(place, tuple(names), rows, params)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [value]


def _cached(
    key: str, entry: Mapping[str, Any], params: Collection[str], objectives: Collection[object]
) -> Row:
    where = f"entry {key!r}"
    for name, value in entry.items():
        if name in params or not isinstance(value, str):
            continue
        # An objective that is text is an error, whatever later versions call it.
        is_text = name in objectives and number(value) is None
        if name == "__error__" or value in _ERRORS or is_text:
            return Row(where, entry, RowState.FAILED, _failure(value))
    return Row(where, entry)


def _t4(key: int, entry: Mapping[str, Any]) -> Row:
    where = f"result {key}"
    measured = {each["name"]: each["value"] for each in entry.get("measurements", ())}
    took = entry.get("times") or {}
    times = {ours: took[theirs] for theirs, ours in _TIMES.items() if theirs in took}
    values = {**times, **measured, **entry["configuration"]}
    validity = entry.get("invalidity", "correct")
    errors = [
        value
        for name, value in measured.items()
        if isinstance(value, str)
        and (value in _ERRORS or (name in entry.get("objectives", ()) and number(value) is None))
    ]
    if validity != "correct" or errors:
        return Row(where, values, RowState.FAILED, _failure([*errors, validity][0]))
    return Row(where, values)


def _failure(word: str) -> str:
    return f"Kernel Tuner: {_ERRORS.get(word) or _INVALIDITY.get(word, word)}"
