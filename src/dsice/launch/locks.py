"""File locks, which the kernel releases when their holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import IO, Final

from dsice.files import NotRegular, open_regular

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some cluster file systems


def try_lock(file: IO[str] | IO[bytes], needed: bool = True) -> bool:
    """Lock an open file until it is closed; False if another process holds the lock.

    Args:
        file: to lock.
        needed: if False, locking succeeds on file systems without locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if needed or error.errno not in _NO_LOCKS:
            raise
    return True


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock of the file at ``path``."""
    try:
        with open(path, opener=open_regular) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotRegular):
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return False
