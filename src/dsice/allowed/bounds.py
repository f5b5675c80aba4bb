"""Bounds on expressions while only some names have values, by interval arithmetic.

Bounds are safe: no value lies outside, whatever the values of the open names. They also say where a
value may not exist at all, such as for a division by something that may be 0.

Source: R. E. Moore, R. B. Kearfott, M. J. Cloud, "Introduction to Interval Analysis", SIAM 2009,
chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsice.allowed.columns import Column, evaluate
from dsice.expression import Node

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_EXACT: Final = 2.0**53  # larger integers are rounded when converted to floats
_SLACK: Final = 1e-12  # margin for functions that are not correctly rounded
_TABULATED: Final = 4096  # maximum number of levels of an axis to evaluate an expression at each


class Bounds(NamedTuple):
    """Bounds on a number in each row; a single row applies to all.

    Attributes:
        low: lower bound on the value, where there is one.
        high: upper bound on the value.
        sure: whether a value, a number, exists whatever the open names are.
    """

    low: Array
    high: Array
    sure: Flags

    def never(self) -> Flags:
        """Where the value is certainly false."""
        return np.asarray(self.sure & (self.low == 0) & (self.high == 0))

    def always(self) -> Flags:
        """Where the value is certainly true."""
        return np.asarray(self.sure & ((self.low > 0) | (self.high < 0)))


Known = Mapping[Node, Column] | Mapping[Node, Column | Bounds]


def bounds(node: Node, known: Known, levels: Mapping[Node, Column]) -> Bounds:
    """Compute bounds on ``node``.

    Args:
        node: the expression.
        known: the values of some of its parts, or bounds on them, row by row.
        levels: for each open name, by its node, all its possible values.
    """
    if node in known:
        found = known[node]
        return found if isinstance(found, Bounds) else _of_rows(found)
    if not node.names:
        return _of_rows(evaluate(node, {}))
    if len(node.names) == 1:
        name = Node("name", next(iter(node.names)))
        if name in levels and len(levels[name].values) <= _TABULATED:
            return _of_all(evaluate(node, {name: levels[name]}))
    if node.kind == "name":
        return _of_all(levels[node])
    if node.kind == "apply" and node.value in ("in", "not in"):
        return _member(node, known, levels)
    parts = [bounds(part, known, levels) for part in node.parts]
    if node.kind in ("and", "or"):
        return _decided(node.kind == "and", parts)
    if node.kind == "if":
        return _chosen(*parts)
    find = _OPERATIONS.get((node.value, min(len(parts), 3)))
    return _UNKNOWN if find is None else find(*parts)


def _found(low: Any, high: Any, sure: Any) -> Bounds:
    """Bounds rounded outwards where floats cannot represent every integer."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    low = np.where(np.isnan(low), -np.inf, low)
    high = np.where(np.isnan(high), np.inf, high)
    low = np.where(np.abs(low) >= _EXACT, np.nextafter(low, -np.inf), low)
    high = np.where(np.abs(high) >= _EXACT, np.nextafter(high, np.inf), high)
    return Bounds(low, high, np.asarray(sure, dtype=bool))


_UNKNOWN: Final = _found(-np.inf, np.inf, False)


def _of_rows(column: Column) -> Bounds:
    if column.values.dtype == object:
        return _UNKNOWN
    sure = True if column.valid is None else column.valid
    low = np.where(sure, column.values, -np.inf)
    return _found(low, np.where(sure, column.values, np.inf), sure & ~np.isnan(low))


def _of_all(column: Column) -> Bounds:
    """One interval around all rows."""
    low, high, sure = _of_rows(column)
    return _found(low.min(), high.max(), sure.all())


def _truth(true: Any, maybe: Any, sure: Any) -> Bounds:
    low, high = np.asarray(true, dtype=float), np.asarray(maybe, dtype=float)
    return Bounds(low, high, np.asarray(sure, dtype=bool))


def _decided(is_and: bool, parts: Sequence[Bounds]) -> Bounds:
    """``and`` and ``or``: parts after a certainly deciding one need not have a value."""
    decides = Bounds.never if is_and else Bounds.always
    sure: Flags = np.asarray(True)
    over: Flags = np.asarray(False)
    for part in parts:
        sure = sure & (over | part.sure)
        over = over | decides(part)
    fold = np.logical_and if is_and else np.logical_or
    true = reduce(fold, (part.always() for part in parts))
    return _truth(true, reduce(fold, (~part.never() for part in parts)), sure)


def _chosen(condition: Bounds, yes: Bounds, no: Bounds) -> Bounds:
    first, second = condition.always(), condition.never()
    low = np.where(first, yes.low, np.where(second, no.low, np.minimum(yes.low, no.low)))
    high = np.where(first, yes.high, np.where(second, no.high, np.maximum(yes.high, no.high)))
    sure = (yes.sure | second) & (no.sure | first) & condition.sure
    return Bounds(low, high, sure)


def _member(node: Node, known: Known, levels: Mapping[Node, Column]) -> Bounds:
    """``in`` and ``not in`` a list: any of several comparisons."""
    item, items = node.parts
    if items.value != "tuple" or items.kind != "apply":
        return _truth(False, True, False)
    first = bounds(item, known, levels)
    each = [_equal(first, bounds(part, known, levels)) for part in items.parts]
    found = _decided(False, each) if each else _truth(False, False, True)
    sure = reduce(np.logical_and, (part.sure for part in each), first.sure)  # all have values
    found = found._replace(sure=sure)
    return found if node.value == "in" else _not(found)


