"""The levels of ranges: evenly spaced, geometric, integers, or round numbers of a continuous range.

Functions with the name of the axis, for messages, raise `InvalidInput` if ends, number and step do
not define a range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from dsice.errors import InvalidInput

_MAX_LEVELS: Final = 1_000_000
_LARGEST: Final = 1e300
_PER_DECADE: Final = 4
_FEWEST, _MOST, _EVEN = 9, 33, 21  # default numbers of levels of a continuous range
_MOVED: Final = 0.25  # maximum shift of a level by rounding, relative to the gap to the next


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


def continuous(
    name: str, first: float, last: float, levels: int | None, *, log: bool
) -> Sequence[float]:
    """Round numbers of a continuous range, see `dsice.Axis.log` and `dsice.Axis.range`."""
    kind = geometric if log else linear
    exact = kind(name, first, last, _EVEN if levels is None else levels, None)
    if first == last:
        raise InvalidInput(f"axis {name!r}: both ends of a continuous range are {first!r}")
    if levels is None and not log:
        return _multiples(first, last)
    if levels is None:
        decades = abs(math.log10(last) - math.log10(first))
        levels = min(max(round(_PER_DECADE * decades) + 1, _FEWEST), _MOST)
        exact = kind(name, first, last, levels, None)
    levels = len(exact)
    for digits in range(1, 13 if levels > 2 else 1):
        found = [first, *_rounded(exact, digits, log), last]
        if _are_near(found, exact, log):
            return _values(found, first, last, levels)
    return exact


def _multiples(first: float, last: float) -> Sequence[float]:
    """The ends, and between them the multiples of a round step: about `_EVEN` levels.

    The step is 1, 2, 2.5 or 5 times a power of ten; a whole number between distant whole ends.
    """
    low, high = min(first, last), max(first, last)
    gap = (high - low) / (_EVEN - 1)
    ten = math.floor(math.log10(gap))
    steps = [Decimal(m).scaleb(e) for e in (ten, ten + 1) for m in ("1", "2", "2.5", "5")]
    if _whole(first, last) and gap >= 1:
        steps = [step for step in steps if step == step.to_integral_value()]
    step = min(steps, key=lambda step: abs(math.log(float(step) / gap)))
    start, end = Decimal(repr(low)), Decimal(repr(high))
    # A multiple that nearly is an end would only measure the same once more.
    least = math.ceil((start + step / 2) / step)
    most = math.floor((end - step / 2) / step)
    values = [low, *(float(k * step) for k in range(least, most + 1)), high]
    return _values(values if first < last else values[::-1], first, last, len(values))


def nearest(levels: Sequence[float], number: float, *, log: bool) -> int:
    """The index of the level nearest to ``number``.

    Args:
        levels: at least one, in any order.
        number: finite.
        log: whether to use distances of logarithms; all numbers must be positive then.
    """
    mark = math.log if log else float
    return min(range(len(levels)), key=lambda k: abs(mark(levels[k]) - mark(number)))


def integers(name: str, first: int, last: int, step: int) -> Sequence[int]:
    """Integers, both ends included, see `dsice.Axis.integers`."""
    if not all(isinstance(v, int) and not isinstance(v, bool) for v in (first, last, step)):
        raise InvalidInput(f"axis {name!r}: integers are needed, not {[first, last, step]!r}")
    if step == 0 or (last - first) * step < 0:
        raise InvalidInput(f"axis {name!r}: step {step!r} does not lead to {last!r}")
    _count(name, (last - first) // step + 1)
    return list(range(first, last + (1 if step > 0 else -1), step))


def _tidy(value: float) -> float:
    """Remove rounding errors in the last bits: 0.30000000000000004 becomes 0.3."""
    return float(f"{value:.12g}")


def _values(
    values: Sequence[float], first: float, last: float, levels: int | None
) -> Sequence[float]:
    """``values`` without rounding errors; as integers if all are whole and both ends are ints."""
    tidy = [_tidy(value) for value in values]
    tidy[0] = float(first)
    if levels is not None and len(tidy) > 1:
        tidy[-1] = float(last)
    if _whole(first, last) and all(v.is_integer() and abs(v) < 1e12 for v in tidy):
        return [int(value) for value in tidy]
    return tidy


def _rounded(exact: Sequence[float], digits: int, log: bool) -> list[float]:
    """Round the levels between the ends.

    With ``log`` to one digit more than ``digits``, otherwise to that many of the gap between two
    levels.
    """
    if log:
        return [float(f"{value:.{digits}e}") for value in exact[1:-1]]
    places = digits - 1 - math.floor(math.log10(abs(exact[1] - exact[0])))
    return [_tidy(round(value, places)) for value in exact[1:-1]]


def _are_near(found: Sequence[float], exact: Sequence[float], log: bool) -> bool:
    """Whether rounded levels are still in order and close to the exact ones."""
    marks = [[math.log(v) if log else v for v in values] for values in (found, exact)]
    gap = (marks[1][-1] - marks[1][0]) / (len(exact) - 1)
    return all((b - a) * gap > 0 for a, b in itertools.pairwise(found)) and all(
        abs(a - b) <= _MOVED * abs(gap) for a, b in zip(*marks, strict=True)
    )


def _is_number(value: object) -> bool:
    # Differences and ratios of the ends must not overflow.
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
    """The number of whole steps that fit, tolerating rounding errors in the last bits."""
    return _count(name, math.floor(min(steps * (1 + 1e-12), 1e18)) + 1) - 1


def _count(name: str, levels: int | None) -> int:
    if not isinstance(levels, int) or isinstance(levels, bool) or not 1 <= levels <= _MAX_LEVELS:
        raise InvalidInput(f"axis {name!r}: levels = {levels!r}; 1 to {_MAX_LEVELS} are accepted")
    return levels
