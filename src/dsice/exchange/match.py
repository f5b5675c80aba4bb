"""Converting rows of another program to results of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.hidden import hidden
from dsice.exchange.legend import Legend
from dsice.exchange.levels import Levels
from dsice.exchange.source import ABSENT, Row, RowState, Source, is_blank, number
from dsice.exchange.wishes import Get, Unread, Wishes, getter, listed
from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.study.known import Result


@dataclass(frozen=True, slots=True)
class Matched:
    """The results found in a source.

    Attributes:
        results: in the order of the source.
        left_out: how many rows were left out for each reason, and an example.
        others: numbers that are kept as metrics though neither the user nor the format says so.
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
    wishes = wishes or Wishes()
    legend = Legend.of(source, grid, goal, wishes)
    reader = _Reader(legend, grid, goal, wishes.nearest)
    rows = legend.source.rows
    reader.refuse_hidden(rows, legend.doubtful)
    results: list[Result] = []
    left_out: dict[str, tuple[int, str]] = {}
    for row in rows:
        try:
            results.append(reader.result(row))
        except _LeftOut as why:
            count, example = left_out.get(why.reason, (0, why.example))
            left_out[why.reason] = (count + 1, example)
    reader.require_reading()
    others = tuple(name for name, column in legend.others.items() if column in legend.doubtful)
    return Matched(tuple(results), left_out, others)


class _LeftOut(Exception):
    """A row has no result; the message says why."""

    def __init__(self, reason: str, example: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.example = example


class _Reader:
    def __init__(self, legend: Legend, grid: Grid, goal: Goal, nearest: bool) -> None:
        source = legend.source
        self._what: Final = source.what
        self._grid: Final = grid
        self._goal: Final = goal.metrics
        self._nearest: Final = nearest
        self._levels: Final = [Levels(axis) for axis in grid.axes]
        self._params: Final = {
            name: getter(source, text, "param", name) for name, text in legend.params.items()
        }
        self._metrics: Final = {
            name: getter(source, text, "metric", name) for name, text in legend.metrics.items()
        }
        self._others: Final = legend.others
        self._unread: dict[str, str] = {}  # by metric, why it could not be read first
        self._read: set[str] = set()

    def require_reading(self) -> None:
        """Check that each metric could be read in some row, if there was anything to be read.

        Raises:
            InvalidInput: it could not.
        """
        for name, why in self._unread.items():
            if name not in self._read:
                raise InvalidInput(f"{self._what}: {why}")

    def refuse_hidden(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Check that none of the ``columns`` is a parameter besides.

        Raises:
            InvalidInput: rows with the same parameters differ there as others do.
        """
        if not columns:
            return
        keys = [None if row.state is RowState.OPEN else self._key(row) for row in rows]
        points = {k: key for k, key in enumerate(keys) if key is not None}
        found = hidden([rows[k] for k in points], list(points.values()), columns)
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
        indices: list[int | None] = []
        for get, levels in zip(self._params.values(), self._levels, strict=True):
            try:
                value = get(row)
            except Unread:
                return None
            index = levels.index(value, self._nearest)
            key.append(str(value) if index is None else index)
            indices.append(index)
        active = self._grid.active_at(indices)
        return tuple(each if active is None or k in active else None for k, each in enumerate(key))

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
        """The value of a metric in a row; None for an empty cell."""
        try:
            value = get(row)
        except Unread as error:
            self._unread.setdefault(name, f"{row.where}: {error}")
            why = f"metric {name!r} cannot be computed"
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
        point = [0] * len(self._levels)
        for axis in self._grid.reading_order:
            name, levels, when = (
                self._grid.names[axis],
                self._levels[axis],
                self._grid.whens.get(axis),
            )
            if when is not None and not when(tuple(point)):
                continue  # whatever stands there
            get = self._params[name]
            try:
                value = get(row)
            except Unread as error:
                why = f"parameter {name!r} cannot be computed"
                raise _LeftOut(why, f"{row.where}: {error}") from None
            if value is ABSENT:
                raise _LeftOut(f"parameter {name!r} is missing", row.where)
            index = levels.index(value, self._nearest)
            if index is None:
                raise _LeftOut(f"parameter {name!r} has no such level", f"{row.where}: {value!r}")
            point[axis] = index
        if not self._grid.allows(tuple(point)):
            raise _LeftOut(f"the rule {self._grid.rule!r} excludes it", row.where)
        return self._grid.canonical(tuple(point))

    def _with_others(self, row: Row, metrics: Metrics) -> Metrics:
        """All numbers of a row are kept: another bound may ask for them one day."""
        sizes = {name: number(row.values.get(column)) for name, column in self._others.items()}
        others = {
            name: size for name, size in sizes.items() if size is not None and math.isfinite(size)
        }
        finite = {name: size for name, size in metrics.items() if math.isfinite(size)}
        return finite | others
