"""Numbers with units, as programs print them: ``1.3 ms``, ``512 KiB``, ``1:02.5``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_NUMBER: Final = re.compile(
    r"[+-]?(?:inf|nan|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eEdD][+-]?\d+)?"
    r"|\.\d+(?:[eEdD][+-]?\d+)?)",
    re.IGNORECASE,
)
_PART: Final = re.compile(
    rf"\s*({_NUMBER.pattern})\s*([^\d\s.,+-]\S*?)?(?=\s|\d|\Z)", re.IGNORECASE
)
_CLOCK: Final = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")

_LONGEST: Final = 200  # characters of a number

# Decimal, since 1.3 ms is 0.0013 s and not 0.0013000000000000002 s.
_TIME: Final = {
    **dict.fromkeys(("ns", "nsec"), Decimal("1e-9")),
    **dict.fromkeys(("us", "µs", "μs", "usec"), Decimal("1e-6")),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), Decimal("1e-3")),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), Decimal("1")),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), Decimal("60")),
    **dict.fromkeys(("h", "hr", "hour", "hours"), Decimal("3600")),
    **dict.fromkeys(("d", "day", "days"), Decimal("86400")),
}
_PREFIX: Final = {
    **{
        sign: Decimal(10) ** -power
        for sign, power in zip("pnuµμm", (12, 9, 6, 6, 6, 3), strict=True)
    },
    "": Decimal(1),
    **{
        sign: Decimal(10) ** power
        for sign, power in zip("kKMGTPE", (3, 3, 6, 9, 12, 15, 18), strict=True)
    },
    **{f"{sign}i": Decimal(1024) ** power for power, sign in enumerate("KMGTP", 1)},
}


def number_in(text: str, unit: str = "") -> float:
    """Parse a number with an optional unit; it may be infinite or NaN.

    Accepts commas between thousands, and Fortran's ``1.5D+03``.

    Args:
        text: a number; if ``unit`` is given, it may have a unit itself, ``1.3 ms``. A time may be
            given in several parts or as a clock shows it, ``3m2.5s`` or ``1:02.5``.
        unit: the unit of the returned number. A text without a unit is taken to be in this unit.
            Units are those of time, and all others with the usual prefixes: ``1.2 TFLOP/s`` is
            1200 in ``GFLOP/s``, and ``512 KiB`` is 0.524288 in ``MB``.

    Raises:
        ValueError: it is not such a number; the message says what it is.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:60]!r}... is too long for a number")
    if _NUMBER.fullmatch(text):
        return float(_decimal(text))
    if not unit:
        hint = "; say which 'unit' it is to be in" if _PART.match(text) else ""
        raise ValueError(f"{text[:60]!r} is no number{hint}")
    if unit in _TIME and (clock := _CLOCK.fullmatch(text)):
        hours, minutes, rest = clock.groups(default="0")
        elapsed = 3600 * Decimal(hours) + 60 * Decimal(minutes) + Decimal(rest)
        return float(elapsed / _TIME[unit])
    parts, end = [], 0
    while part := _PART.match(text, end):
        parts.append((_decimal(part[1]), part[2] or ""))
        end = part.end()
    if end < len(text) or not parts or (len(parts) > 1 and unit not in _TIME):
        raise ValueError(f"{text[:60]!r} is no number of {unit}")
    try:
        return float(sum(value * _scale(own, unit) for value, own in parts))
    except ArithmeticError:
        raise ValueError(f"{text[:60]!r} is too large or too small") from None


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("d", "e").replace("D", "e"))


def _scale(own: str, unit: str) -> Decimal:
    """The conversion factor from the unit ``own`` to ``unit``."""
    if own in ("", unit):
        return Decimal(1)
    if unit in _TIME:
        if own in _TIME:
            return _TIME[own] / _TIME[unit]
    else:
        ours, theirs = _readings(unit), _readings(own)
        for base in sorted(ours.keys() & theirs.keys(), key=len, reverse=True):
            return theirs[base] / ours[base]
    raise ValueError(f"{own[:30]!r} cannot be put into {unit!r}")


def _readings(unit: str) -> dict[str, Decimal]:
    """All readings of a unit as a prefix and a base, as scale by base."""
    return {
        unit[len(prefix) :]: scale
        for prefix, scale in _PREFIX.items()
        if unit.startswith(prefix) and len(unit) > len(prefix)
    }
