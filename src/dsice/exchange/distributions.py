"""Axes of a grid as distributions of Optuna."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dsice.grid import Axis, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_WIDE: Final = 100.0  # ratio of the ends from which uneven levels are shown on a logarithmic scale


def distribution_of(optuna: Any, axis: Axis) -> BaseDistribution:
    """A distribution that has all levels of ``axis``, and as few other values as Optuna can say.

    Choices, texts and truth values are categories. Numbers are numbers, so that they are drawn in
    their order: with a step where the levels are evenly spaced, on a logarithmic scale where their
    ratio is constant, or where they are uneven, positive and wide apart.
    """
    made = optuna.distributions
    levels = axis.levels
    numbers = sorted(v for v in levels if isinstance(v, int | float) and not isinstance(v, bool))
    found: BaseDistribution
    if not axis.ordered or len(numbers) < len(levels):
        found = made.CategoricalDistribution(levels)
        return found
    low, high = numbers[0], numbers[-1]
    step = _step(numbers)
    log = step is None and low > 0 and (_is_geometric(numbers) or high / low >= _WIDE)
    if all(isinstance(v, int) for v in numbers):
        found = made.IntDistribution(low, high, log=log, step=1 if step is None else int(step))
    else:
        found = made.FloatDistribution(low, high, log=log, step=step)
    return found


def _step(numbers: Sequence[float]) -> float | None:
    """The distance of evenly spaced numbers; None if they are not, as decimals, or are too few."""
    exact = [Decimal(str(value)) for value in numbers]
    gaps = {b - a for a, b in itertools.pairwise(exact)}
    return float(gaps.pop()) if len(gaps) == 1 else None


def _is_geometric(numbers: Sequence[float]) -> bool:
    ratios = [b / a for a, b in itertools.pairwise(numbers)]
    return len(ratios) > 1 and all(math.isclose(r, ratios[0], rel_tol=1e-6) for r in ratios)


def external(axis: Axis, value: Value) -> Value:
    """A level as Optuna keeps it."""
    mixed = axis.ordered and any(isinstance(v, float) for v in axis.levels)
    return float(value) if mixed and type(value) is int and not _has_text(axis) else value


def _has_text(axis: Axis) -> bool:
    return any(isinstance(level, bool | str) for level in axis.levels)
