"""Splitting a rule into its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsice.errors import InvalidInput
from dsice.expression import NO_VALUE, Expression, Node

Levels = Mapping[str, Sequence[Any]]
"""The levels of each axis, by name, in the order of the grid."""


def conditions_of(rule: Expression, levels: Levels) -> list[Node]:
    """The conditions that must all hold; axes with a single level are replaced by its value."""
    single = {name: values[0] for name, values in levels.items() if len(values) == 1}
    return list(dict.fromkeys(_with_values(rule.tree, single).conjuncts()))


def no_value(rule: Expression, condition: Node, values: Mapping[str, Any]) -> InvalidInput:
    """The error of a rule with a condition that has no value at these parameter values."""
    known = {name: values[name] for name in sorted(condition.names)}
    try:
        condition.evaluator()(known)
    except NO_VALUE as error:
        return InvalidInput(f"{rule.text!r} has no value at {known}: {error}")
    raise AssertionError(f"{rule.text!r} has a value at {known}")


def _with_values(node: Node, values: Mapping[str, Any]) -> Node:
    """``node`` with constants for some names."""
    if node.kind == "name" and node.value in values:
        return Node("constant", values[node.value])
    if node.names.isdisjoint(values):
        return node
    return Node(node.kind, node.value, tuple(_with_values(part, values) for part in node.parts))
