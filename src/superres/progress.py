"""Progress of long commands, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

# Seconds between two lines without a terminal; short runs print none.
_PAUSE = 2.0


class Progress:
    """A bar in a terminal, otherwise a line every few seconds; use it as a context manager.

    Args:
        done: what is counted, such as "images judged".
        count: the total number.
    """

    def __init__(self, done: str, count: int) -> None:
        self._what = done
        self._count = count
        self._done = 0
        self._started = self._last = time.monotonic()
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._bar.add_task(self._what, total=self._count)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count one more."""
        self._done += 1
        now = time.monotonic()
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        elif self._done < self._count and now - self._last >= _PAUSE:
            self._last = now
            left = (now - self._started) / self._done * (self._count - self._done)
            print(
                f"{self._done} of {self._count} {self._what}, {_clock(left)} left",
                file=sys.stderr,
                flush=True,
            )


def say(line: str) -> None:
    """Print a line about the current work on standard error."""
    print(line, file=sys.stderr, flush=True)


def _make_bar() -> Bar:
    # rich is slow to import, and most runs have no terminal.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines printed meanwhile appear above the bar, if they also go to a terminal.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
