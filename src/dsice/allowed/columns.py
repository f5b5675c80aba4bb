"""Vectorised evaluation of expressions, with the same values as in Python.

A `Column` holds the value of one node of an expression's tree in every row. Integers and floats are
NumPy arrays as long as NumPy's result equals Python's; otherwise Python computes each distinct
combination of operands once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from dsice.expression import NO_VALUE, OPERATIONS, Node

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

_EXACT: Final = 2**53  # integers up to here are floats too
_LARGEST: Final = 2**62 - 1  # no sum of two of these overflows


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The value of one node in each row.

    Attributes:
        values: of type bool, int64, float64 or object; a single value applies to all rows.
        valid: where there is a value, of the same length; None: everywhere.
    """

    values: NDArray[Any]
    valid: Mask | None = None

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """A column of Python values; True and False become 1 and 0, their equals."""
        types = set(map(type, values))
        if types <= {bool, int} and all(-_LARGEST <= value <= _LARGEST for value in values):
            return cls(np.array(values, dtype=np.int64))
        if types == {float}:
            return cls(np.array(values, dtype=np.float64))
        return cls(np.fromiter(values, dtype=object, count=len(values)))

    @classmethod
    def joined(cls, columns: Sequence[Self]) -> Self:
        """The rows of several columns, one after another."""
        if len(columns) == 1:
            return columns[0]
        valid = None
        if any(column.valid is not None for column in columns):
            valid = np.concatenate([column.mask() for column in columns])
        if len({column.values.dtype for column in columns}) == 1:
            return cls(np.concatenate([column.values for column in columns]), valid)
        return cls(cls.of([v for column in columns for v in column.values.tolist()]).values, valid)

    def mask(self) -> Mask:
        """Where there is a value."""
        return np.ones(len(self.values), dtype=bool) if self.valid is None else self.valid

    def blank(self, rows: int) -> Column:
        """A column of the same type with arbitrary values."""
        return Column(np.zeros(rows, dtype=self.values.dtype))

    def take(self, which: Indices | Mask) -> Column:
        """Select rows; all rows must be written out."""
        return Column(self.values[which], None if self.valid is None else self.valid[which])

    def spread(self, rows: int) -> Column:
        """The same with all ``rows`` rows written out."""
        if len(self.values) == rows:
            return self
        valid = None if self.valid is None else np.broadcast_to(self.valid, rows)
        return Column(np.broadcast_to(self.values, rows), valid)

    def truth(self) -> Mask:
        """The `bool` of each value."""
        if self.values.dtype == object:
            return np.fromiter(map(bool, self.values), dtype=bool, count=len(self.values))
        return self.values.astype(bool)

    def codes(self) -> tuple[Indices, int]:
        """A number for each row, equal for equal values, and the count of numbers.

        Rows without a value have the same number.
        """
        if self.values.dtype == object:
            numbers: dict[Any, int] = {}
            found = [numbers.setdefault((type(v), v), len(numbers)) for v in self.values.tolist()]
            codes, count = np.array(found, dtype=np.intp), len(numbers)
        elif self.values.dtype == bool:
            codes, count = self.values.astype(np.intp), 2
        else:
            distinct, inverse = np.unique(self.values, return_inverse=True)
            codes, count = inverse.reshape(-1), len(distinct)
        if self.valid is not None:
            codes, count = np.where(self.valid, codes, count), count + 1
        return codes, count


def numbered(parts: Iterable[tuple[Indices, int]], rows: int) -> tuple[Indices, Indices]:
    """Number the combinations of several codes.

    Returns:
        A representative row of each combination, and the number of each row's combination.
    """
    key, count = np.zeros(rows, dtype=np.int64), 1
    for codes, size in parts:
        if count * size >= _LARGEST:
            _, key = np.unique(key, return_inverse=True)
            key, count = key.reshape(-1), rows
        key, count = key * size + codes, count * size
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def evaluate(node: Node, known: dict[Node, Column]) -> Column:
    """Compute the column of ``node``.

    Args:
        node: reads only names whose columns, or those of larger parts, are known.
        known: columns of nodes; computed ones are added.
    """
    if node not in known:
        known[node] = _evaluate(node, known)
    return known[node]


