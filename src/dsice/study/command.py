"""The command of a trial or a stage: an argument list with fields such as ``{w_mse}``.

Each argument is filled separately, so a value never becomes two arguments and no shell is involved.
A doubled brace, ``{{`` or ``}}``, is a literal brace. An argument with the field of a conditional
parameter, such as ``--momentum={momentum}``, is omitted where the parameter does not apply.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.grid import Value
from dsice.launch.processes import search_path

_PIECE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def fields(text: str) -> list[str]:
    """The names of the fields in ``text``.

    Raises:
        InvalidInput: a brace is unmatched.
    """
    names = []
    for piece in _PIECE.finditer(text):
        if piece[1] is not None:
            names.append(piece[1])
        elif len(piece[0]) == 1:
            raise InvalidInput(f"a single {piece[0]!r} in {text!r}: double it to mean the brace")
    return names


def check(text: str, known: Iterable[str]) -> None:
    """Check that every field of ``text`` is among ``known``.

    Raises:
        InvalidInput: a field is unknown; the message lists the known ones.
    """
    accepted = list(known)
    for name in fields(text):
        if name not in accepted:
            close = difflib.get_close_matches(name, accepted, 1)
            hint = f"did you mean {{{close[0]}}}? " if close else ""
            raise InvalidInput(
                f"unknown field {{{name}}} in {text!r}: {hint}accepted are "
                + ", ".join(f"{{{each}}}" for each in accepted)
            )


def fill(text: str, values: Mapping[str, Value]) -> str:
    """``text`` with its fields replaced by ``values``."""

    def piece(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else shown(values[match[1]])

    return _PIECE.sub(piece, text)


def filled(items: Iterable[str], values: Mapping[str, Value]) -> list[str]:
    """An argument list with its fields replaced.

    An item with a field without a value is omitted: its parameter does not apply, or is a flag
    that is not set.
    """
    return [fill(item, values) for item in items if set(fields(item)) <= values.keys()]


def with_flags(values: Mapping[str, Value], flags: Mapping[str, str]) -> dict[str, Value]:
    """``values`` with flags replaced by their arguments if set, and removed otherwise."""
    return {
        name: flags.get(name, value)
        for name, value in values.items()
        if name not in flags or value is True
    }


def shown(value: Value) -> str:
    """Format a parameter value for a command: 8, 0.001, soa, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def check_program(program: str, path: str | None = None) -> None:
    """Check that a program exists.

    Args:
        program: the first argument of a filled command.
        path: the search path, in the form of PATH; `search_path` by default.

    Raises:
        InvalidInput: it does not exist, or is not executable.
    """
    if os.sep in program and not Path(program).is_absolute():
        raise InvalidInput(
            f"command {program!r} is a relative path, and each job has a folder of its own: "
            f"write {{study}}/{program} for a file beside the study file"
        )
    if shutil.which(program, path=path or search_path()) is None:
        raise InvalidInput(f"command {program!r} is not found, or is not executable")
