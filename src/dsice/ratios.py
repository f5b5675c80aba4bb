"""Parameters that matter only through their ratios, such as the weights of a loss function.

With the optimiser Adam, for one, a common factor of all weights changes nothing: (1, 2, 4) and
(0.5, 1, 2) are the same program.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Final

from dsice.errors import InvalidInput

# Levels are written, or worked out, with 12 digits or so.
_TOLERANCE: Final = 1e-9
_MOST_LEVELS: Final = 1000
_ZERO: Final = -1
_UNIT: Final = -2


class Ratios:
    """Tells which combinations of levels differ by a common positive factor only.

    Zeros stay zeros. Ratios are equal if they are to within 1e-9. They are not rounded one by one,
    where two that differ in the last bit could fall on two sides: those of two axes are sorted, and
    a gap begins a new class.

    Args:
        levels: the levels of each of these axes, by name; two axes at least.

    Raises:
        InvalidInput: a single axis, or levels that are no numbers of 0 or more.
    """

    def __init__(self, levels: Mapping[str, Sequence[object]]) -> None:
        if len(levels) < 2:
            raise InvalidInput(
                f"only_ratios_of = {list(levels)}: a ratio needs two axes or more, by name"
            )
        self._logs: Final = [_logarithms(name, values) for name, values in levels.items()]
        self._classes: Final = {
            (unit, axis): _classes(self._logs[unit], self._logs[axis])
            for unit, axis in combinations(range(len(self._logs)), 2)
        }

    def key(self, indices: Sequence[int]) -> list[int]:
        """One number for each axis; equal lists say equal ratios.

        Args:
            indices: of the level of each axis.
        """
        unit = -1  # the first axis that is not zero: the others are compared with it
        key = []
        for axis, index in enumerate(indices):
            if self._logs[axis][index] is None:
                key.append(_ZERO)
            elif unit < 0:
                unit = axis
                key.append(_UNIT)
            else:
                key.append(self._classes[unit, axis][indices[unit]][index])
        return key

    def count(self) -> int:
        """How many different ratios there are among all combinations."""
        return len({tuple(self.key(each)) for each in product(*map(range, map(len, self._logs)))})


def _logarithms(name: str, levels: Sequence[object]) -> list[float | None]:
    """The logarithms of levels, None for 0."""
    if len(levels) > _MOST_LEVELS:
        raise InvalidInput(
            f"only_ratios_of: axis {name!r} has {len(levels)} levels; up to {_MOST_LEVELS} "
            "are accepted"
        )
    logs: list[float | None] = []
    for level in levels:
        if not isinstance(level, int | float) or isinstance(level, bool) or level < 0:
            raise InvalidInput(
                f"only_ratios_of: axis {name!r} has the level {level!r}: numbers of 0 or more are "
                "needed"
            )
        logs.append(math.log(level) if level else None)
    return logs


def _classes(units: Sequence[float | None], others: Sequence[float | None]) -> list[list[int]]:
    """The class of the ratio of each level of one axis to each of another; -1 if one is zero."""
    ratios = sorted(
        (other - unit, row, column)
        for row, unit in enumerate(units)
        for column, other in enumerate(others)
        if unit is not None and other is not None
    )
    classes = [[_ZERO] * len(others) for _ in units]
    number, last = -1, -math.inf
    for ratio, row, column in ratios:
        number += ratio - last > _TOLERANCE
        last = ratio
        classes[row][column] = number
    return classes
