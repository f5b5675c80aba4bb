"""``dsice init``: writes an example study file."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from dsice.commands.arguments import Subparsers
from dsice.errors import InvalidInput
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser("init", help="write a commented study file to start from")
    parser.add_argument("file", type=Path, nargs="?", default=Path("study.toml"), metavar="FILE")
    parser.set_defaults(command=_init)


def _init(options: argparse.Namespace) -> int:
    from importlib.resources import files

    text = files("dsice").joinpath("study", "template.toml").read_text(encoding="utf-8")
    if str(options.file) == "-":
        say(text.removesuffix("\n"))
        return 0
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidInput(f"{options.file} exists already; it is left as it is") from None
    except OSError as error:
        raise InvalidInput(f"cannot write {options.file}: {error.strerror}") from None
    say(f"Wrote {options.file}. Edit it, then: dsice run {shlex.quote(str(options.file))}")
    return 0
