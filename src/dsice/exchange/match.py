"""From rows of another program to results of a study."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import Columns
from dsice.exchange.levels import Levels
from dsice.exchange.source import Row, RowState, Source, is_blank, number
from dsice.expression import Expression
from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.study.priors import Result

Get = Callable[[Row], object]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the user wants a source to be understood.

    Attributes:
        metrics: for a metric of ours, the source's name of it or an expression in its names.
        params: the same for parameters.
        ignored: names of parameters there that do not matter here.
        nearest: whether a value that is no level counts as the nearest one.
    """

    metrics: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    nearest: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """What a source tells a study.

    Attributes:
        results: in the order of the source.
        left_out: how many rows were left out for each reason, and an example.
    """

    results: tuple[Result, ...]
    left_out: dict[str, tuple[int, str]]


def match(source: Source, grid: Grid, goal: Goal, wishes: Wishes | None = None) -> Matched:
    """Find the results of a study in a source.

    Raises:
        InvalidInput: a parameter or a metric of the goal is missing, a metric is no number, or a
            parameter of the source is unknown here and takes several values.
    """
    reader = _Reader(source, grid, goal, wishes or Wishes())
    results: list[Result] = []
    left_out: dict[str, tuple[int, str]] = {}
    for row in source.rows:
        try:
            results.append(reader.result(row))
        except _LeftOut as why:
            count, example = left_out.get(why.reason, (0, why.example))
            left_out[why.reason] = (count + 1, example)
    return Matched(tuple(results), left_out)


