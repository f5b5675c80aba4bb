"""Durations, as people write and read them."""

from __future__ import annotations

import re
from typing import Final

from dsice.errors import InvalidInput

_SECONDS: Final = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
DURATION: Final = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(_SECONDS)})\s*")


def seconds(value: object) -> float:
    """The seconds in ``"90 s"``, ``"10 min"``, ``"2 h"``, ``"7 d"``, or in a plain number.

    Raises:
        InvalidInput: not of that form, or not positive.
    """
    amount = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        amount = float(value)
    elif isinstance(value, str) and (match := DURATION.fullmatch(value)):
        amount = float(match[1]) * _SECONDS[match[2]]
    if amount is None or not 0 < amount < float("inf"):
        raise InvalidInput(
            f"{value!r} is no duration: write '90 s', '10 min', '2 h', '7 d' or a number of seconds"
        )
    return amount


def duration(amount: float) -> str:
    """``amount`` seconds in at most two units: ``"45 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    if amount < 9.95:
        return f"{amount:.1f} s"
    whole = round(amount)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    while not parts[0][0]:
        del parts[0]
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)
