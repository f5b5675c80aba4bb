"""Finding the level of an axis that a value of another program stands for."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from dsice.exchange.source import is_blank, number
from dsice.grid import Axis

_AMBIGUOUS: Final = -1


class Levels:
    """Finds levels of one axis by what another program wrote for them.

    A value is a level if it is equal to it; as a number to 12 digits, as levels themselves are
    rounded; or if it is its text (``true`` and ``TRUE`` are truth values too). A text that two
    levels have, such as 1 and "1", is neither. None, or nothing at all, is the level "None".
    """

    def __init__(self, axis: Axis) -> None:
        self._exact: Final[Mapping[object, int]] = {
            (type(level), level): k for k, level in enumerate(axis.levels)
        }
        self._texts: dict[str, int] = {}
        self._numbers: dict[float, int] = {}
        for k, level in enumerate(axis.levels):
            text = str(level)
            # Truth values are true in JSON, TRUE in spreadsheets.
            words = {text, text.lower(), text.upper()} if isinstance(level, bool) else {text}
            for word in words:
                self._texts[word] = _AMBIGUOUS if word in self._texts else k
            if isinstance(level, int | float) and not isinstance(level, bool):
                self._numbers[_tidy(level)] = k
        # A text among the levels, or a choice, has no neighbours to be near to.
        ordered = axis.ordered and len(self._numbers) == len(axis)
        self._sorted: Final = sorted(self._numbers) if ordered else []

    def index(self, value: object, nearest: bool = False) -> int | None:
        """The index of the level that ``value`` is; None if it is none.

        ``nearest``: on an ordered axis of numbers, the nearest level will do, unless the value lies
        beyond the ends of the axis by more than half the last step.
        """
        if value is None:
            value = str(None)
        if not isinstance(value, bool | int | float | str | Decimal):
            return None
        if (exact := self._exact.get((type(value), value))) is not None:
            return exact
        if is_blank(value):
            value = str(None)  # as pandas writes it
        text = value.strip() if isinstance(value, str) else str(value)
        if (found := self._texts.get(text)) is not None:
            return None if found == _AMBIGUOUS else found
        if (size := number(value)) is None:
            return None
        if (found := self._numbers.get(_tidy(size))) is not None:
            return found
        return self._nearest(size) if nearest else None

    def _nearest(self, size: float) -> int | None:
        levels = self._sorted
        if len(levels) < 2:
            return None
        above = min(max(bisect.bisect(levels, size), 1), len(levels) - 1)
        low, high = levels[above - 1], levels[above]
        reach = (high - low) / 2
        if not low - reach <= size <= high + reach:  # neither beyond the ends, nor not a number
            return None
        return self._numbers[low if size - low <= high - size else high]


def _tidy(size: float) -> float:
    return float(f"{size:.12g}")
