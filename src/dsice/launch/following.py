"""Intermediate metrics in the lines of a program that runs: they become lines of its progress."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Final

from dsice.files import open_private, open_regular
from dsice.launch.patterns import LineReader

_PAUSE: Final = 1.0  # seconds between looks at the output
_MOST: Final = 1_000_000  # bytes of a file that one look reads; of more, the last ones
_LONGEST: Final = 10_000  # characters of a line
_ENTRIES: Final = 10_000  # after so many, one look writes the newest only


class Follower:
    """Reads what a program prints while it runs, and appends what a pattern finds to its progress.

    Args:
        pattern: of a line; its named groups are the intermediate metrics.
        outputs: files that the program writes to.
        progress: where the entries go, as JSON lines.
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
        """The program has ended: read the rest."""
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
        except OSError:  # a full disk: intermediate metrics are not worth a trial
            return


class _Growing:
    """A file that grows: gives each whole line once, as far as it keeps up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._begun = ""

    def lines(self, last: bool) -> list[str]:
        """The lines that have come whole since; ``last``: with one that has no end."""
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
