"""``dsice list``: lists the studies in a folder with their progress and best result."""

from __future__ import annotations

import argparse
from pathlib import Path

from dsice.commands.arguments import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "list",
        help="the studies in a folder, how far they are and how good their best is",
        description="All studies in a folder and below it, the latest first. Nothing is changed. A "
        "study whose files are damaged is listed with what is wrong.",
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(), metavar="FOLDER", help="this one by default"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_list)


def _list(options: argparse.Namespace) -> int:
    import json

    from dsice.console import answers
    from dsice.several.listing import Entry
    from dsice.several.show import show_list
    from dsice.study.find import studies_below
    from dsice.text import say

    entries = [Entry.of(path) for path in studies_below(options.folder)]
    entries.sort(key=lambda entry: -entry.seen)
    if options.json:
        say(json.dumps([entry.as_json() for entry in entries], indent=1))
    elif entries:
        show_list(answers(), entries)
    else:
        say(f"There is no study in {options.folder.resolve()}")
    return 0
