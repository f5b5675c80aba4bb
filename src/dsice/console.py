"""Standard output and standard error in any state: other encodings, closed pipes, full disks."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dsice.text import say, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

WIDE: Final = 200
"""Columns of what is written to a file or to another program."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class CannotWrite(Exception):
    """A file or standard output takes no more, or is not there; the message says why.

    It is empty if the reader of standard output has left.
    """


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
        where = error.filename or "the output"
        if error.errno not in _FULL:
            raise CannotWrite(f"cannot use {where}: {error.strerror or error}") from None
        _silence()
        raise CannotWrite(f"cannot write {where}: {error.strerror}") from None


def complain(text: str) -> None:
    """Print a line to standard error, if that can be written."""
    with suppress(OSError):
        say(f"dsice: {text}", to=sys.stderr)


def answers() -> Console:
    """Where answers are printed: standard output. Lines for a file or a program are not broken."""
    console = safe_console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def notices() -> Console:
    """Where it is said how things go: standard error, which leaves standard output to answers."""
    return safe_console(stderr=True)


def safe_console(**options: Any) -> Console:
    """A console on which text stays text: no value of a study can style, move or clear anything.

    Args:
        options: of `rich.console.Console`.
    """
    from rich import console  # takes longer to load than a short command
    from rich.segment import Segment

    class Safe(console.Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield segment._replace(text=visible(segment.text))

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # Rich would close standard output and end the program

    return Safe(highlight=False, markup=False, emoji=False, **options)


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
