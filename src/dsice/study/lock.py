"""One driver at a time, on one machine or on several that share a file system.

On one machine the kernel's lock on the file decides, and is freed with its holder, however that
ends. Between machines it decides too where the file system passes locks on, which not all do, and
some do not free those of a machine that died. So the holder also gives a sign of life, the time of
the file, every few seconds: who finds the sign of another machine fresh stays away, lock or no
lock. A driver that slept, or was cut off from the file server, may have been taken over: it checks
that its name is still in the file before it writes or starts anything (`Held.check`). Each event
names its session, so what it writes between that check and the stall is left out by readers.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from dsice.errors import StudyLocked
from dsice.files import NotRegular, open_private, read_regular
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
        token: of its session, unique; empty in files of early versions.
    """

    pid: int
    host: str
    since: str
    token: str = ""

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
            return _holder(read_regular(self.path, 10_000).decode())
        except (OSError, ValueError):
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
            open(probe, "xb", opener=open_private).close()
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
    def held(self) -> Iterator[Held]:
        """Be the one driver; yields the proof of it.

        Raises:
            StudyLocked: another process holds the lock; the message says which, and what to do if
                it is dead.
        """
        with open(self.path, "a+", opener=open_private) as file:
            locked = _locked_soon(file)
            before = self.holder()
            if not locked or (
                before is not None and not _is_here(before) and self.silence() < STALE
            ):
                raise StudyLocked(self._refusal(before, locked))
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            own = Holder(os.getpid(), socket.gethostname(), since, secrets.token_hex(4))
            _write(file, json.dumps(asdict(own)))
            held = Held(self, file, own)
            try:
                yield held
            finally:
                with suppress(OSError, StudyLocked):
                    held.check()
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


class Held:
    """A lock that is held: signs of life, and the proof that it is still ours.

    Attributes:
        token: of the session, unique.
    """

    def __init__(self, lock: DriverLock, file: IO[str], own: Holder) -> None:
        self.token: Final = own.token
        self._lock = lock
        self._file = file
        self._own = own
        self._at = _now()

    def check(self) -> None:
        """Make sure that no other driver has taken over.

        Raises:
            StudyLocked: one has, or the lock was deleted so that one may.
        """
        path = self._lock.path
        try:
            with open(
                path, opener=open_private
            ) as file:  # opened anew: a file server then tells what there is
                ours = os.path.samestat(os.fstat(file.fileno()), os.fstat(self._file.fileno()))
                holder = _holder(file.read())
        except (FileNotFoundError, NotRegular):
            ours = False
        except OSError:  # the file server is away: silence says enough
            return
        if not ours:
            raise StudyLocked(f"{path} was deleted or replaced: this driver leaves {path.parent}")
        if holder != self._own:
            who = holder or "it has left since"
            raise StudyLocked(f"another driver has taken over {path.parent}: {who}")

    def beat(self) -> None:
        """Give a sign of life if one is due; to be called often.

        Raises:
            StudyLocked: as `check`.
        """
        now = _now()
        if now < self._at + BEAT:
            return
        self._at = now
        self.check()
        with suppress(OSError):
            os.utime(self._lock.path)


def _now() -> float:
    """Seconds from some beginning, those included in which the machine was suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _holder(text: str) -> Holder | None:
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


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
