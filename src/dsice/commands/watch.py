"""``dsice watch``: shows a study that another process runs."""

from __future__ import annotations

import argparse

from dsice.commands.arguments import Subparsers, add_directory
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add ``watch`` to the subparsers of the command line."""
    watch = commands.add_parser(
        "watch",
        help="the live view of a study that runs elsewhere",
        description="Show a study as 'dsice run' does, from any machine that sees the directory, "
        "until its driver ends or Ctrl-C. Nothing is changed, and the study goes on.",
    )
    add_directory(watch)
    watch.set_defaults(command=_watch)


def _watch(options: argparse.Namespace) -> int:
    from dsice.live.watch import watch
    from dsice.study.summary import driver_line
    from dsice.terminal import Terminal

    with Terminal(watching=True) as terminal:
        try:
            study = watch(options.directory, terminal)
        except KeyboardInterrupt:  # the normal way to end
            return 0
    say(driver_line(study, touching=False))
    return 0
