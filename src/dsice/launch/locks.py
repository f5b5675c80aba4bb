"""Locks on files, which the kernel frees when their holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import IO, Final

from dsice.files import NotRegular, open_regular

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some cluster file systems


def try_lock(file: IO[str] | IO[bytes], needed: bool = True) -> bool:
    """Lock an open file for as long as it stays open; False if another process holds it.

    Args:
        file: to lock.
        needed: if not, a file system without locks counts as one where nobody holds any.
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
