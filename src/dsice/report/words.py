"""Formatting of parameters, bounds, and texts from programs and users in the report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from dsice.goal import Bound
from dsice.grid import Value
from dsice.text import plain
from dsice.units import number, setting

_SIGNS: Final = {"<=": "≤", ">=": "≥", "<": "<", ">": ">"}


def parameter(value: Value) -> str:
    """Format a parameter value safely for the page."""
    return plain(setting(value), 80)


def bound(limits: Bound) -> str:
    """Format a bound as ``rmse ≤ 12.5``, or as in the study file while it has no limit."""
    if limits.limit is None:
        return plain(limits.text)
    return f"{plain(limits.metric)} {_SIGNS[limits.relation]} {setting(limits.limit)}"


def fraction(factor: float) -> str:
    """The share of a time divided by ``factor``: ``1/27.3``, or ``1.78`` if it has increased."""
    return f"1/{number(factor)}".removesuffix("/1") if factor >= 1 else number(1 / factor)


def time_share(factor: float) -> str:
    """`fraction` in words: ``1/27.3 of the time``, ``1.78 times the time``, ``the same time``."""
    left = fraction(factor)
    if left == "1":
        return "the same time"
    return f"{left} of the time" if factor > 1 else f"{left} times the time"


def moment(seconds: float, clock: str = "%H:%M") -> str:
    """Format a Unix time in the local time zone."""
    try:
        form = f"%Y-%m-%d {clock} %Z"
        return datetime.fromtimestamp(seconds).astimezone().strftime(form).strip()
    except (OverflowError, OSError, ValueError):
        return "unknown"
