"""Mutual exclusion of drivers, on one machine or on several that share a file system.

On one machine the kernel's lock on the file decides, and is released when its holder ends, in
whatever way. Between machines it works only if the file system supports it. Not all do, and some
do not release the locks of a machine that died. So the holder also gives a heartbeat every few
seconds, by the modification time of the file: if another machine's heartbeat is recent, a driver
does not start, whether or not it gets the lock. A driver that was suspended, or cut off from the
file server, may have been superseded: before it writes or starts anything, it checks that its name
is still in the file (`Held.check`). Each event names its session, so readers ignore what it writes
if it stalls between this check and the write.
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
        since: when it acquired the lock, for people.
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
        path: of the file; created if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def holder(self) -> Holder | None:
        """The last holder that did not release the lock in an orderly way; it may be dead."""
        try:
            return _holder(read_regular(self.path, 10_000).decode())
        except (OSError, ValueError):
            return None

    def silence(self, touching: bool = True) -> float:
        """Seconds since the holder's last heartbeat; infinite if there never was one.

        Args:
            touching: whether a temporary file may be created to read the file server's time; if
                not, the result is as accurate as this machine's clock.
        """
        now = self._server_time() if touching else time.time()
        try:
            return max(0.0, now - self.path.stat().st_mtime)
        except OSError:
            return float("inf")

    def _server_time(self) -> float:
        # Clocks of machines differ: compare the time of the lock with its server's time.
        try:
            probe = self.path.with_name(f".{self.path.name}.{socket.gethostname()}.{os.getpid()}")
            open(probe, "xb", opener=open_private).close()
            now = probe.stat().st_mtime
            probe.unlink(missing_ok=True)
            return now
        except OSError:  # a read-only directory
            return time.time()

    def is_held(self, touching: bool = True) -> bool:
        """Whether a driver is running here, as far as this machine can tell.

        ``touching`` is as for `silence`.
        """
        if is_locked(self.path):
            return True
        holder = self.holder()
        return holder is not None and not _is_here(holder) and self.silence(touching) < STALE

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Acquire the lock; yields the proof of it.

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
    """A held lock: gives heartbeats, and proves that it is still held.

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
        """Check that no other driver has taken over.

        Raises:
            StudyLocked: another driver has, or may because the lock file was deleted.
        """
        path = self._lock.path
        try:
            with open(
                path, opener=open_private
            ) as file:  # reopened, as this makes network file systems show the current contents
                ours = os.path.samestat(os.fstat(file.fileno()), os.fstat(self._file.fileno()))
                holder = _holder(file.read())
        except (FileNotFoundError, NotRegular):
            ours = False
        except OSError:  # the file server is gone, which stops the heartbeat anyway
            return
        if not ours:
            raise StudyLocked(f"{path} was deleted or replaced: this driver leaves {path.parent}")
        if holder != self._own:
            who = holder or "it has left since"
            raise StudyLocked(f"another driver has taken over {path.parent}: {who}")

    def beat(self) -> None:
        """Give a heartbeat if one is due; call it often.

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
    """Seconds from an arbitrary origin, including time in which the machine was suspended."""
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
    # `is_held` in another process takes a shared lock for a moment: retry for a second.
    for _ in range(20):
        if try_lock(file, needed=False):
            return True
        time.sleep(0.05)
    return False
