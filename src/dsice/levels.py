"""The levels of ranges: evenly spaced, in constant ratio, whole.

Every function takes the name of the axis for its messages, and raises `InvalidInput` where ends,
number and step do not make a range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dsice.errors import InvalidInput

_MAX_LEVELS: Final = 1_000_000
_LARGEST: Final = 1e300


def linear(
    name: str, first: float, last: float, levels: int | None, step: float | None
) -> Sequence[float]:
    """Evenly spaced levels, see `dsice.Axis.linear`."""
    _check_range(name, first, last, levels, step)
    if step is None:
        gaps = _count(name, levels) - 1
        step = (last - first) / gaps if gaps else 0.0
        if _whole(first, last) and gaps and (last - first) % gaps == 0:
            step = (last - first) // gaps
    else:
        if not (_is_number(step) and step * (last - first) > 0):
            raise InvalidInput(f"axis {name!r}: step {step!r} does not lead to {last!r}")
        gaps = _steps(name, (last - first) / step)
    if _whole(first, last, step):
        return [first + k * step for k in range(gaps + 1)]
    return _values([first + k * step for k in range(gaps + 1)], first, last, levels)


def geometric(
    name: str, first: float, last: float, levels: int | None, step: float | None
) -> Sequence[float]:
    """Levels in constant ratio, see `dsice.Axis.geometric`."""
    _check_range(name, first, last, levels, step)
    if first <= 0 or last <= 0:
        raise InvalidInput(f"axis {name!r}: both ends of a geometric range must be positive")
    span = math.log(last) - math.log(first)
    if step is None:
        gaps = _count(name, levels) - 1
        step = math.exp(span / gaps) if gaps else 1.0
        if _whole(first, last) and first * round(step) ** gaps == last:
            step = round(step)
    else:
        if not (_is_number(step) and step > 0 and math.log(step) * span > 0):
            raise InvalidInput(f"axis {name!r}: ratio {step!r} does not lead to {last!r}")
        gaps = _steps(name, span / math.log(step))
    if _whole(first, last, step):
        return [first * step**k for k in range(gaps + 1)]
    ratio = span / gaps if levels and gaps else math.log(step)
    values = [math.exp(math.log(first) + k * ratio) for k in range(gaps + 1)]
    return _values(values, first, last, levels)


def integers(name: str, first: int, last: int, step: int) -> Sequence[int]:
    """Whole numbers, both ends included, see `dsice.Axis.integers`."""
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in (first, last, step)):
        raise InvalidInput(f"axis {name!r}: integers are needed, not {[first, last, step]!r}")
    if step == 0 or (last - first) * step < 0:
        raise InvalidInput(f"axis {name!r}: step {step!r} does not lead to {last!r}")
    _count(name, (last - first) // step + 1)
    return list(range(first, last + (1 if step > 0 else -1), step))


def _tidy(value: float) -> float:
    """``value`` without the last bits of rounding: 0.30000000000000004 is meant to be 0.3."""
    return float(f"{value:.12g}")


def _values(
    values: Sequence[float], first: float, last: float, levels: int | None
) -> Sequence[float]:
    """``values`` without rounding errors; integers if all are and the ends are given as such."""
    tidy = [_tidy(value) for value in values]
    tidy[0] = float(first)
    if levels is not None and len(tidy) > 1:
        tidy[-1] = float(last)
    if _whole(first, last) and all(v.is_integer() and abs(v) < 1e12 for v in tidy):
        return [int(value) for value in tidy]
    return tidy


def _is_number(value: object) -> bool:
    # Differences and ratios of the ends must not overflow either.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _check_range(
    name: str, first: float, last: float, levels: int | None, step: float | None
) -> None:
    for end in (first, last):
        if not _is_number(end):
            raise InvalidInput(f"axis {name!r}: {end!r} is no number up to {_LARGEST:g}")
    if (levels is None) == (step is None):
        raise InvalidInput(f"axis {name!r}: give either levels or step")


def _whole(*values: float) -> bool:
    return all(isinstance(value, int) for value in values)


def _steps(name: str, steps: float) -> int:
    """How many whole steps fit, forgiving rounding in the last bits."""
    return _count(name, math.floor(min(steps * (1 + 1e-12), 1e18)) + 1) - 1


def _count(name: str, levels: int | None) -> int:
    if not isinstance(levels, int) or isinstance(levels, bool) or not 1 <= levels <= _MAX_LEVELS:
        raise InvalidInput(f"axis {name!r}: levels = {levels!r}; 1 to {_MAX_LEVELS} are accepted")
    return levels
