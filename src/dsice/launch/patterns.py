"""Extracting metrics from ordinary output by regular expressions.

Output may be huge and hostile, and an expression may backtrack badly: both the amount of text and
the matching time are bounded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dsice.errors import InvalidInput
from dsice.files import NotRegular, open_regular
from dsice.launch.output import finite, last_line_of, shown
from dsice.quantity import number_in

if TYPE_CHECKING:
    import regex

_END: Final = 4_000_000  # bytes read from the end of a file
_SECONDS: Final = 10.0  # CPU seconds for all expressions of a job together
_LONGEST: Final = 2_000  # characters of an expression


@dataclass(frozen=True, slots=True)
class Pattern:
    """How to find a metric in a program's output.

    Attributes:
        pattern: a regular expression. The first group that takes part in the match is the number,
            or the whole match without groups. The last match counts.
        unit: the unit to convert to if the number has a unit, see `dsice.quantity.number_in`.
        file: a file in the program's working directory that is read instead of the output.
        needed: whether a job without this metric has failed.
    """

    pattern: str
    unit: str = ""
    file: str = ""
    needed: bool = False


def check(pattern: str) -> None:
    """Check that an expression is valid.

    Raises:
        InvalidInput: it is not; the message says where it is wrong.
    """
    _compiled(pattern)


def _compiled(pattern: str) -> regex.Pattern[str]:
    import regex  # not loaded by studies without patterns

    if len(pattern) > _LONGEST:
        raise InvalidInput(f"a regular expression of over {_LONGEST:,} characters")
    try:
        return regex.compile(pattern, regex.MULTILINE)
    except (regex.error, RecursionError, OverflowError) as error:
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at character {place + 1}"
        what = getattr(error, "msg", None) or "too deep"
        raise InvalidInput(f"{pattern!r} is no regular expression: {what}{where}") from None


class _Budget:
    """The remaining CPU time for matching."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._end = time.process_time() + seconds

    @property
    def left(self) -> float:
        return max(self._end - time.process_time(), 0.001)


def last_match(pattern: str, text: str, budget: float = _SECONDS) -> str | None:
    """The value of the last match of an expression in ``text``; None if there is none.

    Raises:
        ValueError: matching took too long, as some expressions do on some texts.
    """
    return _last_match(pattern, text, _Budget(budget))


def _last_match(pattern: str, text: str, budget: _Budget) -> str | None:
    last = None
    try:
        for match in _compiled(pattern).finditer(text, timeout=budget.left):
            last = match
    except TimeoutError:
        raise ValueError(
            f"the regular expression {pattern!r} takes too long on its output: make it simpler"
        ) from None
    if last is None:
        return None
    groups = [group for group in last.groups() if group is not None]
    return str(groups[0] if groups else last[0])


def metrics_by(
    patterns: Mapping[str, Pattern], stdout: Path, stderr: Path, folder: Path, since_ns: int = 0
) -> tuple[dict[str, float], dict[str, str]]:
    """Extract metrics from a program's output by expressions.

    Only the last 4 MB of each file are read. The error output is searched only for metrics that the
    standard output lacks.

    Args:
        patterns: by the names of their metrics.
        stdout: the program's output.
        stderr: its error output.
        folder: its working directory.
        since_ns: when it started, as a file time: older files were not written by it.

    Returns:
        The finite numbers by name, and the texts found instead of finite numbers, by name.

    Raises:
        ValueError: a required metric was not found, or an expression takes too long.
        OSError: a file exists and cannot be read.
    """
    metrics: dict[str, float] = {}
    others: dict[str, str] = {}
    texts: dict[Path, str] = {}
    budget = _Budget()
    for name, each in patterns.items():
        found = None
        for path in [folder / each.file] if each.file else [stdout, stderr]:
            if path not in texts:
                texts[path] = _end_of(path, since_ns if each.file else 0)
            if found is None:
                found = _last_match(each.pattern, texts[path], budget)
        try:
            value = None if found is None else number_in(found, each.unit)
        except ValueError as error:
            if each.needed:
                raise ValueError(f"metric {name!r}: {error}") from None
            others[name] = shown(found or "")
            continue
        if value is None:
            if each.needed:
                raise ValueError(_not_found(name, each, texts, stdout, stderr))
        elif finite(value):
            metrics[name] = value
        else:
            others[name] = str(value)
    return metrics, others


def _not_found(
    name: str, pattern: Pattern, texts: Mapping[Path, str], stdout: Path, stderr: Path
) -> str:
    what = f"metric {name!r} is not in"
    if pattern.file:
        return f"{what} its file {pattern.file!r}, where nothing matches {pattern.pattern!r}"
    last = last_line_of(texts[stdout]) or last_line_of(texts[stderr])
    said = f"; its last line is: {shown(last)}" if last else ", which is empty"
    return f"{what} its output, where nothing matches {pattern.pattern!r}{said}"


def _end_of(path: Path, since_ns: int) -> str:
    try:
        with open(path, "rb", opener=open_regular) as file:
            if os.fstat(file.fileno()).st_mtime_ns < since_ns:
                return ""
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
            # As in a terminal: each rewriting of a line is a line of its own.
            text = file.read(_END).decode(errors="replace")
            return text.replace("\r\n", "\n").replace("\r", "\n")
    except (FileNotFoundError, NotADirectoryError, NotRegular):
        return ""


def sample_value(pattern: Pattern, sample: str) -> float:
    """The number that an expression finds in the user's sample line.

    Raises:
        InvalidInput: it finds none.
    """
    try:
        found = last_match(pattern.pattern, sample)
        if found is None:
            raise InvalidInput(f"{pattern.pattern!r} finds nothing in the sample {sample!r}")
        value = number_in(found, pattern.unit)
    except InvalidInput:
        raise
    except ValueError as error:
        raise InvalidInput(f"of the sample {sample!r}: {error}") from None
    if not finite(value):
        raise InvalidInput(f"of the sample {sample!r}: {value} is no finite number")
    return value


def check_named(pattern: str) -> None:
    """Check an expression whose named groups are metrics.

    Raises:
        InvalidInput: it is not valid, or has no named group.
    """
    if not _compiled(pattern).groupindex:
        raise InvalidInput(
            f"{pattern!r} names no group: write each number that it is to tell as "
            r"(?P<name>...), such as 'epoch (?P<epoch>\d+): loss (?P<loss>[\d.]+)'"
        )


def sample_entry(pattern: str, sample: str) -> dict[str, Any]:
    """The values of an expression's named groups in the user's sample line.

    Raises:
        InvalidInput: it does not match.
    """
    for entry in LineReader(pattern).entries([sample]):
        return entry
    raise InvalidInput(f"{pattern!r} finds nothing in the sample {sample!r}")


class LineReader:
    """Extracts metrics from each line, by the named groups of an expression.

    Args:
        pattern: the expression.

    Attributes:
        given_up: whether matching took too long, after which nothing is extracted.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = _compiled(pattern)
        self.given_up = False

    def entries(self, lines: list[str]) -> Iterator[dict[str, Any]]:
        """The metrics of each matching line, by name: numbers, or other texts unchanged."""
        for line in lines:
            if self.given_up:
                return
            try:
                match = self._pattern.search(line, timeout=1.0)
            except TimeoutError:
                self.given_up = True
                return
            if match is not None:
                groups = {name: text for name, text in match.groupdict().items() if text}
                yield {name: _plain(text) for name, text in groups.items()}


def _plain(text: str) -> float | int | str:
    try:
        value = number_in(text)
    except ValueError:
        return shown(text)
    if not finite(value):
        return shown(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
