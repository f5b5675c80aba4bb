"""``dsice compare``: compares studies."""

from __future__ import annotations

import argparse
from pathlib import Path

from dsice.commands.arguments import Subparsers


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "compare",
        help="studies beside each other: what each found, how soon, and where they agree",
        description="What each of several studies found and how soon, by the goal of the first: "
        "the best after equal numbers of trials, the best parameters side by side, and how the "
        "results at points that two studies measured agree. 'dsice report A B' draws it.",
    )
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR", help="two or more")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    import json

    from dsice.console import answers
    from dsice.several.comparison import Comparison
    from dsice.several.show import show_comparison
    from dsice.study.state import Study
    from dsice.text import say

    found = Comparison.of([Study.open(path) for path in options.directories])
    if options.json:
        say(json.dumps(found.as_json(), indent=1))
    else:
        show_comparison(answers(), found)
    return 0
