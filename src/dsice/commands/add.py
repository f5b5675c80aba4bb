"""``dsice add``: adds a point to be measured, or one with a known result."""

from __future__ import annotations

import argparse

from dsice.commands.arguments import Subparsers, add_directory
from dsice.commands.wish import ANYTIME, done
from dsice.text import one_line, say


def add(commands: Subparsers) -> None:
    """Add the command to the parser's ``commands``."""
    parser = commands.add_parser(
        "add",
        help="have a point measured, or let its result be known",
        description="Have a point measured before the search goes on, as a trial of the budget. "
        "With --metrics, its result is known from elsewhere: the search learns from it, and it is "
        f"no trial. {ANYTIME}",
    )
    add_directory(parser, then="setting")
    parser.add_argument(
        "setting", nargs="+", metavar="NAME=VALUE", help="a value of every parameter: lr=1e-3"
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME=VALUE",
        help="what was measured there: loss=0.3; those of the goal at least",
    )
    parser.add_argument(
        "--nearest",
        action="store_true",
        help="numbers that are no levels stand for the nearest ones",
    )
    parser.set_defaults(command=_add)


def _add(options: argparse.Namespace) -> int:
    from dsice.study.wishes import added

    metrics = None if options.metrics is None else ",".join(options.metrics)
    setting = ",".join(options.setting)
    return done(
        options.directory,
        lambda study: added(study, setting, metrics, options.nearest, _tell),
    )


def _tell(note: str) -> None:
    say(one_line(f"{note}."))
