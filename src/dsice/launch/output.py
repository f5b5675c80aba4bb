"""Reading what programs wrote, which can be anything: nothing, gigabytes, binary, a pipe."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Final

_TAIL: Final = 1_000_000  # bytes read from the end of a file
_LINE: Final = 200  # characters of a line that people are shown


def tail(path: Path, size: int = _TAIL) -> str:
    """The last ``size`` bytes of a file as text; empty if it is missing or no regular file."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size).decode(errors="replace")
    except OSError:
        return ""


def last_line(path: Path) -> str:
    """The last line of a file that is not blank, or an empty text."""
    lines = tail(path).splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, fit to be shown."""
    return [shown(line) for line in tail(path, 20_000).splitlines()[-count:]]


def shown(text: str) -> str:
    """``text`` on one line of bounded length, without control characters."""
    text = "".join(c if c.isprintable() else " " for c in text[: _LINE + 1].rstrip())
    return text if len(text) <= _LINE else text[: _LINE - 3] + "..."


def metrics_in(result: Path, output: Path) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics in a result file or, if there is none, in the last line of output.

    Returns:
        The finite numbers by name, and the other entries (NaN, a device name) as JSON text.

    Raises:
        ValueError: there are none, or they are no JSON object; the message says what was found.
    """
    text, where = tail(result), "its result file"
    if not text.strip():
        text, where = last_line(output), "its last line of output"
        if not text:
            raise ValueError("it wrote no metrics: neither a result file nor any output")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ValueError(f"{where} is no JSON object of metrics: {shown(text.strip())}")
    if not data:
        raise ValueError(f"{where} has no metrics: {shown(text.strip())}")
    metrics: dict[str, float] = {}
    others: dict[str, str] = {}
    for name, value in data.items():
        if finite(value):
            metrics[name] = float(value)
        else:
            others[name] = (
                shown(json.dumps(value))[:60] if not isinstance(value, int) else "too big"
            )
    return metrics, others


def finite(value: object) -> bool:
    """Whether ``value`` is a number that a float can hold; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
