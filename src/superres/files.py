"""Files and folders: atomic writing, hashes, checks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from superres.errors import UserError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Create or replace a file atomically.

    Args:
        path: the file, which is synced to disk on return. Its mode follows the umask.
        write: called with a binary file to write to.

    Raises:
        OSError: it cannot be written. An earlier file is then unchanged, and nothing else is left.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # including interruptions
        partial.unlink(missing_ok=True)
        raise


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_folder(path: Path) -> None:
    """Check that `path` is a folder or can become one.

    Raises:
        UserError: it is something else.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, not a folder")
