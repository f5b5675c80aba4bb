"""``dsice status``: prints the state of a study."""

from __future__ import annotations

import argparse
import json
import sys

from dsice.commands.arguments import Subparsers, add_directory
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser("status", help="how far a study is")
    add_directory(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from dsice.console import answers
    from dsice.study.baseline import Baseline
    from dsice.study.state import Study
    from dsice.study.summary import (
        as_json,
        batch_line,
        change_lines,
        driver_line,
        known_line,
        sources_line,
    )
    from dsice.terminal import view

    study = Study.open(options.directory).look_at_jobs()
    if options.json:
        say(json.dumps(as_json(study), indent=1))
        return 0
    if study.warning:
        say(f"Warning: {study.warning}", to=sys.stderr)
    console = answers()
    console.print(view(study, live=study.directory.lock.is_held()))
    grid = f"Grid: {study.config.grid.counts()}."
    baseline = Baseline.of(study)
    compared = baseline.line(study.goal) + "." if baseline else ""
    lines = (compared, sources_line(study), known_line(study), batch_line(study))
    for line in (grid, *change_lines(study), *lines, driver_line(study)):
        if line:
            console.print(line)
    return 0
