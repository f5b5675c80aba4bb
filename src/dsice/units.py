"""Numbers and durations, as people write and read them.

Measured values have three significant digits (`number`), settings the digits they were given
(`setting`), so that a number looks the same in every view. Journals and JSON keep all digits.
"""

from __future__ import annotations

import math
import re
from typing import Final

from dsice.errors import InvalidInput
from dsice.text import one_line

_DIGITS: Final = 3
_MOST_DIGITS: Final = 17
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
    """``amount`` seconds in at most two units: ``"3.72 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    if amount < 9.995:
        short = 0 < amount < 0.1
        return f"{number(1000 * amount)} ms" if short else f"{number(max(amount, 0.0))} s"
    whole = round(amount)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    while not parts[0][0]:
        del parts[0]
    return " ".join(f"{amount} {unit}" for amount, unit in parts[:2] if amount)


def hours(amount: float) -> str:
    """``amount`` seconds of machine time in hours: ``4,905``, ``12.3``, ``0.0512``."""
    return number(amount / 3600) if amount < 3600e3 else f"{amount / 3600:,.0f}"


def number(value: float, *limits: float) -> str:
    """A measured number: ``12.5``, ``0.00316``, ``1.23e+07``.

    It has three significant digits, or as many as keep it on its side of each of ``limits``: 12.504
    beside the limit 12.5. A whole part of up to six digits is never rounded.
    """
    for digits in range(_DIGITS, _MOST_DIGITS):
        text = _rounded(value, digits)
        if all(_side(float(text), limit) == _side(value, limit) for limit in limits):
            return text
    return repr(value)


def apart(*values: float) -> list[str]:
    """`number` of each, with as many digits as tell unequal ones apart: ``12.5``, ``12.504``."""
    different = len(set(values))
    for digits in range(_DIGITS, _MOST_DIGITS):
        texts = [_rounded(value, digits) for value in values]
        if len(set(texts)) == different:
            return texts
    return [repr(value) for value in values]


def span(low: float, high: float) -> str:
    """``4.02 to 8.74``, or ``4.02`` where both ends look the same."""
    return " to ".join(dict.fromkeys((number(low), number(high))))


def _rounded(value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{abs(value) if value == 0 else value:g}"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or abs(value) >= 999_999.5:
        text, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_shortened(text)}e{exponent}"
    return _shortened(f"{value:.{max(digits - 1 - size, 0)}f}")


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def _shortened(text: str) -> str:
    """Without zeros at the end of a fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


ABSENT: Final = "–"
"""Stands for the level of a parameter that does not apply."""


def setting(value: object) -> str:
    """A setting, such as a level or a limit: as it was written, numbers to six digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else one_line(str(value))


def percent(share: float) -> str:
    """A share as a whole percentage; ``< 1 %`` and ``> 99 %`` differ from 0 and 100."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def count(amount: int, one: str, many: str = "") -> str:
    """``1 trial``, ``2 trials``, ``1,024 trials``."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def ordinal(place: int) -> str:
    """``third`` up to ten, then ``11th``."""
    words = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
    if 1 <= place <= len(words):
        return words[place - 1]
    last = 0 if place // 10 % 10 == 1 else place % 10
    return str(place) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
