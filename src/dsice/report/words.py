"""How the report writes parameters, bounds, and texts that programs and users made up."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

from dsice.goal import Bound
from dsice.grid import Value
from dsice.units import number, setting

_SIGNS: Final = {"<=": "≤", ">=": "≥", "<": "<", ">": ">"}
_CONTROL_PICTURES: Final = 0x2400
_HIDDEN: Final = frozenset({"Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"
"""Format characters that some scripts need to be written at all."""


def plain(text: str, limit: int = 2000) -> str:
    """``text`` without anything that does not show: it is safe to print, and to encode.

    Control characters become their pictures (␛), invisible characters and lone surrogates become �;
    line breaks stay. Texts longer than ``limit`` characters are cut.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        return chr(_CONTROL_PICTURES + code) if code < 0x20 else "\ufffd"
    return "\ufffd" if category in _HIDDEN else character


def parameter(value: Value) -> str:
    """A parameter value, fit to be shown in the page."""
    return plain(setting(value), 80)


def bound(limits: Bound) -> str:
    """A bound as people write it, ``rmse ≤ 12.5``; as in the study file while it has no limit."""
    if limits.limit is None:
        return plain(limits.text)
    return f"{plain(limits.metric)} {_SIGNS[limits.relation]} {setting(limits.limit)}"


def fraction(factor: float) -> str:
    """What is left of a time divided by ``factor``: ``1/27.3``; ``1.78`` if it has become more."""
    return f"1/{number(factor)}".removesuffix("/1") if factor >= 1 else number(1 / factor)


def time_share(factor: float) -> str:
    """`fraction` in words: ``1/27.3 of the time``, ``1.78 times the time``, ``the same time``."""
    left = fraction(factor)
    if left == "1":
        return "the same time"
    return f"{left} of the time" if factor > 1 else f"{left} times the time"


def moment(seconds: float, clock: str = "%H:%M") -> str:
    """A Unix time as the reader's clock showed it."""
    try:
        form = f"%Y-%m-%d {clock} %Z"
        return datetime.fromtimestamp(seconds).astimezone().strftime(form).strip()
    except (OverflowError, OSError, ValueError):
        return "unknown"
