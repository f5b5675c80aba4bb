"""The levels of one parameter: conversion from and to Optuna's distributions or a grid's axis."""

from __future__ import annotations

import bisect
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dsice.errors import InvalidInput
from dsice.grid import Axis

MOST: Final = 1_000_000  # maximum number of levels of an axis


class Levels(ABC):
    """The values that a parameter can take, counted from 0.

    Attributes:
        count: number of levels.
        ordered: whether neighbours are expected to behave alike.
    """

    def __init__(self, count: int, ordered: bool) -> None:
        self.count: Final = count
        self.ordered: Final = ordered

    @abstractmethod
    def value(self, index: int) -> Any:
        """The value of level ``index``."""

    @abstractmethod
    def index(self, value: Any) -> int | None:
        """The level of ``value``, the nearest one for a number in the range; None without one."""


class Stepped(Levels):
    """Evenly spaced numbers."""

    def __init__(self, low: float, high: float, step: float) -> None:
        self._low, self._high, self._step = low, high, step
        self._whole = all(isinstance(each, int) for each in (low, high, step))
        steps = (high - low) // step if self._whole else round((high - low) / step)
        super().__init__(int(steps) + 1, ordered=True)

    def value(self, index: int) -> float:  # noqa: D102  (as the base)
        value = self._low + index * self._step
        if self._whole:
            return value
        # Remove rounding errors in the last bits: 0.30000000000000004 becomes 0.3.
        return min(max(float(f"{value:.12g}"), self._low), self._high)

    def index(self, value: Any) -> int | None:  # noqa: D102
        if not _is_number(value) or not self._low <= value <= self._high:
            return None
        steps: float = (value - self._low) / self._step
        return round(steps)


class Listed(Levels):
    """Ascending numbers; the nearest one is found by logarithms if ``log``."""

    def __init__(self, values: Sequence[float], log: bool = False) -> None:
        super().__init__(len(values), ordered=True)
        self._values = tuple(values)
        self._mark = math.log if log else float
        self._marks = [self._mark(value) for value in values]

    def value(self, index: int) -> float:  # noqa: D102
        return self._values[index]

    def index(self, value: Any) -> int | None:  # noqa: D102
        if not _is_number(value) or not self._values[0] <= value <= self._values[-1]:
            return None
        mark = self._mark(value)
        above = min(bisect.bisect_left(self._marks, mark), self.count - 1)
        below = max(above - 1, 0)
        return above if self._marks[above] - mark < mark - self._marks[below] else below


class Choices(Levels):
    """The choices of a categorical distribution; ordered if they are ascending numbers."""

    def __init__(self, distribution: CategoricalDistribution) -> None:
        choices = distribution.choices
        super().__init__(len(choices), _is_ascending(choices))
        self._distribution = distribution

    def value(self, index: int) -> Any:  # noqa: D102
        return self._distribution.choices[index]

    def index(self, value: Any) -> int | None:  # noqa: D102
        try:
            return int(self._distribution.to_internal_repr(value))
        except ValueError:
            return None


class OfAxis(Levels):
    """Exactly the levels of an axis."""

    def __init__(self, axis: Axis) -> None:
        super().__init__(len(axis), axis.ordered)
        self._levels = axis.levels
        self._index = {level: k for k, level in enumerate(axis.levels)}

    def value(self, index: int) -> Any:  # noqa: D102
        return self._levels[index]

    def index(self, value: Any) -> int | None:  # noqa: D102
        return self._index.get(value)


def levels_of(name: str, distribution: BaseDistribution, levels: int | None) -> Levels:
    """Convert a distribution to levels.

    Args:
        name: name of the parameter, for messages.
        distribution: the distribution.
        levels: number of levels of a range without steps, or with more steps than an axis may have
            levels: floats without ``step``, logarithmic integers (at most), and huge ranges. None:
            such floats and huge ranges are refused, and all logarithmic integers are levels.

    Raises:
        InvalidInput: it has no levels, or too many.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Choices(distribution)
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        raise InvalidInput(
            f"the parameter {name!r} has a {type(distribution).__name__}, which DsiceSampler does "
            "not know: accepted are suggest_int, suggest_float and suggest_categorical"
        )
    low, high, step = distribution.low, distribution.high, distribution.step
    if high == low:
        return Listed([low])
    whole = isinstance(distribution, IntDistribution)
    if levels is not None and distribution.log:
        spread = _geometric(low, high, levels)
        if whole:
            spread = sorted({min(max(round(each), low), high) for each in spread})
        return Listed(spread, log=True)
    if step is None and levels is None:
        stepped = f"trial.suggest_float({name!r}, {low:g}, {high:g}, step=...), suggest_int or "
        raise InvalidInput(
            f"the parameter {name!r} has no levels, and DsiceSampler searches a grid: write "
            f"{'' if distribution.log else stepped}suggest_categorical, or say how many levels "
            "with DsiceSampler(levels=25)"
        )
    if step is None:
        assert levels is not None
        gap = (high - low) / (levels - 1)
        return Listed([*(low + k * gap for k in range(levels - 1)), high])
    if (high - low) // step < MOST:
        return Stepped(low, high, step)
    if levels is None:
        advice = "" if distribution.log else "give a larger step, or "
        raise InvalidInput(
            f"the parameter {name!r} has more than {MOST:,} levels between {low} and {high}: "
            f"{advice}say how many levels with DsiceSampler(levels=25)"
        )
    every = Stepped(low, high, step)
    return Listed([every.value(k * (every.count - 1) // (levels - 1)) for k in range(levels)])


def levels_if_any(distribution: BaseDistribution, levels: int | None) -> Levels | None:
    """As `levels_of`; None instead of an error."""
    try:
        return levels_of("", distribution, levels)
    except InvalidInput:
        return None


def _geometric(low: float, high: float, count: int) -> list[float]:
    ratio = (math.log(high) - math.log(low)) / (count - 1)
    inner = [math.exp(math.log(low) + k * ratio) for k in range(1, count - 1)]
    return [low, *(min(max(float(f"{each:.12g}"), low), high) for each in inner), high]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_ascending(choices: Sequence[Any]) -> bool:
    return all(map(_is_number, choices)) and all(
        below < above for below, above in itertools.pairwise(choices)
    )
