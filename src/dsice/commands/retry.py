"""``dsice retry``: measures trials again."""

from __future__ import annotations

import argparse

from dsice.commands.arguments import Subparsers, add_directory
from dsice.commands.wish import ANYTIME, done


def add(commands: Subparsers) -> None:
    """Add the command to the parser's ``commands``."""
    parser = commands.add_parser(
        "retry",
        help="measure trials again",
        description="Let trials be measured again, in the same folders: their results count no "
        "more, cost no budget, and the search forgets them until they are there anew. The jobs of "
        f"trials that run are ended first. {ANYTIME}",
    )
    add_directory(parser, then="trials")
    parser.add_argument("trials", type=int, nargs="*", metavar="TRIAL", help="numbers of trials")
    parser.add_argument("--failed", action="store_true", help="all that failed")
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="all that failed for a reason that contains this text, such as 'out of memory'",
    )
    parser.set_defaults(command=_retry)


def _retry(options: argparse.Namespace) -> int:
    from dsice.study.wishes import retried

    return done(
        options.directory,
        lambda study: retried(study, options.trials, options.failed, options.reason),
    )
