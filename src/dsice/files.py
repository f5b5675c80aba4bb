"""Files that other people may have made, or may read: opened with care, replaced whole.

A study's directory may come from anywhere. Reading from it never waits, whatever lies at a path: a
FIFO, a device or a folder is an error with a clear message. Writing in it follows no symbolic link,
which could lead to any file of whoever runs dsice.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class NotRegular(OSError):
    """Something else than a regular file lies at a path; ``strerror`` says what."""

    def __init__(self, path: Path | str, mode: int) -> None:
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        super().__init__(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def open_regular(path: str, flags: int) -> int:
    """Open a regular file, or a link to one: an opener for ``open(..., opener=open_regular)``.

    Raises:
        NotRegular: it is none.
        OSError: it cannot be opened.
    """
    return _opened(path, flags, os.stat)


def open_private(path: str, flags: int) -> int:
    """Open a regular file of a study for writing: as `open_regular`, but no link is followed.

    A new file is its owner's alone.
    """
    return _opened(path, flags | os.O_NOFOLLOW, os.lstat)


def _opened(path: str, flags: int, look: Callable[[str], os.stat_result]) -> int:
    # Looked at before, since opening a device can already do something, and once it is open, since
    # it may have been replaced in between. A FIFO would wait for its other end without O_NONBLOCK.
    with suppress(FileNotFoundError):
        _require_regular(path, look(path))
    try:
        file = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise NotRegular(path, stat.S_IFLNK) from None
        raise
    try:
        _require_regular(path, os.fstat(file))
    except OSError:
        os.close(file)
        raise
    return file


def _require_regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotRegular(path, found.st_mode)


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file, or of one that a link leads to.

    Args:
        path: of the file.
        limit: most bytes that it may have, or None.

    Raises:
        FileNotFoundError: nothing is there.
        NotRegular: it is no regular file.
        OSError: it cannot be read, or is larger than ``limit``.
    """
    with open(path, "rb", opener=open_regular) as file:
        if limit is None:
            return file.read()
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return data


def write_into(path: Path, data: str | bytes) -> None:
    """Write a file that the user named, as editors do.

    What a symbolic link points to is replaced, and the link stays. A file that is replaced keeps
    its permissions, and holds all of the old or all of the new at every moment. What is no regular
    file, such as ``/dev/null``, ``/dev/stdout`` or a FIFO, is written into.

    Raises:
        OSError: it cannot be written; a regular file is then as before.
    """
    content = _bytes(data)
    try:
        found = path.stat()
    except FileNotFoundError:
        found = None
    if found is not None and (descriptor := _descriptor(path)) is not None:
        # Not opened anew: what follows must come after it, where the file is a regular one too.
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
    elif found is not None and not stat.S_ISREG(found.st_mode):
        with path.open("wb") as file:
            file.write(content)
    else:
        _replace(Path(os.path.realpath(path)), content, 0o666, found, durably=True)


def _descriptor(path: Path) -> int | None:
    """The number of this process's open file that a path such as ``/dev/stdout`` leads to."""
    for _ in range(40):  # links at most
        folder = os.path.realpath(path.parent)
        if folder == f"/proc/{os.getpid()}/fd":
            return int(path.name)
        if not path.is_symlink():
            return None
        path = Path(folder, path.readlink())
    return None


def write_atomically(path: Path, data: str | bytes, durably: bool = True) -> None:
    """Replace ``path`` by ``data``: at every moment it holds all of the old or all of the new.

    ``durably``: it is flushed to the disk, so that a crash of the machine does not undo it.
    """
    _replace(path, _bytes(data), 0o666, None, durably)


def _replace(
    path: Path, data: bytes, mode: int, like: os.stat_result | None, durably: bool
) -> None:
    """Replace ``path``; a new file has the permissions ``mode``, or those of ``like``."""
    temporary = _temporary(path)
    try:
        with _made(temporary, mode) as file:
            if like is not None:
                with suppress(OSError):  # another user's, or a file system without owners
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                with suppress(OSError):
                    os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            file.write(data)
            file.flush()
            if durably:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if durably:
        sync_folder(path.parent)


def write_once(path: Path, data: object, durably: bool = True) -> bool:
    """Put ``data`` as JSON at ``path``, whole and flushed to the disk, unless something is there.

    A hard link either appears with its whole content or not at all, on network file systems too.
    """
    temporary = _temporary(path)
    try:
        with _made(temporary, 0o666) as file:
            file.write(json.dumps(data).encode())
            file.flush()
            if durably:
                os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    if durably:
        sync_folder(path.parent)
    return True


def _temporary(path: Path) -> Path:
    # The random part keeps hosts apart that share a folder and happen to share a process id, and
    # nobody can put something there beforehand.
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")


def _made(path: Path, mode: int) -> BinaryIO:
    """A new file, opened for writing; nothing may be there."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, as fsync of a file makes its content."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
