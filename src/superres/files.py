"""Files and folders: writing at one stroke, hashes, checks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from superres.errors import UserError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Make or replace a file, which is never there in part.

    Args:
        path: of the file, which is on the disk when this returns. Its mode follows the umask.
        write: gets a binary file to write to.

    Raises:
        OSError: it cannot be written. What was there before is still there, and nothing else.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # an interruption as well
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
    """Make sure that `path` is a folder, or can become one.

    Raises:
        UserError: something else is there.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, not a folder")
