"""From rows of another program to results of a study."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import FACTS, found_metrics, found_params, has_param_prefix
from dsice.exchange.hidden import hidden, is_label
from dsice.exchange.levels import Levels
from dsice.exchange.source import ABSENT, Row, RowState, Source, is_blank, number
from dsice.exchange.tabular import interpreted
from dsice.exchange.wishes import Get, Unread, Wishes, getter, listed, names_in
from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.study.priors import Result


@dataclass(frozen=True, slots=True)
class Matched:
    """What a source tells a study.

    Attributes:
        results: in the order of the source.
        left_out: how many rows were left out for each reason, and an example.
        others: metrics that are kept though neither the goal nor the user names them.
    """

    results: tuple[Result, ...]
    left_out: dict[str, tuple[int, str]]
    others: tuple[str, ...] = ()


def match(source: Source, grid: Grid, goal: Goal, wishes: Wishes | None = None) -> Matched:
    """Find the results of a study in a source.

    Raises:
        InvalidInput: a parameter or a metric of the goal is missing, a metric is a number in no
            row, or the source has a parameter with several values that is unknown here.
    """
    reader = _Reader(source, grid, goal, wishes or Wishes())
    results: list[Result] = []
    left_out: dict[str, tuple[int, str]] = {}
    for row in reader.rows:
        try:
            results.append(reader.result(row))
        except _LeftOut as why:
            count, example = left_out.get(why.reason, (0, why.example))
            left_out[why.reason] = (count + 1, example)
    reader.require_reading()
    return Matched(tuple(results), left_out, reader.others)


class _LeftOut(Exception):
    """A row tells nothing."""

    def __init__(self, reason: str, example: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.example = example


class _Reader:
    def __init__(self, source: Source, grid: Grid, goal: Goal, wishes: Wishes) -> None:
        self._grid: Final = grid
        self._goal: Final = goal.metrics
        self._nearest: Final = wishes.nearest
        self._levels: Final = [Levels(axis) for axis in grid.axes]
        for name in wishes.params:
            if name not in grid.names:
                raise InvalidInput(
                    f"--param {name}: no such parameter; there are {', '.join(grid.names)}"
                )
        ignored = frozenset(_spelled(name, source) for name in wishes.ignored)
        seen = [name for name in source.names if name not in ignored]
        wanted = {**found_params(seen, grid.names), **wishes.params}
        if source.is_table:
            source = interpreted(source, wanted, goal, ignored)
        self._what: Final = source.what
        self.rows: Final = source.rows
        self._params: Final = {
            name: getter(source, wanted.get(name, name), "param", name) for name in grid.names
        }
        used = {name for text in wanted.values() for name in names_in(text, source.names)}
        measured = {name for text in wishes.metrics.values() for name in names_in(text, seen)}
        self._refuse_other_params(source, used | measured | ignored)
        known = {*used, *ignored, *source.facts.values(), *(source.params or ())}
        metrics = found_metrics([n for n in source.names if n not in known], grid.names)
        named = {name: metrics.get(name, name) for name in goal.metrics}
        named |= wishes.metrics
        if source.objective and named[goal.metric] not in source.names:
            self._check_sense(source, goal)
            named[goal.metric] = source.objective
        self._metrics: Final = {
            name: getter(source, text, "metric", name) for name, text in named.items()
        }
        others = {
            name: column
            for name, column in metrics.items()
            if name not in named and column not in named.values()
        }
        if source.is_table:
            if not source.facts.keys() >= set(FACTS):  # else all the others are metrics
                others = self._without_labels(others)
            if not all(has_param_prefix(text) for text in wanted.values()):
                self._refuse_hidden({c for c in others.values() if c not in measured}, source)
        self._others: Final = {n: c for n, c in others.items() if _is_numeric(c, source.rows)}
        self._unread: dict[str, str] = {}  # by metric, why it could not be read first
        self._read: set[str] = set()

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the metrics that are kept though nobody asked for them."""
        return tuple(self._others)

    def require_reading(self) -> None:
        """Check that each metric could be read in some row, if there was anything to be read.

        Raises:
            InvalidInput: it could not.
        """
        for name, why in self._unread.items():
            if name not in self._read:
                raise InvalidInput(f"{self._what}: {why}")

    def _refuse_other_params(self, source: Source, fine: Collection[str]) -> None:
        """Points that differ elsewhere too would be taken for one."""
        for name in sorted((source.params or frozenset()) - set(fine)):
            values = {str(row.values[name]) for row in source.rows if name in row.values}
            if len(values) > 1:
                raise InvalidInput(
                    f"{self._what} has a parameter {name!r} that this study has not, with "
                    f"{len(values)} values: add it to the grid, or give --ignore {name}, which "
                    "takes them for the same"
                )

    def _refuse_hidden(self, candidates: Collection[str], source: Source) -> None:
        """As `_refuse_other_params`, where the format does not say what is a parameter."""
        rows, points = [], []
        for row in source.rows:
            point = self._key(row)
            if row.state is not RowState.OPEN and point is not None:
                rows.append(row)
                points.append(point)
        found = hidden(rows, points, [name for name in source.names if name in candidates])
        if found is None:
            return
        names, (first, second) = found
        ignore = " ".join(f"--ignore {name}" for name in names)
        raise InvalidInput(
            f"{self._what}: {first.where} and {second.where} have the same parameters but differ "
            f"in {names[0]!r}{f' (and others in {listed(names[1:])})' if names[1:] else ''}: add a "
            f"parameter to the grid, give '{ignore}' for what does not matter, or --metric "
            f"{names[0]}={names[0]} for what was measured"
        )

    def _key(self, row: Row) -> tuple[object, ...] | None:
        """What stands for the parameters of a row: levels, or texts of what is no level."""
        key: list[object] = []
        for get, levels in zip(self._params.values(), self._levels, strict=True):
            try:
                value = get(row)
            except Unread:
                return None
            index = levels.index(value, self._nearest)
            key.append(str(value) if index is None else index)
        return tuple(key)

    def _without_labels(self, others: Mapping[str, str]) -> dict[str, str]:
        return {
            name: column
            for name, column in others.items()
            if not is_label(column, [row.values.get(column) for row in self.rows])
        }

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
        metrics = {name: self._metric(name, get, row) for name, get in self._metrics.items()}
        lacking = [name for name in self._goal if metrics[name] is None]
        if len(lacking) == len(self._goal):
            return Result(point, None, row.reason or "no metrics", row.where)
        if lacking:
            raise _LeftOut(f"metric {lacking[0]!r} is missing", row.where)
        sizes = {name: size for name, size in metrics.items() if size is not None}
        for name in self._goal:
            if not math.isfinite(sizes[name]):
                return Result(point, None, f"{name} is {sizes[name]}", row.where)
        return Result(point, self._with_others(row, sizes), "", row.where)

    def _metric(self, name: str, get: Get, row: Row) -> float | None:
        """The number that a metric is in a row; None if nothing stands there."""
        try:
            value = get(row)
        except Unread as error:
            self._unread.setdefault(name, f"{row.where}: {error}")
            why = f"metric {name!r} cannot be worked out"
            raise _LeftOut(why, f"{row.where}: {error}") from None
        size = number(value)
        if size is not None:
            self._read.add(name)
            return size
        if is_blank(value):
            return None
        self._unread.setdefault(
            name, f"{row.where}: metric {name!r} is {value!r}, which is no number"
        )
        if name not in self._goal:
            return None
        raise _LeftOut(f"metric {name!r} is no number", f"{row.where}: {value!r}")

    def _point(self, row: Row) -> Point:
        point = []
        for (name, get), levels in zip(self._params.items(), self._levels, strict=True):
            try:
                value = get(row)
            except Unread as error:
                why = f"parameter {name!r} cannot be worked out"
                raise _LeftOut(why, f"{row.where}: {error}") from None
            if value is ABSENT:
                raise _LeftOut(f"parameter {name!r} is missing", row.where)
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


def _spelled(name: str, source: Source) -> str:
    """A name to be ignored as the source spells it."""
    alike = [each for each in source.names if each.casefold() == name.casefold()]
    if name in alike or len(alike) == 1:
        return name if name in alike else alike[0]
    raise InvalidInput(f"--ignore {name}: {source.what} has {listed(source.names)}")


def _is_numeric(column: str, rows: Iterable[Row]) -> bool:
    """Whether a column has numbers, and nothing else, where programs ended."""
    values = [row.values.get(column) for row in rows if row.state is RowState.ENDED]
    given = [value for value in values if not is_blank(value)]
    return bool(given) and all(number(value) is not None for value in given)
