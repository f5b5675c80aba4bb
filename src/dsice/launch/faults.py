"""Detecting faults of the machine: no disk space, no memory, a file server that is gone."""

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
    errno.ESHUTDOWN: "the file server had dropped this machine",  # from Lustre
    errno.ETIMEDOUT: "the file server did not answer",
    errno.ENFILE: "the machine had too many open files",
    errno.ENOMEM: "the machine had no memory left",
    errno.EAGAIN: "the machine could start no more processes",
}
_PROBE: Final = 1 << 20  # bytes: a disk with less free space counts as full


def fault_behind(error: BaseException) -> str:
    """The fault of the machine that caused ``error``, in words; empty if there is none."""
    number = error.errno if isinstance(error, OSError) else None
    return _FAULTS.get(number, "") if number is not None else ""


def fault_in(folder: Path) -> str:
    """Why files cannot be written into a folder, in words; empty if they can.

    Writes and removes a small file. A missing folder, or one without permission, is not a fault.
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
    return found.f_favail > 0 or not found.f_files  # some file systems do not count files
