"""Detecting parameters that a table has and the grid lacks.

A table does not say which of its columns were set and which were measured. Where rows with the same
parameters of the grid differ in another column, that column is either a noisy measurement or a
further parameter, and then the rows do not measure the same point. A measurement depends on the
parameters, so it varies less among such rows than among all rows; a parameter that was set does
not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

from dsice.exchange.source import Row, is_blank, number

_APART: Final = 0.5  # share of a column's variance that is found among rows of equal parameters
_MANY: Final = 10  # rows of which it is no accident that a column counts them
_LABELS: Final = frozenset(
    {"seed", "run", "rep", "repeat", "repetition", "replicate", "trial", "number", "index"}
    | {"name", "id", "uuid", "url", "host", "hostname", "node", "user", "tags", "notes"}
    | {"state", "status", "created", "date", "datetime", "timestamp"}
)
_OPTUNA: Final = ("datetime_", "system_attrs")


def is_label(name: str, values: Sequence[object]) -> bool:
    """Whether a column only identifies rows, such as ``seed``, ``run_id`` or ``Created``.

    The name says so, or there are ten rows or more that numbers count, or whose texts all differ.
    """
    words = re.findall(r"[^\W_]+", name.casefold())
    if name.startswith(_OPTUNA) or (words and words[-1] in _LABELS):
        return True
    if len(values) < _MANY:
        return False
    first = number(values[0])
    if first is not None:
        return all(number(value) == first + k for k, value in enumerate(values))
    seen: set[str] = set()
    for value in values:
        if is_blank(value) or number(value) is not None or str(value) in seen:
            return False
        seen.add(str(value))
    return True


def hidden(
    rows: Sequence[Row], points: Sequence[Hashable], names: Iterable[str]
) -> tuple[list[str], tuple[Row, Row]] | None:
    """The columns that are parameters besides, and two rows that show it.

    Args:
        rows: of a table.
        points: for each row, a representation of its parameters.
        names: columns that may be parameters.

    Returns:
        None if there are none.
    """
    groups: dict[Hashable, list[int]] = {}
    for k, point in enumerate(points):
        groups.setdefault(point, []).append(k)
    equal = [group for group in groups.values() if len(group) > 1]
    if not equal:
        return None
    found, shown = [], None
    for name in names:
        ranks = _ranks([row.values.get(name) for row in rows])
        pair = _differing(ranks, equal)
        if pair is not None and _within(ranks, equal) >= _APART * _overall(ranks):
            found.append(name)
            shown = shown or (rows[pair[0]], rows[pair[1]])
    return None if shown is None else (found, shown)


def _ranks(values: Sequence[object]) -> dict[int, int]:
    """The ranks of the values that are there, which outliers do not move."""
    keys = {k: key for k, value in enumerate(values) if (key := _key(value)) is not None}
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
    return {k: ranks[key] for k, key in keys.items()}


def _key(value: object) -> tuple[bool, float, str] | None:
    size = number(value)
    if is_blank(value) or (size is not None and math.isnan(size)):
        return None
    return (True, 0.0, str(value)) if size is None else (False, size, "")


def _differing(ranks: Mapping[int, int], groups: Iterable[Sequence[int]]) -> tuple[int, int] | None:
    for group in groups:
        there = [k for k in group if k in ranks]
        for k in there[1:]:
            if ranks[k] != ranks[there[0]]:
                return there[0], k
    return None


def _within(ranks: Mapping[int, int], groups: Iterable[Sequence[int]]) -> float:
    """The variance among rows of one group."""
    total, freedom = 0.0, 0
    for group in groups:
        there = [ranks[k] for k in group if k in ranks]
        if len(there) > 1:
            total += _squares(there)
            freedom += len(there) - 1
    return total / freedom


def _overall(ranks: Mapping[int, int]) -> float:
    return _squares(list(ranks.values())) / (len(ranks) - 1)


def _squares(values: Sequence[int]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values)
