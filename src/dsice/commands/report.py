"""``dsice report``: writes the report of a study."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dsice.commands.arguments import Subparsers
from dsice.errors import InvalidInput
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "report",
        help="write a page with pictures of a study, or of several",
        description="Write a page with pictures of a study. Of several, a page that compares them, "
        "by the goal of the first one.",
    )
    parser.add_argument(
        "directories",
        type=Path,
        nargs="*",
        metavar="DIR",
        help="of the study, or of several; may be left out where there is exactly one",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="instead of DIR/report.html, or of comparison.html; - for standard output",
    )
    parser.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    from dsice.exchange.output import put
    from dsice.files import is_open_file
    from dsice.report import write_report
    from dsice.report.html import report
    from dsice.study.find import the_study
    from dsice.study.state import Study

    if options.out is not None and options.out.is_dir():
        raise InvalidInput(f"cannot write {options.out}: it is a folder; name a file")
    if len(options.directories) > 1:
        return _report_several(options.directories, options.out)
    study = Study.open(*(options.directories or [the_study()]))
    if str(options.out) == "-":
        put("-", report(study))
        return 0
    path = write_report(study, options.out)
    say(f"Report: {path}", to=sys.stderr if is_open_file(path) else sys.stdout)
    return 0


def _report_several(directories: list[Path], out: Path | None) -> int:
    from dsice.exchange.output import put
    from dsice.report.several import comparison_page, write_comparison
    from dsice.several.comparison import Comparison
    from dsice.study.state import Study

    found = Comparison.of([Study.open(path) for path in directories])
    if str(out) == "-":
        put("-", comparison_page(found))
        return 0
    say(f"Report: {write_comparison(found, out or Path('comparison.html'))}")
    return 0
