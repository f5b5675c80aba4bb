"""Standard output and standard error in any state: other encodings, closed pipes, full disks."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

WIDE: Final = 200
"""Columns of what is written to a file or to another program."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class CannotWrite(Exception):
    """Standard output takes no more; the message says why, and is empty if its reader has left."""


@contextmanager
def written() -> Iterator[None]:
    """All that is printed within is on its way at the end.

    Raises:
        CannotWrite: some of it is not.
    """
    _accept_any_character()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise CannotWrite from None
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _silence()
        where = error.filename or "the output"
        raise CannotWrite(f"cannot write {where}: {error.strerror}") from None


def complain(text: str) -> None:
    """Print a line to standard error, if that can be written."""
    with suppress(OSError):
        print(f"dsice: {text}", file=sys.stderr, flush=True)


def answers() -> Console:
    """Where answers are printed: standard output. Lines for a file or a program are not broken."""
    console = _console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def notices() -> Console:
    """Where it is said how things go: standard error, which leaves standard output to answers."""
    return _console(stderr=True)


def _console(stderr: bool = False) -> Console:
    from rich import console  # takes longer to load than a short command

    class Honest(console.Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # Rich would close standard output and end the program

    return Honest(stderr=stderr, highlight=False, markup=False)


def _accept_any_character() -> None:
    """Write what an encoding lacks as an escape, such as in a locale that knows ASCII only."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _silence() -> None:
    """Drop what is still buffered: it must not complain at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
