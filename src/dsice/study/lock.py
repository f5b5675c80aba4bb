"""One driver at a time, on one machine or on several that share a file system.

On one machine the kernel's lock on the file decides, and is freed with its holder, however that
ends. Between machines it decides too where the file system passes locks on, which not all do, and
some do not free those of a machine that died. So the holder also gives a sign of life, the time of
the file, every few seconds: who finds the sign of another machine fresh stays away, lock or no
lock, and a holder that finds another's name in the file, having slept itself, gives up at once.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from dsice.errors import StudyLocked
from dsice.launch.locks import is_locked, try_lock
from dsice.units import duration

BEAT: Final = 5.0
"""Seconds between two signs of life."""

STALE: Final = 120.0
"""Seconds without one after which a driver on another machine is taken for dead."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Attributes:
        pid: process id.
        host: its machine.
        since: when it took the lock, for people.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class DriverLock:
    """The lock of a study's directory.

    Args:
        path: of the file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def holder(self) -> Holder | None:
        """Who wrote its name last and did not leave in peace; it may be dead."""
        try:
            return Holder(**json.loads(self.path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def silence(self, touching: bool = True) -> float:
        """Seconds since the holder's last sign of life; infinite if there never was one.

        Args:
            touching: whether a file may be made for a moment, to learn the file server's time; if
                not, it is as exact as this machine's clock.
        """
        now = self._server_time() if touching else time.time()
        try:
            return max(0.0, now - self.path.stat().st_mtime)
        except OSError:
            return float("inf")

    def _server_time(self) -> float:
        # The clocks of machines differ: the time of the lock is to be compared with its server's.
        try:
            probe = self.path.with_name(f".{self.path.name}.{socket.gethostname()}.{os.getpid()}")
            probe.touch()
            now = probe.stat().st_mtime
            probe.unlink(missing_ok=True)
            return now
        except OSError:  # a directory that may only be read
            return time.time()

    def is_held(self, touching: bool = True) -> bool:
        """Whether some driver is at work here, as far as can be told from this machine.

        ``touching`` is as for `silence`.
        """
        if is_locked(self.path):
            return True
        holder = self.holder()
        return holder is not None and not _is_here(holder) and self.silence(touching) < STALE

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Be the one driver; yields what gives a sign of life, to be called often.

        Raises:
            StudyLocked: another process holds the lock, or has taken it over; the message says
                which, and what to do if it is dead.
        """
        with self.path.open("a+") as file:
            locked = _locked_soon(file)
            before = self.holder()
            if not locked or (
                before is not None and not _is_here(before) and self.silence() < STALE
            ):
                raise StudyLocked(self._refusal(before, locked))
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            own = Holder(os.getpid(), socket.gethostname(), since)
            _write(file, json.dumps(asdict(own)))
            beat = _Beat(self, own)
            try:
                yield beat
            finally:
                with suppress(OSError):
                    if self.holder() == own:
                        _write(file, "")

    def _refusal(self, holder: Holder | None, locked: bool) -> str:
        where = self.path.parent
        if holder is None:
            return f"{where} is in use by another driver, which has just begun"
        silent = self.silence()
        text = f"{where} is in use by another driver: {holder}"
        if _is_here(holder):
            return text
        text += f"; its last sign of life was {duration(silent)} ago"
        if silent < STALE:
            return f"{text}. If it is dead, try again in {duration(STALE - silent)}"
        return (
            f"{text}. If that machine is gone for good, delete {self.path}" if not locked else text
        )


class _Beat:
    """Signs of life, and the proof that the lock is still ours."""

    def __init__(self, lock: DriverLock, own: Holder) -> None:
        self._lock = lock
        self._own = own
        self._at = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._at + BEAT:
            return
        self._at = now
        with suppress(OSError):  # deleted, or a file server away: silence says enough
            self._lock.path.read_bytes()
            holder = self._lock.holder()
            if holder != self._own:
                who = holder or "it has left since"
                raise StudyLocked(f"another driver has taken over {self._lock.path.parent}: {who}")
            os.utime(self._lock.path)


def _is_here(holder: Holder) -> bool:
    return holder.host == socket.gethostname()


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate(0)
    file.write(text)
    file.flush()


def _locked_soon(file: IO[str]) -> bool:
    # Whoever looks whether a driver is at work holds a shared lock for a moment: try for a second.
    for _ in range(20):
        if try_lock(file, needed=False):
            return True
        time.sleep(0.05)
    return False
