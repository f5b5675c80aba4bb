"""Reading programs' output, which may be anything: empty, gigabytes, binary, a pipe."""

from __future__ import annotations

import json
import math
import os
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dsice.files import open_regular

_TAIL: Final = 1_000_000  # bytes read from the end of a file
_LINE: Final = 200  # characters of a line that are shown to people
_AFTER: Final = 100  # lines that may follow the metrics, such as a logger's summary
_CANDIDATES: Final = 1000  # lines that begin like an object and are tried, from the last
_DIGITS: Final = 4000  # of a whole number; Python refuses to convert more than 4300

_BREAK: Final = re.compile(r"\r\n|\r|\n")
_OBJECT: Final = re.compile(r"(?:^|(?<=[\r\n]))[^\S\r\n]*(?=\{)")
_END_OF_LINE: Final = re.compile(r"[^\S\r\n]*(?:[\r\n]|\Z)")
_PART_OF_MORE: Final = re.compile(r"\s*[,\]}]")
_DECODER: Final = json.JSONDecoder(
    parse_int=lambda text: int(text) if len(text) < _DIGITS else float(text)
)


def lines(text: str) -> list[str]:
    r"""Split a text into lines, which end in a newline, a carriage return or both.

    `str.splitlines` also breaks at U+2028 and others, which may occur within JSON and names.
    """
    return _BREAK.split(text)


def tail(path: Path, size: int = _TAIL) -> str:
    """The last ``size`` bytes of a file as text; empty if it cannot be read."""
    try:
        return _read(path, size)
    except OSError:
        return ""


def _read(path: Path, size: int = _TAIL) -> str:
    """As `tail`; raises OSError if the file is there and cannot be read."""
    if not path.is_file():
        return ""
    with open(path, "rb", opener=open_regular) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        # Byte order marks may be anywhere if the output of several programs was concatenated.
        return file.read(size).decode(errors="replace").replace("\ufeff", "")


def last_line(path: Path) -> str:
    """The last line of a file that is not blank, or an empty text."""
    return last_line_of(tail(path))


def last_line_of(text: str) -> str:
    """The last line of a text that is not blank, or an empty text."""
    return next((line.strip() for line in reversed(lines(text)) if line.strip()), "")


def log(path: Path, size: int) -> str:
    """The end of a log, as `tail`, for people.

    Does not follow links: the author of a study could make a link to a private file of the
    reader, whose text would end up in a report that is passed on.
    """
    return "" if path.is_symlink() else tail(path, size)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log, safe to print."""
    text = log(path, 20_000).rstrip()
    return [shown(line) for line in lines(text)[-count:]] if text else []


def shown(text: str) -> str:
    """``text`` on one line of bounded length, without control characters."""
    text = "".join(c if c.isprintable() else " " for c in text[: _LINE + 1].rstrip())
    return text if len(text) <= _LINE else text[: _LINE - 3] + "..."


def last_object(text: str) -> tuple[dict[str, Any], int]:
    """The last JSON object on lines of its own, and where it ends.

    It may span several lines. An object within a larger, damaged one does not count.

    Raises:
        ValueError: there is none; the message says what is wrong with the last candidate, and is
            empty if there is no candidate.
    """
    found, end, flaw = None, 0, ""
    for match in deque(_OBJECT.finditer(text), _CANDIDATES):
        if match.end() < end:
            continue  # within the one that was found
        try:
            value, stop = _DECODER.raw_decode(text, match.end())
        except RecursionError:
            flaw = "it is nested too deeply"
        except ValueError as error:
            flaw = getattr(error, "msg", str(error))
        else:
            if not _END_OF_LINE.match(text, stop):
                flaw = "more text follows it on its line"
            elif _PART_OF_MORE.match(text, stop):
                flaw = flaw or "it is part of something larger"
            else:
                found, end = value, stop
    if found is None:
        raise ValueError(flaw)
    return found, end


def metrics_in(result: Path, output: Path) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics in a result file or, if there is none, at the end of the output.

    They are the last JSON object on lines of its own, which some lines may follow.

    Returns:
        The finite numbers by name, and the other entries (NaN, a device name) as JSON text.

    Raises:
        ValueError: there are none, or they are not a JSON object; the message says what was found.
        OSError: a file exists and cannot be read.
    """
    text, where = _read(result), "its result file"
    if not text.strip():
        text, where = _read(output), "its output"
        if not text.strip():
            raise ValueError("it wrote no metrics: neither a result file nor any output")
    last = shown(last_line_of(text))
    try:
        data, end = last_object(text)
    except ValueError as error:
        why = f" (what begins like one: {error})" if str(error) else ""
        raise ValueError(
            f"{where} has no JSON object of metrics{why}; its last line is: {last}"
        ) from None
    after = sum(1 for line in lines(text[end:]) if line.strip())
    if after > _AFTER:
        what = f"has a JSON object, but over {_AFTER} lines follow it"
        raise ValueError(f"{where} {what}; its last line is: {last}")
    if not data:
        raise ValueError(f"{where} has no metrics: {{}}")
    return numbers_in(data)


def numbers_in(data: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """The finite numbers of a result by name, and its other entries as JSON text."""
    metrics: dict[str, float] = {}
    others: dict[str, str] = {}
    for name, value in data.items():
        if finite(value):
            metrics[name] = float(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            others[name] = "too big"
        else:
            others[name] = shown(json.dumps(value))[:60]
    return metrics, others


def report_in(line: str | bytes) -> dict[str, Any] | None:
    """The JSON object in a line of a progress file; None if it is none, or incomplete."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def finite(value: object) -> bool:
    """Whether ``value`` is a finite number that a float can hold; False for booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
