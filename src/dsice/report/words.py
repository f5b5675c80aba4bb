"""How the report writes numbers, parameters and texts that programs and users made up."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final

from dsice.goal import Bound
from dsice.grid import Value
from dsice.study.command import brief

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


def number(value: float) -> str:
    """A measured number, to five digits."""
    return f"{value:.5g}"


def parameter(value: Value) -> str:
    """A parameter value, to six digits, as short as the space beside a point allows."""
    return plain(brief(value), 80)


def bound(limits: Bound) -> str:
    """A bound as people write it, ``rmse ≤ 12.5``; as in the study file while it has no limit."""
    if limits.limit is None:
        return plain(limits.text)
    return f"{plain(limits.metric)} {_SIGNS[limits.relation]} {number(limits.limit)}"


def count(amount: int, one: str, many: str = "") -> str:
    """``1 trial``, ``2 trials``."""
    return f"{amount} {one if amount == 1 else many or one + 's'}"


def fraction(factor: float) -> str:
    """What is left of a time divided by ``factor``: ``1/27``, ``1/1.9``; ``1.3 times`` if more."""
    if factor < 0.95:
        return f"{1 / factor:.3g} times"
    return f"1/{factor:.0f}" if factor >= 9.95 else f"1/{factor:.1f}".removesuffix(".0")


def hours(seconds: float) -> str:
    """Machine time in hours, to three digits or to the hour: ``4,905``, ``12.3``, ``0.0512``."""
    amount = seconds / 3600
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def moment(seconds: float, clock: str = "%H:%M") -> str:
    """A Unix time as the reader's clock showed it."""
    try:
        form = f"%Y-%m-%d {clock} %Z"
        return datetime.fromtimestamp(seconds).astimezone().strftime(form).strip()
    except (OverflowError, OSError, ValueError):
        return "unknown"
