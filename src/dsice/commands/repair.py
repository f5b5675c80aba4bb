"""``dsice repair``: finds and repairs damage to a study's files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dsice.commands.arguments import Subparsers, add_directory
from dsice.text import one_line, say


def add(commands: Subparsers) -> None:
    """Add the command to the parser's ``commands``."""
    parser = commands.add_parser(
        "repair",
        help="find out what is wrong with a study's files, and mend it",
        description="Check a study's journal against its job folders, after a backup was restored, "
        "a disk was damaged or files were copied while a driver was at work. Without --write "
        "nothing is changed. Lost lines of the journal are brought back from the folders; folders "
        "that the journal does not know are adopted where they say what they measured, or set "
        "aside. Everything that is replaced or moved is kept in DIR/repair-1. Exit code 1 if "
        "something is wrong and nothing was changed.",
    )
    add_directory(parser)
    parser.add_argument("--write", action="store_true", help="do it")
    parser.add_argument(
        "--set-aside",
        action="store_true",
        help="move folders that the journal does not know away, instead of adopting them",
    )
    parser.set_defaults(command=_repair)


def _repair(options: argparse.Namespace) -> int:
    from dsice.repair.plan import Repair
    from dsice.study.directory import StudyDirectory

    directory: Path = options.directory
    place = StudyDirectory.at(directory)
    place.require_study()
    if not options.write:
        found = Repair.of(directory, adopt=not options.set_aside)
        _say(found)
        if found.findings:
            say("Nothing was changed. --write does this.")
        return 1 if found.findings else 0
    with place.lock.held():
        found = Repair.of(directory, adopt=not options.set_aside)
        _say(found)
        if found.findings:
            kept = found.write()
            say(f"Done. What was replaced or moved is in {kept}.")
    return 0


def _say(found: Any) -> None:
    for finding in found.findings:
        say(one_line(f"- {finding}"))
    if not found.findings:
        say("Nothing is wrong.")
