"""Random rules, and the axes that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

_BINARY = ["+", "-", "*", "*", "%", "//", "/"]
_UNARY = ["abs({})", "-{}", "({} ** 2)", "sqrt({})", "log2({})", "floor({})"]
_RELATIONS = ["<", "<=", ">", ">=", "==", "!="]


def numbers(names: Sequence[str], depth: int) -> st.SearchStrategy[str]:
    """Text of a number."""
    leaves = st.sampled_from([*names, *names, "1", "2", "3", "0.5", "-2", "0"])
    if not depth:
        return leaves
    part = numbers(names, depth - 1)
    pair = st.tuples(part, part)
    choice = st.tuples(part, conditions(names, depth - 1), part)
    return st.one_of(
        leaves,
        st.builds(lambda p, op: f"({p[0]} {op} {p[1]})", pair, st.sampled_from(_BINARY)),
        pair.map("min({0[0]}, {0[1]})".format),
        pair.map("max({0[0]}, {0[1]}, 1)".format),
        st.sampled_from(_UNARY).flatmap(lambda form: part.map(form.format)),
        choice.map("({0[0]} if {0[1]} else {0[2]})".format),
    )


def conditions(names: Sequence[str], depth: int) -> st.SearchStrategy[str]:
    """Text of a condition."""
    part = numbers(names, max(depth - 1, 0))
    relation = st.tuples(part, st.sampled_from(_RELATIONS), part).map(" ".join)
    if not depth:
        return relation
    inner = conditions(names, depth - 1)
    both = st.tuples(inner, st.sampled_from(["or", "and"]), inner)
    return st.one_of(
        relation,
        relation,
        both.map("({0[0]} {0[1]} {0[2]})".format),
        inner.map("(not {})".format),
        st.tuples(part, part).map("{0[0]} in (1, 2, {0[1]})".format),
        st.tuples(part, part).map("0 <= {0[0]} < {0[1]}".format),
        st.tuples(part, part).map("({0[0]}, {0[1]}) != (1, 2)".format),
    )


levels: st.SearchStrategy[list[Any]] = st.one_of(
    st.integers(-2, 3).flatmap(lambda k: st.integers(1, 5).map(lambda n: list(range(k, k + n)))),
    st.integers(1, 4).map(lambda n: [2**k for k in range(n)]),
    st.lists(st.floats(-2, 2).map(lambda v: round(v, 2)), min_size=1, max_size=4, unique=True),
    st.sampled_from([[True, False], [1, 2.5, 3], [2**60, 2**70, 3], [5]]),
)