class _LeftOut(Exception):
    """A row tells nothing."""

    def __init__(self, reason: str, example: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.example = example


class _Reader:
    def __init__(self, source: Source, grid: Grid, goal: Goal, wishes: Wishes) -> None:
        self._what: Final = source.what
        self._grid: Final = grid
        self._nearest: Final = wishes.nearest
        self._levels: Final = [Levels(axis) for axis in grid.axes]
        for name in wishes.params:
            if name not in grid.names:
                raise InvalidInput(
                    f"--param {name}: no such parameter; there are {', '.join(grid.names)}"
                )
        columns = Columns.found(source.names, grid.names, goal)
        wanted = {name: wishes.params.get(name, name) for name in grid.names}
        self._params: Final = {
            name: self._getter(source, text, "param", name) for name, text in wanted.items()
        }
        used = {text for text in wanted.values() if text in source.names}
        used |= {name for text in wishes.params.values() for name in _names(text, source.names)}
        self._refuse_other_params(source, used | wishes.ignored)
        others = columns.metrics if source.params is None else _apart(columns.metrics, source)
        own = {name: others.get(name, name) for name in goal.metrics} | dict(wishes.metrics)
        if source.objective and own[goal.metric] not in source.names:
            self._check_sense(source, goal)
            own[goal.metric] = source.objective
        self._goal: Final = goal.metrics
        self._metrics: Final = {
            name: self._getter(source, text, "metric", name) for name, text in own.items()
        }
        spoken_for = {*used, *own.values(), *wishes.ignored}
        self._others: Final = {
            name: column
            for name, column in others.items()
            if name not in own and column not in spoken_for and _is_numeric(column, source.rows)
        }

    def _getter(self, source: Source, text: str, kind: str, name: str) -> Get:
        """What gives the value of ``name``: the source's ``text``, or an expression in names."""
        if text in source.names:
            return lambda row: row.values.get(text)
        hint = f"give --{kind} {name}=NAME, NAME being what it is called there"
        if text == name:
            raise InvalidInput(
                f"{self._what} has no {kind} {name!r}: it has {', '.join(source.names)}; {hint}"
            )
        try:
            expression = Expression(text)
        except InvalidInput as error:
            raise InvalidInput(f"--{kind} {name}={text}: {error}") from None
        if unknown := sorted(expression.names - set(source.names)):
            raise InvalidInput(
                f"--{kind} {name}={text}: {self._what} has no {unknown[0]!r}, but "
                f"{', '.join(source.names)}"
            )

        def evaluated(row: Row) -> object:
            values = {name: row.values.get(name) for name in expression.names}
            if any(map(is_blank, values.values())):
                return None
            sizes = {name: number(value) for name, value in values.items()}
            both = {name: values[name] if sizes[name] is None else sizes[name] for name in values}
            try:
                return expression(both)
            except InvalidInput as error:
                raise InvalidInput(
                    f"{self._what}: {row.where}: --{kind} {name}={text}: {error}"
                ) from None

        return evaluated

    def _refuse_other_params(self, source: Source, fine: Iterable[str]) -> None:
        """Points that differ elsewhere too would be taken for one."""
        for name in sorted((source.params or frozenset()) - set(fine)):
            values = {str(row.values[name]) for row in source.rows if name in row.values}
            if len(values) > 1:
                raise InvalidInput(
                    f"{self._what} has a parameter {name!r} that this study has not, with "
                    f"{len(values)} values; --ignore {name} takes them for the same"
                )

    def _check_sense(self, source: Source, goal: Goal) -> None:
        sense = "minimize" if goal.maximize is None else "maximize"
        if source.sense and source.sense != sense:
            raise InvalidInput(
                f"{self._what} is to {source.sense} and this study to {sense} {goal.metric!r}: "
                f'give --metric {goal.metric}={source.objective}, or "{goal.metric}='
                f'-{source.objective}"'
            )

    def result(self, row: Row) -> Result:
        """The result of a row; `_LeftOut` if it has none."""
        if row.state is RowState.OPEN:
            raise _LeftOut(row.reason or "it has not ended", row.where)
        point = self._point(row)
        if row.state is RowState.FAILED:
            return Result(point, None, row.reason or "failed", row.where)
        values = {name: get(row) for name, get in self._metrics.items()}
        lacking = [name for name in self._goal if is_blank(values[name])]
        if len(lacking) == len(self._goal):
            return Result(point, None, row.reason or "no metrics", row.where)
        if lacking:
            raise _LeftOut(f"metric {lacking[0]!r} is missing", row.where)
        metrics: dict[str, float] = {}
        for name, value in values.items():
            if (size := number(value)) is not None:
                metrics[name] = size
            elif name in self._goal or not is_blank(value):
                raise InvalidInput(
                    f"{self._what}: {row.where}: metric {name!r} is {value!r}, which is no number"
                )
        for name in self._goal:
            if not math.isfinite(metrics[name]):
                return Result(point, None, f"{name} is {metrics[name]}", row.where)
        return Result(point, self._with_others(row, metrics), "", row.where)

    def _point(self, row: Row) -> Point:
        point = []
        for (name, get), levels in zip(self._params.items(), self._levels, strict=True):
            value = get(row)
            index = levels.index(value, self._nearest)
            if index is None:
                raise _LeftOut(f"parameter {name!r} has no such level", f"{row.where}: {value!r}")
            point.append(index)
        if not self._grid.allows(tuple(point)):
            raise _LeftOut(f"the rule {self._grid.rule!r} excludes it", row.where)
        return tuple(point)

    def _with_others(self, row: Row, metrics: Metrics) -> Metrics:
        """All numbers of a row are kept: another bound may ask for them one day."""
        sizes = {name: number(row.values.get(column)) for name, column in self._others.items()}
        others = {
            name: size for name, size in sizes.items() if size is not None and math.isfinite(size)
        }
        finite = {name: size for name, size in metrics.items() if math.isfinite(size)}
        return finite | others


def _names(text: str, names: Iterable[str]) -> set[str]:
    """The names that a wish reads."""
    if text in names:
        return {text}
    try:
        return set(Expression(text).names)
    except InvalidInput:  # said where the wish is read
        return set()


def _apart(metrics: Mapping[str, str], source: Source) -> dict[str, str]:
    """``metrics`` without the source's parameters."""
    params = source.params or frozenset()
    return {name: column for name, column in metrics.items() if column not in params}


def _is_numeric(column: str, rows: Iterable[Row]) -> bool:
    values = [row.values.get(column) for row in rows if row.state is RowState.ENDED]
    return all(is_blank(value) or number(value) is not None for value in values)
