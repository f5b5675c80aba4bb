"""The journal: an append-only log of everything that happened in a study, one event per line.

The state of a study is the fold of its journal (`dsice.study.state`). An event is durable when
`Journal.append` returns, or at the end of the block of `Journal.together`. An incomplete last line,
after a crash, is dropped with a warning. All other damage is an error that names the line;
`dsice.repair` restores what can be restored.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol, Self, TypeVar

from dsice.errors import DamagedStudy, DsiceError, InvalidInput, StudyLocked
from dsice.files import open_private, open_regular
from dsice.study.codec import LaterVersion, UnreadableLine, decode, encode
from dsice.study.events import FORMAT, Event, Header
from dsice.study.sessions import Sessions

E = TypeVar("E", bound=Event)

LONGEST: Final = 1 << 28
"""More bytes than a line has."""
_NEWLINE: Final = ord("\n")


class Fence(Protocol):
    """Proof that a writer is still the one allowed to write; see `dsice.study.lock`."""

    @property
    def token(self) -> str:
        """The token of this writer's session, for all events that it writes."""

    def check(self) -> None:
        """Raise StudyLocked if another writer has taken over."""


class _Alone:
    token = "alone"

    def check(self) -> None:
        """Do nothing: no other writer can have taken over."""


ALONE: Final = _Alone()
"""The fence of a journal that no other process knows of."""


def lines_of(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines of a journal from the current position of the open file on.

    Raises:
        DamagedStudy: a line is longer than those of a journal.
    """
    while line := file.readline(LONGEST):
        if len(line) == LONGEST:
            raise DamagedStudy(f"{path} is no journal: a line has {LONGEST:,} bytes or more")
        yield line


class Lines:
    """An iterator over the events of a journal, which can be iterated once.

    Attributes:
        path: the file.
        format: of the lines read so far; 0 before the first.
        size: of the lines read so far, in bytes.
        torn: whether an incomplete last line was dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.format = 0
        self.size = 0
        self.torn = False

    @property
    def warning(self) -> str:
        """The problem with the file, in words; empty if there is none."""
        return f"{self.path}: its last line was cut short by a crash and is left out" * self.torn

    def __iter__(self) -> Iterator[Event]:
        """Iterate over the events.

        Raises:
            DamagedStudy: a line before the last is damaged; the message names it.
            InvalidInput: a later version wrote it.
        """
        try:
            file = open(self.path, "rb", opener=open_regular)  # noqa: SIM115 -- closed below
        except FileNotFoundError:
            return
        with file:
            yield from self.read(file)

    def read(self, file: IO[bytes]) -> Iterator[Event]:
        """The events from the current position of an open file on."""
        for number, line in enumerate(lines_of(file, self.path), 1):
            whole = line[-1] == _NEWLINE
            try:
                event = self._event(line[:-1] if whole else line)
            except LaterVersion as error:
                raise InvalidInput(
                    f"{self.path}: line {number} cannot be read: {error}. Use that version"
                ) from None
            except UnreadableLine as error:
                if not whole:
                    self.torn = True
                    return
                raise DamagedStudy(
                    f"{self.path}: line {number} cannot be read: {error}. It begins "
                    f"{line[:60]!r}. 'dsice repair {self.path.parent}' shows what can be done"
                ) from None
            # It lacks only its newline, or is truncated: only a complete event can be decoded.
            self.size += len(line)
            yield event

    def _event(self, line: bytes) -> Event:
        event, checked = decode(line)
        if isinstance(event, Header):
            if event.format > FORMAT:
                raise InvalidInput(
                    f"{self.path}: dsice {event.dsice} wrote it in format {event.format}, and this "
                    f"version reads formats up to {FORMAT}: use that version or a later one"
                )
            self.format = event.format
        self.format = self.format or 1
        if checked != (self.format >= 2):
            raise UnreadableLine(
                "it has a checksum, and no line before it says so"
                if checked
                else "its checksum is missing"
            )
        return event


class Journal:
    """A journal opened for appending by the driver of its study. Use it as a context manager.

    Opening repairs an incomplete last line.

    Args:
        path: the file; created if missing.
        now: a clock for the time stamps of events, Unix time in seconds.
        fence: proves that this process may still write.

    Attributes:
        warning: the problem with the file, in words; empty if there is none.
        format: of its lines, 0 if it has none.
    """

    def __init__(self, path: Path, now: Callable[[], float], fence: Fence = ALONE) -> None:
        self.path: Final = path
        self.warning = ""
        self.format = 0
        self._now = now
        self._fence = fence
        self._file = open(path, "a+b", buffering=0, opener=open_private)  # noqa: SIM115 -- by exit
        self._size = 0
        self._sessions = Sessions()
        self._flushing = True
        self._unflushed = False

    def replay(self) -> Iterator[Event]:
        """All events so far; iterate once, before appending anything."""
        lines = Lines(self.path)
        for event in lines:
            yield event
            self._sessions.counts(event)
        self.warning, self.format, self._size = lines.warning, lines.format, lines.size
        self._mend()

    @contextmanager
    def together(self, later: bool = False) -> Iterator[None]:
        """Make the events appended in this block durable at its end, all at once.

        With ``later``, they become durable with the next appended event, or by `flush`: for events
        whose information can be recovered.
        """
        self._flushing = False
        try:
            yield
        finally:
            self._flushing = True
            if not later:
                self.flush()

    def append(self, event: E) -> E:
        """Append an event durably, stamped with time and session, and return it.

        Raises:
            DsiceError: it cannot be written (the disk is full); the journal is unchanged.
            StudyLocked: another driver has taken over; nothing is written.
        """
        event.t, event.session = round(self._now(), 3), self._fence.token
        if event.opens and event.session != self._sessions.token:
            event.after = self._sessions.token
        self.check()
        try:
            self._write(encode(event))
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            raise DsiceError(f"cannot write {self.path}: {error.strerror}") from error
        self._require_size()
        self._sessions.counts(event)
        if isinstance(event, Header):
            self.format = event.format
        return event

    def check(self) -> None:
        """Check that this process may still write and start jobs.

        Raises:
            StudyLocked: another driver has taken over.
        """
        self._fence.check()
        self._require_size()

    def _require_size(self) -> None:
        # A writer that stalled between its check and its append may have written; and on some
        # network file systems an append would overwrite what another machine has written.
        try:
            size = self.path.stat().st_size
        except OSError:
            size = -1
        if size != self._size:
            raise StudyLocked(
                f"another driver has changed {self.path}: this one leaves it alone. "
                "Run the same command again"
            )

    def _mend(self) -> None:
        """Complete or drop a last line without a newline."""
        end = self._file.seek(0, os.SEEK_END)
        if end > self._size:
            os.ftruncate(self._file.fileno(), self._size)
            os.fsync(self._file.fileno())
        elif end:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._write(b"\n")

    def _write(self, data: bytes) -> None:
        # Unbuffered, so that nothing is written later after a failed write. If the disk fills up
        # during the write, only the returned count shows that it was partial.
        if os.write(self._file.fileno(), data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(data)
        self._unflushed = True
        if self._flushing:
            self.flush()

    def flush(self) -> None:
        """Make all events durable."""
        if self._unflushed:
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