def _evaluate(node: Node, known: dict[Node, Column]) -> Column:
    match node.kind:
        case "constant":
            return Column.of([node.value])
        case "and" | "or":
            return _decided(node, known)
        case "if":
            return _chosen(*(evaluate(part, known) for part in node.parts))
    return apply(node.value, [evaluate(part, known) for part in node.parts])


def _decided(node: Node, known: dict[Node, Column]) -> Column:
    """``and`` and ``or``: the first deciding part counts; those after it are ignored."""
    going_on = node.kind == "and"
    result = np.array([going_on])
    valid = np.array([True])
    for part in node.parts:
        column = evaluate(part, known)
        undecided = valid & (result == going_on)
        result = np.where(undecided, column.truth(), result)
        if column.valid is not None:
            valid = valid & (~undecided | column.valid)
    return _column(result, valid)


def _column(values: NDArray[Any], valid: Mask | None) -> Column:
    if valid is None or valid.all():
        return Column(values)
    return Column(values, np.broadcast_to(valid, len(values)))


def _chosen(condition: Column, yes: Column, no: Column) -> Column:
    rows = max(len(column.values) for column in (condition, yes, no))
    condition, yes, no = (column.spread(rows) for column in (condition, yes, no))
    holds = condition.truth()
    if yes.values.dtype == no.values.dtype:
        values = np.where(holds, yes.values, no.values)
    else:
        triples = zip(holds, yes.values.tolist(), no.values.tolist(), strict=True)
        values = Column.of([one if holding else other for holding, one, other in triples]).values
    return _column(values, condition.mask() & np.where(holds, yes.mask(), no.mask()))


def apply(operation: str, parts: Sequence[Column]) -> Column:
    """Apply an operation (a key of `OPERATIONS`) to columns."""
    valid: Mask | None = None
    for part in parts:
        if part.valid is not None:
            valid = part.valid if valid is None else valid & part.valid
    if operation == "not":
        return Column(~parts[0].truth(), valid)
    arrays = [part.values for part in parts]
    arrays = [each.astype(np.int64) if each.dtype == bool else each for each in arrays]
    if operation in _QUICK and _is_exact(operation, arrays):
        if operation in ("/", "//", "%"):
            defined = arrays[1] != 0
            if not defined.all():
                arrays[1] = np.where(defined, arrays[1], 1)
                valid = defined if valid is None else valid & defined
        with np.errstate(all="ignore"):
            return _column(_QUICK[operation](*arrays), valid)
    return _one_by_one(operation, parts, valid)


_QUICK: Final[Mapping[str, Callable[..., Any]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "//": np.floor_divide,
    "%": np.remainder,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "negative": np.negative,
}


def _is_exact(operation: str, arrays: Sequence[NDArray[Any]]) -> bool:
    """Whether NumPy's result equals Python's."""
    if any(array.dtype == object or not array.size for array in arrays):
        return False
    whole = [array for array in arrays if array.dtype == np.int64]
    sizes = [max(int(array.max()), -int(array.min())) for array in whole]
    if len(whole) < len(arrays):  # integers become floats
        return operation not in ("//", "%") and all(size <= _EXACT for size in sizes)
    if operation == "/":
        return all(size <= _EXACT for size in sizes)
    if operation == "*":
        return sizes[0] * sizes[1] <= _LARGEST
    return all(size <= _LARGEST for size in sizes)


def _one_by_one(operation: str, parts: Sequence[Column], valid: Mask | None) -> Column:
    """Compute each distinct combination of operands in Python."""
    rows = max((len(part.values) for part in parts), default=1)
    spread = [part.spread(rows) for part in parts]
    first, inverse = numbered([part.codes() for part in spread], rows)
    function = OPERATIONS[operation]
    operands = [part.values[first].tolist() for part in spread]
    there = [True] * len(first) if valid is None else np.broadcast_to(valid, rows)[first].tolist()
    values: list[Any] = []
    for k, each in enumerate(zip(*operands, strict=True) if parts else [()]):
        try:
            values.append(function(*each) if there[k] else None)
        except NO_VALUE:
            there[k] = False
            values.append(None)
    some = next((value for value, is_there in zip(values, there, strict=True) if is_there), 0)
    values = [value if is_there else some for value, is_there in zip(values, there, strict=True)]
    return _column(Column.of(values).values[inverse], np.array(there, dtype=bool)[inverse])
