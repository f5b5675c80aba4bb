"""Limits on a server's connections, so that no client can exhaust them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

MOST: Final = 64
"""Most connections at once; each has a thread."""
REQUEST: Final = 60.0
"""Seconds within which the next request must have come as a whole, however slowly it comes."""
ANSWER: Final = 60.0
"""Seconds within which an answer must have been made, and taken."""


@dataclass(slots=True)
class _Connection:
    """Whether the next request of a connection is awaited, and since when, or answered."""

    awaited: bool
    since: float


class Connections:
    """The open connections of a server; safe for many threads.

    Args:
        now: tells the time in seconds, from any beginning.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: socket.socket) -> bool:
        """Add a connection; False if there is no place for it.

        Where there is none, the one that has been silent the longest has to go.
        """
        with self._lock:
            if len(self._open) >= MOST:
                silent = [each for each, state in self._open.items() if state.awaited]
                if not silent:
                    return False
                self._end(min(silent, key=lambda each: self._open[each].since))
            self._open[connection] = _Connection(True, self._now())
            return True

    def awaits_request(self, connection: socket.socket) -> None:
        """A connection's next request may come."""
        self._note(connection, awaited=True)

    def answers(self, connection: socket.socket) -> None:
        """A connection's request has come."""
        self._note(connection, awaited=False)

    def _note(self, connection: socket.socket, awaited: bool) -> None:
        with self._lock:
            if connection in self._open:  # else it had to go
                self._open[connection] = _Connection(awaited, self._now())

    def remove(self, connection: socket.socket) -> None:
        """A connection is closed."""
        with self._lock:
            self._open.pop(connection, None)

    def end_slow(self) -> None:
        """End the connections that take too long; to be called often."""
        with self._lock:
            now = self._now()
            for connection, state in list(self._open.items()):
                if now > state.since + (REQUEST if state.awaited else ANSWER):
                    self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        # Its thread, blocked in a read, sees the shutdown and closes the connection.
        del self._open[connection]
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
