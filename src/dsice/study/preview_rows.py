"""The lines of a dry run: rows with a heading, levels, commands and files."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Mapping
from typing import Final

from dsice.grid import Axis, Grid, Params
from dsice.launch import output
from dsice.launch.job import JobSpec
from dsice.study.beliefs import Belief
from dsice.study.command import shown
from dsice.study.program_table import CommandConfig
from dsice.units import count, percent

_WIDTH: Final = 12  # of the first column, in characters
_LEVELS: Final = 6  # levels of an axis that are shown
_BELIEVED: Final = 3  # levels whose probability is shown
_LINES: Final = 12  # lines of a file that are shown


def row(head: str, text: str) -> list[str]:
    """A text behind a heading, wrapped to 100 characters."""
    space = " " * _WIDTH
    return textwrap.wrap(
        text,
        100,
        initial_indent=f"{head:<{_WIDTH - 1}} ",
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )


def setting_of(params: Params) -> str:
    """The values of a point, in one line."""
    return ", ".join(f"{name} = {shown(value)}" for name, value in params.items())


def grid_rows(grid: Grid, beliefs: Mapping[str, Belief]) -> list[str]:
    """The levels of each axis, and what the user believes of them."""
    lines = []
    for axis in grid.axes:
        lines += row(f"  {axis.name}", _levels(axis))
        if (belief := beliefs.get(axis.name)) is not None:
            whole = math.fsum(belief.values())
            likely = sorted(belief.items(), key=lambda item: -item[1])[:_BELIEVED]
            said = ", ".join(f"{shown(value)} ({percent(each / whole)})" for value, each in likely)
            more = ", ..." if len(belief) > _BELIEVED else ""
            lines += row("", f"You believe most in {said}{more}")
    return lines


def _levels(axis: Axis) -> str:
    values = [shown(level) for level in axis.levels]
    if len(values) > _LEVELS:
        values = [*values[: _LEVELS - 2], "...", values[-1]]
    order = "" if axis.ordered else ", without order"
    when = "" if axis.when is None else f", where {axis.when}"
    return f"{count(len(axis), 'level')}{order}: {', '.join(values)}{when}"


def command_rows(spec: JobSpec) -> list[str]:
    """A command in the notation of a shell, for reading; a long one in several lines."""
    line, before = "", ""
    for word in map(shlex.quote, spec.command):
        if line and len(line) + len(word) > 84:
            before += line + " \\\n"
            line = "  "
        line += word if not line.strip() else f" {word}"
    return indented(before + line) + _files(spec)


def environment_rows(program: CommandConfig, spec: JobSpec) -> list[str]:
    """The environment variables that a program is given."""
    given = [name for name in program.env if name in spec.env]  # some may not apply
    return row("  env", ", ".join(f"{name}={shlex.quote(spec.env[name])}" for name in given))


def indented(text: str) -> list[str]:
    """The lines of a text, indented to the second column."""
    return [f"{'':{_WIDTH}}{line}" if line else "" for line in output.lines(text)]


def _files(spec: JobSpec) -> list[str]:
    """The input files of a program, or their first lines."""
    shown_lines = []
    for name, text in spec.files.items():
        found = output.lines(text.removesuffix("\n"))
        more = [f"... ({len(found):,} lines)"] if len(found) > _LINES else []
        shown_lines += row("", f"with the file {name}:")
        shown_lines += [f"{'':{_WIDTH}}  | {line}" for line in found[:_LINES] + more]
    return shown_lines
