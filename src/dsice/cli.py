"""The command line: its parser, and how every command ends."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from dsice.commands import (
    add,
    best,
    compare,
    completion,
    discard,
    explain,
    export,
    import_,
    init,
    list_,
    repair,
    report,
    retry,
    run,
    schema,
    serve,
    simulate,
    status,
    stop,
    sweep,
    watch,
)
from dsice.commands.arguments import find_directory
from dsice.commands.parser import Parser
from dsice.console import CannotWrite, complain, written
from dsice.errors import DsiceError
from dsice.signals import handled
from dsice.version import __version__

# In the order of --help.
_COMMANDS: Final = (
    run,
    simulate,
    stop,
    status,
    list_,
    explain,
    watch,
    best,
    sweep,
    compare,
    report,
    serve,
    export,
    import_,
    retry,
    discard,
    add,
    repair,
    init,
    schema,
    completion,
)
_ABOUT = """\
Find the best parameters of a program that is expensive to run, in few runs.

  dsice init                 write a study file to start from
  dsice run study.toml       run the study; the same command resumes it
  dsice simulate study.toml  how long it would take, and how good the best would be
  dsice status runs/NAME     how far it is
  dsice stop runs/NAME       begin no new trials, wherever it runs
  dsice best runs/NAME       the best parameters so far
  dsice sweep runs/NAME      the best at every bound of a range, and where more is to be found
  dsice explain runs/NAME    why points were proposed, and what the parameters do
  dsice list runs            all studies in a folder
  dsice compare runs/A runs/B  what each of several studies found, and how soon
  dsice watch runs/NAME      see it run, from anywhere
  dsice report runs/NAME     write a page with pictures
  dsice serve runs/NAME      the same page, live, in a browser
  dsice export runs/NAME     write the trials for optuna-dashboard, as CSV or as Parquet
  dsice import study.toml results.csv   make results from elsewhere known to a study
  dsice retry runs/NAME --failed        measure trials again
  dsice discard runs/NAME 7 --why TEXT  let trials not count
  dsice add runs/NAME lr=1e-3 ...       measure a point, or let its result be known
  dsice repair runs/NAME     check a study's files, after a restored backup for example
"""
_CODES = """\
exit codes:
  0    well
  1    failed: no trial was measured, a stage failed, trials failed alike in a row, a full disk, ...
  2    bad input, or another driver is at work; nothing was started or changed
  75   'run' and 'sweep': out of its own time (--stop-after); the same command goes on
  130  stopped on request; the same command goes on
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0 well, 1 failed, 2 bad input, 75 out of its own time, 130 interrupted.
    """
    try:
        with written():
            return _answer(arguments)
    except CannotWrite as error:
        if not str(error):  # the reader has seen enough
            return 0
        complain(str(error))
        return 1


def _answer(arguments: Sequence[str] | None) -> int:
    interrupts: list[int] = []
    try:
        options = parser().parse_args(arguments)
        with _noted(interrupts):
            find_directory(options)
            code: int = options.command(options)
        return code
    except KeyboardInterrupt:
        return _interrupted()
    except (OSError, CannotWrite):
        raise
    except Exception as error:
        if interrupts:  # some imports, NumPy's for one, make an ImportError of a Ctrl-C
            return _interrupted()
        if not isinstance(error, DsiceError):
            raise
        complain(str(error))
        return error.exit_code


def _interrupted() -> int:
    complain("interrupted")
    return 130


@contextmanager
def _noted(interrupts: list[int]) -> Iterator[None]:
    """Within, each Ctrl-C is added to ``interrupts`` before it raises KeyboardInterrupt."""

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, or seen to by whoever runs us
        return
    with handled(note, signal.SIGINT):
        yield


def parser() -> argparse.ArgumentParser:
    """The parser of the command line; ``command`` of what it parses is the command's function."""
    parser: argparse.ArgumentParser = Parser(
        prog="dsice",
        description=_ABOUT,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dsice {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="called"
    )
    parser.set_defaults(parser=parser)

    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