def _corners(find: Callable[..., Any], a: Bounds, b: Bounds, sure: Any) -> Bounds:
    """Bounds on an operation that is monotonic in each operand."""
    with np.errstate(all="ignore"):
        found = [find(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    unknown = reduce(np.logical_or, map(np.isnan, found)) | ~np.asarray(sure)
    low, high = reduce(np.minimum, found), reduce(np.maximum, found)
    return _found(np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high), sure)


def _plus(a: Bounds, b: Bounds) -> Bounds:
    with np.errstate(invalid="ignore"):
        return _found(a.low + b.low, a.high + b.high, a.sure & b.sure)


def _minus(a: Bounds, b: Bounds) -> Bounds:
    return _plus(a, _negative(b))


def _negative(a: Bounds) -> Bounds:
    return Bounds(-a.high, -a.low, a.sure)


def _times(a: Bounds, b: Bounds) -> Bounds:
    return _corners(np.multiply, a, b, a.sure & b.sure)


def _divisible(a: Bounds, b: Bounds) -> Flags:
    return np.asarray(a.sure & b.sure & ((b.low > 0) | (b.high < 0)))


def _over(a: Bounds, b: Bounds) -> Bounds:
    return _corners(np.true_divide, a, b, _divisible(a, b))


def _whole_over(a: Bounds, b: Bounds) -> Bounds:
    return _corners(np.floor_divide, a, b, _divisible(a, b))


def _remainder(a: Bounds, b: Bounds) -> Bounds:
    sure = _divisible(a, b)
    untouched = sure & (a.low >= 0) & (a.high < b.low)
    low = np.where(untouched, a.low, np.minimum(b.low, 0))
    high = np.where(untouched, a.high, np.maximum(b.high, 0))
    return _found(np.where(sure, low, -np.inf), np.where(sure, high, np.inf), sure)


def _power(a: Bounds, b: Bounds) -> Bounds:
    found = _corners(np.power, a, b, a.sure & b.sure & (a.low > 0))
    low, high, sure = found.low * (1 - _SLACK), found.high * (1 + _SLACK), found.sure
    return _found(low, high, sure & np.isfinite(high))


def _smallest(*parts: Bounds) -> Bounds:
    return _folded(np.minimum, parts)


def _largest(*parts: Bounds) -> Bounds:
    return _folded(np.maximum, parts)


def _folded(find: Callable[[Any, Any], Any], parts: Sequence[Bounds]) -> Bounds:
    low, high = reduce(find, (p.low for p in parts)), reduce(find, (p.high for p in parts))
    return Bounds(low, high, reduce(np.logical_and, (p.sure for p in parts)))


def _size(a: Bounds) -> Bounds:
    low = np.where((a.low < 0) & (a.high > 0), 0.0, np.minimum(np.abs(a.low), np.abs(a.high)))
    return Bounds(low, np.maximum(np.abs(a.low), np.abs(a.high)), a.sure)


def _rising(find: Callable[[Any], Any], least: float, strictly: bool) -> Callable[[Bounds], Bounds]:
    """Bounds on a function that increases from ``least`` on."""

    def found(a: Bounds) -> Bounds:
        sure = a.sure & ((a.low > least) if strictly else (a.low >= least)) & (a.high < np.inf)
        with np.errstate(all="ignore"):
            low, high = find(a.low), find(a.high)
        low, high = low - _SLACK * np.abs(low), high + _SLACK * np.abs(high)
        return _found(np.where(sure, low, -np.inf), np.where(sure, high, np.inf), sure)

    return found


def _equal(a: Bounds, b: Bounds) -> Bounds:
    same = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    return _truth(same, (a.low <= b.high) & (b.low <= a.high), a.sure & b.sure)


def _less(a: Bounds, b: Bounds) -> Bounds:
    return _truth(a.high < b.low, a.low < b.high, a.sure & b.sure)


def _at_most(a: Bounds, b: Bounds) -> Bounds:
    return _truth(a.high <= b.low, a.low <= b.high, a.sure & b.sure)


def _not(a: Bounds) -> Bounds:
    return _truth(a.never(), ~a.always(), a.sure)


# By the number of operands, with 3 for more; others have no value.
_OPERATIONS: Final[Mapping[tuple[str, int], Callable[..., Bounds]]] = {
    ("+", 2): _plus,
    ("-", 2): _minus,
    ("*", 2): _times,
    ("/", 2): _over,
    ("//", 2): _whole_over,
    ("%", 2): _remainder,
    ("**", 2): _power,
    ("<", 2): _less,
    ("<=", 2): _at_most,
    (">", 2): lambda a, b: _less(b, a),
    (">=", 2): lambda a, b: _at_most(b, a),
    ("==", 2): _equal,
    ("!=", 2): lambda a, b: _not(_equal(a, b)),
    ("not", 1): _not,
    ("negative", 1): _negative,
    ("abs", 1): _size,
    ("min", 2): _smallest,
    ("min", 3): _smallest,
    ("max", 2): _largest,
    ("max", 3): _largest,
    ("ceil", 1): _rising(np.ceil, -np.inf, strictly=True),
    ("floor", 1): _rising(np.floor, -np.inf, strictly=True),
    ("sqrt", 1): _rising(np.sqrt, 0.0, strictly=False),
    ("log2", 1): _rising(np.log2, 0.0, strictly=True),
    ("log10", 1): _rising(np.log10, 0.0, strictly=True),
}
