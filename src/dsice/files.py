"""Reading and writing files safely, in directories that other users made or may read.

A study's directory may come from anywhere. Reading from it never blocks: a FIFO, a device or a
folder in the place of a file is an error with a clear message. Writing in it follows no symbolic
link, which could lead to any file of the user who runs dsice.

New files inherit read permission from their folder and are writable by their owner only, whatever
the umask: write access to a study's files allows running commands as its owner. The permissions of
the study's directory decide, see `dsice.study.share`.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


SMALL: Final = 16_000_000
"""More bytes than the files of a study have that say a few things; a journal has no limit."""


class NotRegular(OSError):
    """The path is not a regular file of reasonable size; ``strerror`` says what it is."""

    def __init__(self, path: Path | str, what: str) -> None:
        super().__init__(errno.EINVAL, what, str(path))


def open_regular(path: str, flags: int) -> int:
    """Open a regular file, or a link to one: an opener for ``open(..., opener=open_regular)``.

    Raises:
        NotRegular: it is not one.
        OSError: it cannot be opened.
    """
    return _opened(path, flags, os.stat)


def open_private(path: str, flags: int) -> int:
    """Open a regular file of a study, for writing above all: as `open_regular`, without links."""
    return _opened(path, flags | os.O_NOFOLLOW, os.lstat)


def _opened(path: str, flags: int, look: Callable[[str], os.stat_result]) -> int:
    # Looked at before, since opening a device can already do something, and once it is open, since
    # it may have been replaced in between. A FIFO would wait for its other end without O_NONBLOCK.
    new = False
    try:
        try:
            _require_regular(path, look(path))
        except FileNotFoundError:
            new = True
        file = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _irregular(path, stat.S_IFLNK) from None
        raise
    try:
        _require_regular(path, os.fstat(file))
        if new:
            _permit(file, _as_open_as(Path(path).parent))
        os.set_blocking(file, True)
    except OSError:
        os.close(file)
        raise
    return file


def _permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _as_open_as(folder: Path) -> int:
    """The permissions of a study's file: its owner writes, others read if they may read there."""
    return 0o600 | _permissions(folder) & 0o044


def _permit(file: int | Path, mode: int) -> None:
    """Set the permissions of a file or folder; some file systems have none."""
    with suppress(OSError):
        os.fchmod(file, mode) if isinstance(file, int) else file.chmod(mode)


def make_folder(path: Path, private: bool = False) -> None:
    """Make a folder of a study, and those above it, if they are missing.

    ``private``: only its owner has access, even if others may read the parent folder.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    readers = 0 if private else 0o055
    try:
        path.mkdir(0o700)
    except FileExistsError:  # somebody else was quicker, or no folder: then what follows fails
        return
    _permit(path, 0o700 | _permissions(path.parent) & (readers | stat.S_ISGID))


def _require_regular(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _irregular(path, found.st_mode)


def _irregular(path: str, mode: int) -> NotRegular:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return NotRegular(path, f"it is {kind}, not a regular file")


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file, or of one that a link leads to.

    Args:
        path: of the file.
        limit: most bytes that it may have, or None.

    Raises:
        FileNotFoundError: nothing is there.
        NotRegular: it is no regular file, or larger than ``limit``.
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=open_regular) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise NotRegular(path, f"it has more than {limit:,} bytes")
        return file.read()


def write_into(path: Path, data: str | bytes) -> None:
    """Write a file that the user named, as editors do.

    Replaces the target of a symbolic link and keeps the link. A replaced file keeps its
    permissions and holds either all of the old or all of the new content at every moment. Anything
    else, such as ``/dev/null``, ``/dev/stdout`` or a FIFO, is written into.

    Raises:
        OSError: it cannot be written; a regular file is then unchanged.
    """
    content = _bytes(data)
    try:
        found = path.stat()
    except FileNotFoundError:
        target = Path(os.path.realpath(path))
        _replace(target, _prepared(target, content, 0o666))
        return
    if (descriptor := _descriptor(path)) is not None:
        # Not opened anew: what follows must come after it, where the file is a regular one too.
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
    elif not stat.S_ISREG(found.st_mode):
        with path.open("wb") as file:
            file.write(content)
    else:
        target = Path(os.path.realpath(path))
        new = _prepared(target, content)
        with suppress(OSError):  # another user's, or a file system without owners
            os.chown(new, found.st_uid, found.st_gid)
        _permit(new, stat.S_IMODE(found.st_mode))
        _replace(target, new)


def is_open_file(path: Path) -> bool:
    """Whether a path such as ``/dev/stdout`` leads to a file that this process has open."""
    return _descriptor(path) is not None


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
    """Replace a file of a study: at every moment it holds all of the old or all of the new.

    ``durably``: it is flushed to the disk, so that a crash of the machine does not undo it.
    """
    new = _prepared(path, _bytes(data), durably=durably)
    _permit(new, _as_open_as(path.parent))
    _replace(path, new, durably)


def write_once(path: Path, data: object, durably: bool = True) -> bool:
    """Put ``data`` as JSON at ``path``, whole and flushed to the disk, unless something is there.

    A hard link either appears with its whole content or not at all, on network file systems too.
    """
    with written_once(path, data, durably) as file:
        return file is not None


@contextmanager
def written_once(
    path: Path,
    data: object,
    durably: bool = True,
    before: Callable[[IO[bytes]], object] = lambda file: None,
) -> Iterator[IO[bytes] | None]:
    """As `write_once`; within, the new file is still open. None if something was there.

    ``before`` is called with the file when it is written and nobody can see it yet.
    """
    new = _beside(path)
    # It may be read too: some network file systems lock only such a file.
    with open(new, "x+b", opener=_for_owner) as file:
        try:
            file.write(json.dumps(data).encode())
            file.flush()
            if durably:
                os.fsync(file.fileno())
            _permit(file.fileno(), _as_open_as(path.parent))
            before(file)
            path.hardlink_to(new)
            linked = True
        except FileExistsError:
            linked = False
        finally:
            new.unlink()
        if linked and durably:
            sync_folder(path.parent)
        yield file if linked else None


def _prepared(path: Path, data: bytes, mode: int = 0o600, durably: bool = True) -> Path:
    """A new file beside ``path`` that holds ``data``, to be put in its place."""
    new = _beside(path)
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            file.flush()
            if durably:
                os.fsync(file.fileno())
    except FileExistsError:
        raise
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new


def _beside(path: Path) -> Path:
    """A name for a new file that is to become the one at ``path``."""
    # The random part keeps hosts apart that share a folder and happen to share a process id, and
    # nobody can put something there beforehand.
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _replace(path: Path, new: Path, durably: bool = True) -> None:
    try:
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    if durably:
        sync_folder(path.parent)


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, as fsync of a file makes its content."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
