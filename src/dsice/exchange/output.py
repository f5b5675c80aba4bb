"""Writing a command's result to a file or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from dsice.errors import InvalidInput
from dsice.exchange.text_file import STANDARD
from dsice.files import write_into


def put(place: str, data: str | bytes) -> str:
    """Write ``data`` to the file ``place``, or to standard output for ``-``; returns its name.

    Raises:
        InvalidInput: it is a folder.
        OSError: it cannot be written.
    """
    if place == STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.write(data.encode() if isinstance(data, str) else data)
        sys.stdout.buffer.flush()
        return "standard output"
    path = Path(place)
    if path.is_dir():
        raise InvalidInput(f"cannot write {place}: it is a folder; name a file")
    write_into(path, data)
    return place
