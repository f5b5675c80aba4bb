"""Printing text from users, programs and strangers safely.

A terminal obeys escape sequences: one in a parameter's value could move the cursor, change the
title of the window, or make one line look like another. Everything that dsice prints therefore
goes through `say` or the console of `dsice.console`, which escape them.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Final, TextIO

_CONTROL_PICTURES: Final = 0x2400
_HIDDEN: Final = frozenset({"Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"
"""Format characters that some scripts need to be written at all."""


def visible(text: str) -> str:
    """``text`` without anything that does not show: it is safe to print, and to encode.

    Control characters become their pictures (␛), invisible characters, among them those that turn
    the direction of writing, and lone surrogates become �; tabs and line breaks stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        return chr(_CONTROL_PICTURES + code) if code < 0x20 else "\ufffd"
    return "\ufffd" if category in _HIDDEN else character


def plain(text: str, limit: int = 2000) -> str:
    """As `visible`; texts longer than ``limit`` characters are cut."""
    return visible(text if len(text) <= limit else text[: limit - 1] + "…")


def one_line(text: str) -> str:
    """As `visible`, with line breaks made visible too: it cannot look like another line."""
    return visible(text).replace("\n", "␊").replace("\t", " ")


def say(*lines: object, to: TextIO | None = None) -> None:
    """Print lines as plain text, without control characters; to standard output by default.

    A line may contain line breaks.
    """
    file = sys.stdout if to is None else to
    file.write("".join(f"{visible(str(line))}\n" for line in lines))
    file.flush()
