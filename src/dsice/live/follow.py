"""A study as it stands on disk, read anew when its journal has grown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.study.directory import StudyDirectory
from dsice.study.state import Study

_ASK: Final = 2.0  # seconds between two looks at the driver's lock


class Followed:
    """A study that may be driven by another process, on another machine.

    Attributes:
        directory: its files.
        version: grows with every change of its journal; 0 before the first look.

    Args:
        path: of its directory.

    Raises:
        InvalidInput: there is no study.
    """

    def __init__(self, path: Path | str) -> None:
        self.directory: Final = StudyDirectory.at(path)
        self.directory.require_study()
        self.version = 0
        self._study: Study | None = None
        self._seen: tuple[int, int] | None = None
        self._held = False
        self._asked = float("-inf")

    def is_driven(self) -> bool:
        """Whether a driver is at work, as of at most two seconds ago."""
        if time.monotonic() > self._asked + _ASK:
            self._asked = time.monotonic()
            self._held = self.directory.lock.is_held(touching=False)
        return self._held

    def look(self) -> Study:
        """The study as it stands, with its jobs looked at.

        Raises:
            InvalidInput: its files are gone or damaged.
        """
        try:
            found = self.directory.journal.stat()
        except OSError as error:
            raise InvalidInput(f"cannot read {self.directory.path}: {error.strerror}") from None
        seen = (found.st_mtime_ns, found.st_size)
        if self._study is None or seen != self._seen:
            self._study = Study.open(self.directory.path)
            self._seen = seen  # from before: an event that came since is seen again next time
            self.version += 1
        if self.is_driven():
            self._study.warning = ""  # its last line is being written, not torn
        return self._study.look_at_jobs()
