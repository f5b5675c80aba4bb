"""What is the machine's fault and not the program's: no space, no memory, a file server gone."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_FAULTS: Final = {
    errno.ENOSPC: "the disk was full",
    errno.EDQUOT: "the disk quota was used up",
    errno.EROFS: "the file system was read-only",
    errno.EIO: "the file system had input/output errors",
    errno.ESTALE: "the file server did not know the folder any more (stale file handle)",
    errno.ENOTCONN: "the file server was not connected",
    errno.ESHUTDOWN: "the file server had dropped this machine",  # what Lustre says
    errno.ETIMEDOUT: "the file server did not answer",
    errno.ENFILE: "the machine had too many open files",
    errno.ENOMEM: "the machine had no memory left",
    errno.EAGAIN: "the machine could start no more processes",
}
_PROBE: Final = 1 << 20  # bytes: with less than that free, a disk is full


def fault_behind(error: BaseException) -> str:
    """What is wrong with the machine, in words, if that has caused ``error``; or nothing."""
    number = error.errno if isinstance(error, OSError) else None
    return _FAULTS.get(number, "") if number is not None else ""


def fault_in(folder: Path) -> str:
    """What keeps files from being written into a folder, in words; or nothing.

    A small file is written and removed. A folder that is not there or not ours is no such fault.
    """
    probe = folder / f".probe.{secrets.token_hex(4)}"
    try:
        with probe.open("xb") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno == errno.ENOSPC and not _has_free_inodes(folder):
            return "the disk had no free inodes: it takes no further files"
        return fault_behind(error)
    finally:
        with suppress(OSError):
            probe.unlink()
    return ""


def _has_free_inodes(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return True
    return found.f_favail > 0 or not found.f_files  # some file systems count none
