"""Writing files at one stroke."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


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
