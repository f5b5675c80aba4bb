"""``dsice report``: its arguments, and what it does with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dsice.commands.arguments import Subparsers
from dsice.errors import InvalidInput
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser("report", help="write a page with pictures of a study")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="instead of DIR/report.html; - for standard output"
    )
    parser.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from dsice.exchange.output import put
    from dsice.files import is_open_file
    from dsice.report import write_report
    from dsice.report.html import report
    from dsice.study.state import Study

    study = Study.open(options.directory)
    if str(options.out) == "-":
        put("-", report(study))
        return 0
    if options.out is not None and options.out.is_dir():
        raise InvalidInput(f"cannot write {options.out}: it is a folder; name a file")
    path = write_report(study, options.out)
    say(f"Report: {path}", to=sys.stderr if is_open_file(path) else sys.stdout)
    return 0
