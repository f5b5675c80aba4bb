"""Reading text files of any origin: compressed or not, UTF-8 or UTF-16."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, cast

from dsice.errors import InvalidInput

STANDARD: Final = "-"
"""Stands for standard input or output in place of a file."""

_COMPRESSED: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
COMPRESSED: Final = (".gz", ".bz2", ".xz")
"""How names of compressed files end."""

_ENCODINGS: Final = {  # the marks of UTF-32 begin with those of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_CHUNK: Final = 1 << 20
_MOST: Final = 1 << 30  # bytes of text


def read_text(place: str) -> str:
    """The text of a file, or of standard input for ``-``.

    A file that gzip, bzip2 or xz compressed is decompressed. The text is UTF-8, or UTF-16 or UTF-32
    with a byte order mark.

    Raises:
        InvalidInput: it cannot be read, is no text, or is larger than a GiB.
    """
    try:
        data = _content(place)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
        raise InvalidInput(f"cannot read {place}: compressed, and cut short or damaged") from None
    except OSError as error:
        what = error.strerror or "compressed, and damaged"
        raise InvalidInput(f"cannot read {place}: {what}") from None
    if data is None:
        raise InvalidInput(
            f"cannot read {place}: not a text file, or UTF-16 without a byte order mark: save it "
            "as UTF-8"
        )
    if len(data) > _MOST:
        raise InvalidInput(f"cannot read {place}: it has more than {_MOST:,} bytes")
    encoding = _encoding(data) or "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"cannot read {place}: not UTF-8 text (byte {error.start + 1} is {data[error.start]}): "
            "save it as UTF-8"
        ) from None


def _content(place: str) -> bytes | None:
    """All bytes of a text file, or some more than are accepted; None if it is none."""
    with ExitStack() as stack:
        raw: io.BufferedReader
        if place == STANDARD:
            raw = cast(io.BufferedReader, sys.stdin.buffer)
        else:
            raw = stack.enter_context(Path(place).open("rb"))
        start = raw.peek(8)[:8]
        opener = next((o for mark, o in _COMPRESSED.items() if start.startswith(mark)), None)
        return _read(raw if opener is None else stack.enter_context(opener(raw)))


def _read(file: Any) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    while size <= _MOST and (chunk := file.read(_CHUNK)):
        if not chunks and not _encoding(chunk) and b"\0" in chunk:
            return None  # /dev/zero would not end
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def _encoding(data: bytes) -> str:
    return next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "")
