"""``dsice discard``: excludes trials from the results."""

from __future__ import annotations

import argparse

from dsice.commands.arguments import Subparsers, add_directory
from dsice.commands.wish import ANYTIME, done


def add(commands: Subparsers) -> None:
    """Add the command to the parser's ``commands``."""
    parser = commands.add_parser(
        "discard",
        help="let trials not count",
        description="Say that the results of trials do not count. They are not measured again, "
        "cost no budget, and the search learns nothing from them; 'dsice retry' brings them back. "
        f"Those that run are ended. {ANYTIME}",
    )
    add_directory(parser, then="trials")
    parser.add_argument("trials", type=int, nargs="+", metavar="TRIAL", help="numbers of trials")
    parser.add_argument("--why", required=True, metavar="TEXT", help="why, for whoever asks later")
    parser.set_defaults(command=_discard)


def _discard(options: argparse.Namespace) -> int:
    from dsice.study.wishes import discarded

    return done(options.directory, lambda study: discarded(study, options.trials, options.why))
