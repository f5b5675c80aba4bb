"""The journal: everything that happened in a study, one JSON event a line, only ever appended to.

The state of a study is what folding its journal gives (`dsice.study.state`). An event is durable
when `Journal.append` returns, or the block of `Journal.together`. A line that a crash tore is no
event: it is dropped with a warning.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dsice.errors import DsiceError, InvalidInput

Event = Mapping[str, Any]


def read(path: Path) -> tuple[list[Event], str]:
    """All events of a journal, and a warning about a torn last line or an empty text.

    Raises:
        InvalidInput: a line before the last is damaged; the message names it.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], ""
    torn = lines.pop()
    events = []
    for number, line in enumerate(lines, 1):
        event = _event(line)
        if event is None:
            raise InvalidInput(f"{path}: line {number} is damaged: {line[:80]!r}")
        events.append(event)
    if not torn:
        return events, ""
    # Complete but for its newline, or cut short: a JSON object shows which.
    event = _event(torn)
    if event is not None:
        return [*events, event], ""
    return events, f"{path}: its last line was cut short by a crash and is left out"


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


class Journal:
    """A journal opened for appending, by the one driver of its study.

    Opening mends a last line that a crash tore. Use it as a context manager.

    Args:
        path: the file; made if missing.
        now: gives the Unix time in seconds that each event is stamped with.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path: Final = path
        self._now = now
        events, self.warning = read(path)
        self.events: Final[list[Event]] = events
        self._file = path.open("ab")
        self._flushing = True
        self._unflushed = False
        self._mend()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Events that are appended within become durable at its end, all at once."""
        self._flushing = False
        try:
            yield
        finally:
            self._flushing = True
            if self._unflushed:
                self._flush()

    def append(self, event: str, **facts: Any) -> Event:
        """Append an event, durably, and return it.

        Raises:
            DsiceError: it cannot be written (the disk is full); the journal is as before.
        """
        entry = {"t": round(self._now(), 3), "event": event, **facts}
        before = self._file.seek(0, os.SEEK_END)
        try:
            self._write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            os.ftruncate(self._file.fileno(), before)
            raise DsiceError(f"cannot write {self.path}: {error.strerror}") from error
        return entry

    def _mend(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            whole = data.rfind(b"\n") + 1
            if _event(data[whole:]) is not None:
                self._write(b"\n")
            else:
                os.ftruncate(self._file.fileno(), whole)
                os.fsync(self._file.fileno())

    def _write(self, data: bytes) -> None:
        # Unbuffered: after a failed write nothing may linger and be written later. A disk that
        # fills up in the middle takes a part, and only the count says so.
        if os.write(self._file.fileno(), data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._unflushed = True
        if self._flushing:
            self._flush()

    def _flush(self) -> None:
        os.fsync(self._file.fileno())
        self._unflushed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
