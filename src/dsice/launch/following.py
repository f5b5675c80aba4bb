"""Following a program's output: intermediate metrics found there go to its progress file."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Final

from dsice.files import open_private, open_regular
from dsice.launch.patterns import LineReader

_PAUSE: Final = 1.0  # seconds between two reads of the output
_MOST: Final = 1_000_000  # bytes that one read takes from a file, the last ones if there are more
_LONGEST: Final = 10_000  # characters of a line
_ENTRIES: Final = 10_000  # beyond so many entries, one read writes only the newest


class Follower:
    """Reads a running program's output, and appends the matches of a pattern to its progress file.

    Args:
        pattern: a regular expression for a line; its named groups are the intermediate metrics.
        outputs: files that the program writes to.
        progress: the file for the entries, as JSON lines.
    """

    def __init__(self, pattern: str, outputs: list[Path], progress: Path) -> None:
        self._reader = LineReader(pattern)
        self._outputs = [_Growing(path) for path in outputs]
        self._progress = progress
        self._written = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Read the rest, after the end of the program."""
        self._over.set()
        self._thread.join()
        self._look(last=True)

    def _follow(self) -> None:
        while not self._over.wait(_PAUSE):
            self._look()

    def _look(self, last: bool = False) -> None:
        lines = [line for output in self._outputs for line in output.lines(last)]
        entries = list(self._reader.entries(lines))
        if self._written > _ENTRIES:
            entries = entries[-1:]
        if not entries:
            return
        self._written += len(entries)
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        try:
            with open(self._progress, "ab", opener=open_private) as file:
                file.write(text.encode("utf-8", "replace"))
        except OSError:  # a full disk: the trial matters more than its intermediate metrics
            return


class _Growing:
    """A growing file, which yields each complete line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._begun = ""

    def lines(self, last: bool) -> list[str]:
        """The lines completed since the last call; with ``last``, also one without a newline."""
        try:
            with open(self._path, "rb", opener=open_regular) as file:
                size = file.seek(0, os.SEEK_END)
                if size - self._at > _MOST:
                    self._at, self._begun = size - _MOST, ""
                file.seek(self._at)
                data = file.read(_MOST)
        except OSError:
            return []
        self._at += len(data)
        text = self._begun + data.decode(errors="replace").replace("\r", "\n")
        *whole, rest = text.split("\n")
        self._begun = "" if last else rest[-_LONGEST:]
        return [line[:_LONGEST] for line in [*whole, *([rest] if last else [])] if line]
