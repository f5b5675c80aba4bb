"""Standard output and standard error in any state: odd encodings, closed pipes, full disks."""

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
    """A file or standard output cannot be written; the message says why.

    The message is empty if the reader of standard output has closed it.
    """


@contextmanager
def written() -> Iterator[None]:
    """Flush everything that is printed within the block.

    Raises:
        CannotWrite: some of it could not be written.
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
    """The console for answers: standard output. Lines are not wrapped for files and pipes."""
    console = safe_console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def notices() -> Console:
    """The console for progress: standard error, which leaves standard output to answers."""
    return safe_console(stderr=True)


def safe_console(**options: Any) -> Console:
    """A console that escapes control characters: no value of a study can style or move anything.

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
    """Write characters that the encoding lacks as escapes, for example in an ASCII locale."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _silence() -> None:
    """Drop what is still buffered, so that the interpreter does not complain at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
