"""``dsice stop``: stops the driver of a study."""

from __future__ import annotations

import argparse

from dsice.commands.arguments import Subparsers, add_directory
from dsice.text import say


def add(commands: Subparsers) -> None:
    """Add the command to the subparsers."""
    parser = commands.add_parser(
        "stop",
        help="stop a study, wherever its driver runs",
        description="Ask the driver of a study to stop, from any machine that sees the directory. "
        "'dsice run' goes on with the study later: nothing is lost.",
    )
    add_directory(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--drain",
        dest="how",
        action="store_const",
        const="drain",
        help="begin no new trials, wait for those that run (the default)",
    )
    how.add_argument(
        "--cancel",
        dest="how",
        action="store_const",
        const="cancel",
        help="end those that run, too; also those that a dead driver left in a batch system",
    )
    how.add_argument(
        "--leave",
        dest="how",
        action="store_const",
        const="leave",
        help="end the driver only; what runs goes on",
    )
    parser.set_defaults(command=_stop, how="drain")


def _stop(options: argparse.Namespace) -> int:
    from dsice.launch.make import make_launcher
    from dsice.study.run import ask_to_stop, end_what_runs
    from dsice.study.state import Study
    from dsice.study.stop import Stop
    from dsice.study.task import Status

    study = Study.open(options.directory)
    place = study.directory
    how = Stop[options.how.upper()]
    if place.lock.is_held():
        ask_to_stop(place, how)
        say(f"Asked the driver ({place.lock.holder()}) to stop: {options.how}.")
        return 0
    running = len(study.with_status(Status.RUNNING))
    if not running or how is not Stop.CANCEL:
        left = f", but {running} of its jobs may be; --cancel ends them" if running else ""
        say(f"No driver is at work on {options.directory}{left}.")
        return 0
    run = study.config.run
    end_what_runs(study, make_launcher(run.on, run.settings, place.batch))
    say(f"Ended what a driver had left running: {running} trials, to begin again on resumption.")
    return 0
