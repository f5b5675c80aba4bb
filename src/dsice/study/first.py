"""Settings that are known to work, which are measured before anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid, Point, Value
from dsice.levels import nearest as nearest_of
from dsice.study.command import shown

_SHOWN = 12  # levels that a message lists
_TAKES = ", which 'nearest = true' takes"


Tell = Callable[[str], None]
"""Is told, as a sentence, of each number that was taken for its nearest level."""


def points_of(
    grid: Grid,
    settings: Sequence[Mapping[str, Any]],
    nearest: bool = False,
    tell: Tell = lambda note: None,
) -> tuple[Point, ...]:
    """The points of a grid with these parameter values.

    Args:
        grid: the grid.
        settings: a value of every parameter, by name; texts match levels with the same notation.
        nearest: whether a number that is not a level is replaced by the nearest one, as it always
            is in a continuous range.
        tell: see `Tell`.

    Raises:
        InvalidInput: a parameter is missing or unknown, a value is not a level, the rule excludes
            the point, or two settings are the same point.
    """
    points: list[Point] = []
    for number, setting in enumerate(settings, 1):
        where = f"first setting {number}"
        point = point_of(grid, setting, nearest, where, tell)
        if any(grid.program(point) == grid.program(other) for other in points):
            raise InvalidInput(f"{where}: it is there twice")
        points.append(point)
    return tuple(points)


def point_of(
    grid: Grid, setting: Mapping[str, Any], nearest: bool, where: str, tell: Tell
) -> Point:
    """The point of a grid with these parameter values, see `points_of`.

    ``where`` is what messages call the setting.
    """
    for name in setting:
        if name not in grid.names:
            raise InvalidInput(f"{where}: there is no parameter {name!r}: {_list(grid.names)}")
    point = [0] * len(grid.axes)
    for axis in grid.reading_order:
        name, when = grid.names[axis], grid.whens.get(axis)
        if when is not None and not when(tuple(point)):
            continue  # the given value does not matter
        if name not in setting:
            raise InvalidInput(f"{where}: {name!r} is missing; it needs {_list(grid.names)}")
        point[axis] = _index(grid.axes[axis], setting[name], nearest, where, tell)
    return _allowed(grid, grid.canonical(tuple(point)), where)


def _allowed(grid: Grid, point: Point, where: str) -> Point:
    if not grid.allows(point):
        raise InvalidInput(f"{where}: the rule 'allowed' excludes it")
    return point


def setting_of(text: str, where: str = "--first") -> dict[str, str]:
    """Parse a setting such as ``lr=1e-3,layout=aos``.

    ``where`` is what messages call it.

    Raises:
        InvalidInput: it does not have this form.
    """
    setting = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (name and sign and value) or name in setting:
            raise InvalidInput(f"{where} {text}: write NAME=VALUE,NAME=VALUE, each parameter once")
        setting[name] = value
    return setting


def index_of(axis: Axis, value: Any) -> int:
    """The level of an axis that is expected: of a continuous range the nearest one.

    Raises:
        InvalidInput: it is no level, or outside the range.
    """
    try:
        return _index(axis, value, False, "expect", lambda note: None)
    except InvalidInput as error:
        raise InvalidInput(str(error).removesuffix(_TAKES)) from None


def _index(axis: Axis, value: Any, nearest: bool, where: str, tell: Tell) -> int:
    for index, level in enumerate(axis.levels):
        if _is_same(level, value):
            return index
    number = _number(value)
    numbers = {k: n for k, level in enumerate(axis.levels) if (n := _number(level)) is not None}
    if number is None or not numbers:
        raise InvalidInput(
            f"{where}: {axis.name} = {value!r} is no level: {_list(map(shown, axis.levels))}"
        )
    inside = min(numbers.values()) <= number <= max(numbers.values())
    log = axis.scale == "log" and number > 0
    index = list(numbers)[nearest_of(list(numbers.values()), number, log=log)]
    if axis.ordered and (nearest or (axis.scale and inside)):
        tell(f"{where}: {axis.name} = {value} is no level; {shown(axis.levels[index])} is taken")
        return index
    if axis.scale:
        ends = f"{shown(axis.levels[0])} to {shown(axis.levels[-1])}"
        raise InvalidInput(f"{where}: {axis.name} = {value} is outside its range, {ends}")
    raise InvalidInput(
        f"{where}: {axis.name} = {value} is no level; the nearest is {shown(axis.levels[index])}"
        f"{_TAKES}"
    )


def _is_same(level: Value, value: Any) -> bool:
    if isinstance(level, bool) or isinstance(value, bool):
        return level is value or (isinstance(value, str) and shown(level) == value)
    return bool(level == value) or (isinstance(value, str) and _number(value) == level)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _list(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found if len(found) <= _SHOWN else [*found[: _SHOWN - 2], "...", found[-1]])
