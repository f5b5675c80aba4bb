"""What the arguments of several commands have in common."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from dsice.errors import InvalidInput

# A string, as the class takes no parameters while the program runs.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_directory(parser: argparse.ArgumentParser, then: str = "") -> None:
    """Add ``DIR``, which may be left out where there is one study: see `find_directory`.

    ``then`` is the argument that follows it, if one does: a list, or a single value.
    """
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="of the study; may be left out where there is exactly one, here or in runs/",
    )
    parser.set_defaults(finds_study=True, then=then)


def find_directory(options: argparse.Namespace) -> None:
    """Find the study that is meant where a command was given none.

    Raises:
        InvalidInput: there is none, or there are several.
    """
    if not getattr(options, "finds_study", False):
        return
    given, then = options.directory, options.then
    if given is not None and then and not given.exists():
        # Without DIR, the first of what follows it stands in its place.
        text = str(given)
        value: object = int(text) if text.isdecimal() else text if "=" in text else None
        if value is not None:
            rest = getattr(options, then)
            setattr(options, then, [value, *rest] if isinstance(rest, list) else value)
            options.directory = given = None
    if given is None:
        from dsice.study.find import the_study

        options.directory = the_study()


def duration(text: str) -> float:
    """Seconds from ``9 h``, as the type of an argument."""
    from dsice.units import seconds

    try:
        return seconds(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
