"""Parameters that matter only through their ratios, such as the weights of a loss function.

With the optimiser Adam, for example, a common factor of all weights has no effect: (1, 2, 4) and
(0.5, 1, 2) are equivalent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Final

from dsice.errors import InvalidInput

# Levels are written or computed with about 12 digits.
_TOLERANCE: Final = 1e-9
_MOST_LEVELS: Final = 1000
_ZERO: Final = -1
_UNIT: Final = -2


class Ratios:
    """Identifies combinations of levels that differ only by a common positive factor.

    Zeros stay zeros. Ratios are equal if they agree to within 1e-9. They are not rounded one by
    one, as two that differ in the last bit could be rounded apart. Instead, the ratios of two axes
    are sorted, and a gap starts a new class.

    Args:
        levels: the levels of each of these axes, by name; two axes at least.

    Raises:
        InvalidInput: a single axis, or levels that are not numbers of 0 or more.
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
        """One number for each axis; equal lists mean equal ratios.

        Args:
            indices: the index of the level on each axis.
        """
        unit = -1  # the first nonzero axis, with which the others are compared
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
        """The number of different ratios among all combinations."""
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
