"""Columns compute what Python computes, and bounds hold whatever the open names are."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.allowed.bounds import bounds
from dsice.allowed.columns import Column, evaluate
from dsice.expression import NO_VALUE, Expression, Node
from tests.dsice.allowed.rules import conditions, levels, numbers

bounded = settings(max_examples=150, deadline=None, derandomize=True)
NAMES = ("a", "b", "c")
expressions = numbers(NAMES, 3) | conditions(NAMES, 3)


def value(node: Node, params: dict[str, Any]) -> Any:
    """What Python gives; None where it has no value."""
    try:
        return node.evaluator()(params)
    except NO_VALUE:
        return None


@bounded
@given(expressions, st.tuples(levels, levels, levels))
def test_columns_have_the_values_of_python(text: str, axes: tuple[list[Any], ...]) -> None:
    node = Expression(text).tree
    rows = list(itertools.product(*axes))
    known = {
        Node("name", name): Column.of([row[k] for row in rows]) for k, name in enumerate(NAMES)
    }
    column = evaluate(node, known).spread(len(rows))
    for k, row in enumerate(rows):
        expected = value(node, dict(zip(NAMES, row, strict=True)))
        if expected is None:
            assert column.valid is not None
            assert not column.valid[k]
        else:
            assert column.valid is None or column.valid[k]
            found = column.values[k]
            assert found == expected or (math.isnan(found) and math.isnan(expected))
            assert bool(found) == bool(expected)


@bounded
@given(expressions, st.tuples(levels, levels, levels), st.sets(st.sampled_from(NAMES)))
def test_bounds_hold_whatever_the_open_names_are(
    text: str, axes: tuple[list[Any], ...], given_names: set[str]
) -> None:
    node = Expression(text).tree
    fixed = [k for k, name in enumerate(NAMES) if name in given_names]
    rows = list(itertools.product(*(axes[k] for k in fixed)))
    known = {
        Node("name", NAMES[k]): Column.of([row[n] for row in rows]) for n, k in enumerate(fixed)
    }
    open_names = {
        Node("name", name): Column.of(axes[k]) for k, name in enumerate(NAMES) if k not in fixed
    }
    found = bounds(node, known, open_names)
    low, high, sure, never, always = (
        np.broadcast_to(part, len(rows)) for part in (*found, found.never(), found.always())
    )
    for k, row in enumerate(rows):
        chosen = [[row[fixed.index(n)]] if n in fixed else axes[n] for n in range(len(NAMES))]
        for params in itertools.product(*chosen):
            one = value(node, dict(zip(NAMES, params, strict=True)))
            if sure[k]:
                assert one is not None
            if one is not None and not (isinstance(one, float) and math.isnan(one)):
                assert not never[k] or not one
                assert not always[k] or one
                if sure[k]:
                    assert low[k] <= one <= high[k]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("x + y", 3, 30),
        ("x * y - 4", -2, 196),
        ("-x // y", -10, -1),
        ("y % 7", 0, 6),
        ("3 % (y + 20)", 3, 3),
        ("2 ** y", 2, 2**20),
        ("min(x, y, 5)", 1, 5),
        ("max(x, y)", 2, 20),
        ("abs(x - y)", 0, 18),
        ("x <= 10", 1, 1),
        ("x * y in (0, 201)", 0, 0),
        ("x > 1 and y > 20", 0, 0),
        ("y if x > 1 else 1 / 0", 1, 20),
    ],
)
def test_bounds_are_tight(text: str, low: float, high: float) -> None:
    axes = {Node("name", "x"): Column.of([2, 10]), Node("name", "y"): Column.of([*range(1, 21)])}
    found = bounds(Expression(text).tree, {}, axes)
    assert (found.low.item(), found.high.item()) == pytest.approx((low, high))
    assert found.sure


@pytest.mark.parametrize("text", ["x / y", "x % y", "sqrt(y)", "log2(y)", "x < 'a'", "min(x)"])
def test_what_may_have_no_value_is_not_sure(text: str) -> None:
    axes = {Node("name", "x"): Column.of([2, 10]), Node("name", "y"): Column.of([-1, 0, 1])}
    assert not bounds(Expression(text).tree, {}, axes).sure


def test_integers_beyond_floats_are_exact() -> None:
    values = [2**53, 2**53 + 1, 2**62, 2**80]
    x = {Node("name", "x"): Column.of(values)}
    for text in ("x * 3 + 1", "x - 1 == 2 ** 53", "x / 3", "x % 10", "x < 9007199254740992.0"):
        column = evaluate(Expression(text).tree, dict(x))
        expected = [value(Expression(text).tree, {"x": v}) for v in values]
        assert column.values.tolist() == expected
