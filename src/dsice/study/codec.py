"""The form of events on disk: one JSON object per line.

A line of the current format ends in a checksum of the text before it, so that all damage is
detected::

    {"event":"attempt","t":1700000000.0,"session":"5f0c2a9e","trial":1,"attempt":1,"crc":"0a1b2c3d"}
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from dsice.study.events import Added, Event

_CHECKSUM: Final = b',"crc":"'
_TAIL: Final = len(_CHECKSUM) + len('00000000"}')
_LONGEST_HEALED: Final = 2_000  # bytes: each of their bits is tried


class UnreadableLine(ValueError):
    """A line of a journal is not an event of this version; the message says what is wrong."""


class LaterVersion(UnreadableLine):
    """The line is intact, and was written by a later version."""


_ANY: Final[Any] = reduce(or_, [*Event.__subclasses__(), Added])
_decoder: Final = msgspec.json.Decoder(_ANY)


def of(facts: Mapping[str, Any]) -> Event:
    """Convert plain data to an event, such as ``{"event": "swept", "t": 1.0, "sweep": 1}``.

    Raises:
        ValueError: it is not an event.
    """
    event: Event = msgspec.convert(facts, _ANY)
    return event


def encode(event: Event) -> bytes:
    """Encode an event as a line, with its checksum and newline."""
    try:
        text = msgspec.json.encode(event, enc_hook=_plain)
    except UnicodeEncodeError:  # half of a surrogate pair, such as in a file name
        loose = json.dumps(msgspec.to_builtins(event, enc_hook=_plain), ensure_ascii=False)
        text = loose.encode("utf-8", "replace")
    body = text[:-1]
    return b'%b%b%08x"}\n' % (body, _CHECKSUM, zlib.crc32(body))


def decode(line: bytes) -> tuple[Event, bool]:
    """Decode a line without its newline: the event, and whether it has a checksum.

    Raises:
        UnreadableLine: it is damaged, or from a later version.
    """
    checked = line[-_TAIL : -_TAIL + len(_CHECKSUM)] == _CHECKSUM
    if checked:
        body = line[:-_TAIL]
        if line[-_TAIL:] != b'%b%08x"}' % (_CHECKSUM, zlib.crc32(body)):
            raise UnreadableLine("its checksum does not match")
        line = body + b"}"
    try:
        event: Event = _decoder.decode(line)
        return event, checked
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if checked:  # intact, so written by some version
            raise LaterVersion(f"a later version of dsice wrote it ({error})") from None
        raise UnreadableLine(str(error)) from None


def _plain(value: object) -> object:
    """Convert NumPy's numbers, which are levels of some grids, to Python's."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"no plain data: {value!r}")


def healed(line: bytes) -> Event | None:
    """Repair a line with a single flipped bit; None if this is not the damage.

    A CRC-32 distinguishes all single-bit errors, so the result is what was written.
    """
    if len(line) > _LONGEST_HEALED:
        return None
    for index in range(len(line)):
        for bit in range(8):
            changed = bytearray(line)
            changed[index] ^= 1 << bit
            with suppress(UnreadableLine):
                event, checked = decode(bytes(changed))
                if checked:
                    return event
    return None
