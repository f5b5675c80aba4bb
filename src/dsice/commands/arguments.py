"""Arguments shared by several commands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

from dsice.errors import InvalidInput

# A string, since the class is not subscriptable at run time.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_directory(parser: argparse.ArgumentParser, then: str = "") -> None:
    """Add ``DIR``, which may be omitted if there is only one study: see `find_directory`.

    ``then`` is the argument that follows it, if any: a list, or a single value.
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
    """Find the study if the command line names none.

    Raises:
        InvalidInput: there is no study, or there are several.
    """
    if not getattr(options, "finds_study", False):
        return
    given, then = options.directory, options.then
    if given is not None and then and not given.exists():
        # Without DIR, argparse puts the first of the following arguments in its place.
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
    """Parse ``9 h`` to seconds; the type of an argument."""
    from dsice.units import seconds

    try:
        return seconds(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
