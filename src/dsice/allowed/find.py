"""Finding the points that a rule allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from dsice.allowed.columns import Column, Mask, evaluate
from dsice.allowed.conditions import Levels, conditions_of, no_value
from dsice.allowed.diagram import Diagram
from dsice.allowed.groups import Combination, Group, Listed
from dsice.allowed.layers import Coupled, Domain, Edges, States, TooMany
from dsice.allowed.points import AllowedPoints
from dsice.allowed.probed import TRIED, Opaque, Probed
from dsice.expression import Expression, Node

Within = Sequence[Collection[int]]

MOST_STATES: Final = 2**19  # maximum per axis
MOST_ROWS: Final = 2**21  # maximum number of partial combinations tried in all


def of_function(shape: Combination, allows: Callable[[Combination], bool]) -> AllowedPoints:
    """The points that a function allows: listed if the grid is small, else tested on demand."""
    if math.prod(shape) > TRIED:
        return AllowedPoints([Opaque(shape, allows)])
    found = [point for point in itertools.product(*map(range, shape)) if allows(point)]
    table = np.array(found, dtype=np.intp).reshape(len(found), len(shape))
    return AllowedPoints([Listed(range(len(shape)), table)])


def of_rule(rule: Expression, levels: Levels, within: Within | None = None) -> AllowedPoints:
    """The points at which an expression is true.

    Args:
        rule: the expression.
        levels: the levels of each axis, by name, in the order of the grid.
        within: for each axis, the indices of the levels to consider; None: all.

    Raises:
        InvalidInput: the expression has no value at a point that no condition excludes.
    """
    left, coupling = _alone(conditions_of(rule, levels), levels, within)
    domains = {}
    for name, values in levels.items():
        indices = np.flatnonzero(left[name])
        column = Column.of([values[k] for k in indices.tolist()])
        domains[name] = Domain(Node("name", name), indices, column)
    axes = {name: number for number, name in enumerate(levels)}
    groups: list[Group] = []
    faults: list[tuple[Node, dict[str, Any]]] = [
        (condition, {}) for condition in coupling if not condition.names
    ]
    for names, conditions in _independent(levels, coupling):
        if conditions and all(len(domains[name].indices) for name in names):
            order = _order({name: len(domains[name].indices) for name in names}, conditions)
            coupled = Coupled([domains[name] for name in order], conditions)
            numbers = [axes[name] for name in order]
            found = _layers(coupled)
            if found is None:
                groups.append(Probed(numbers, coupled))
                continue
            layers, states = found
            where = _unsettled(layers, states)
            if where is None:
                groups.append(Diagram(numbers, [len(levels[name]) for name in order], layers))
                continue
            path, condition = where
            at = {n: levels[n][k] for n, k in zip(order, path, strict=True)}
            faults.append((conditions[condition], at))
        for name in names:
            groups.append(Listed([axes[name]], domains[name].indices[:, np.newaxis]))
    points = AllowedPoints(groups)
    if faults and points.count != 0:
        raise no_value(rule, *faults[0])
    return points


def _alone(
    conditions: Sequence[Node], levels: Levels, within: Within | None
) -> tuple[dict[str, Mask], list[Node]]:
    """Apply the conditions on single axes: the remaining levels, and the remaining conditions.

    The latter include conditions without a value at a remaining level.
    """
    left = {name: np.full(len(values), within is None) for name, values in levels.items()}
    for name, indices in zip(levels, within or (), strict=False):
        left[name][list(indices)] = True
    others, doubtful = [], []
    for condition in conditions:
        if len(condition.names) > 1:
            others.append(condition)
            continue
        name = next(iter(condition.names), next(iter(levels)))
        column = evaluate(condition, {Node("name", name): Column.of(levels[name])})
        column = column.spread(len(levels[name]))
        valid = column.mask()
        left[name] &= column.truth() | ~valid
        doubtful.append((condition, name, valid))
    for condition, name, valid in doubtful:
        if (left[name] & ~valid).any():
            others.append(condition)
    return left, others


def _independent(
    levels: Levels, conditions: Sequence[Node]
) -> Iterator[tuple[list[str], list[Node]]]:
    """Split the axes into groups without common conditions, each with its conditions."""
    group_of = {name: [name] for name in levels}
    for condition in conditions:
        groups = {id(group_of[name]): group_of[name] for name in sorted(condition.names)}
        merged = [name for group in groups.values() for name in group]
        for name in merged:
            group_of[name] = merged
    for group in {id(group): group for group in group_of.values()}.values():
        yield group, [each for each in conditions if each.names and each.names <= set(group)]


def _order(sizes: Mapping[str, int], conditions: Sequence[Node]) -> list[str]:
    """The order in which axes get values: first those that complete a condition soonest."""
    order: dict[str, None] = {}
    waiting = list(conditions)
    while waiting:
        first = min(
            waiting, key=lambda node: math.prod(sizes[n] for n in node.names if n not in order)
        )
        order.update(dict.fromkeys(_appearing(first)))
        waiting = [condition for condition in waiting if not condition.names <= order.keys()]
    return list(order)


def _appearing(node: Node) -> Iterator[str]:
    """The names of a node as they appear in its text."""
    if node.kind == "name":
        yield node.value
    for part in node.parts:
        yield from _appearing(part)


def _layers(coupled: Coupled) -> tuple[list[Edges], States] | None:
    """The edges of each axis and the last states; None if there are too many."""
    states, layers, left = coupled.root(), [], MOST_ROWS
    try:
        for axis in range(len(coupled.domains)):
            edges, states, tried = coupled.step(states, axis, MOST_STATES, left)
            layers.append(edges)
            left -= tried
    except TooMany:
        return None
    return layers, states


def _unsettled(layers: Sequence[Edges], states: States) -> tuple[list[int], int] | None:
    """The levels of a combination at which a condition has no value, and its number."""
    faulty = np.argwhere(~states.settled)
    if not len(faulty):
        return None
    state, condition = faulty[0].tolist()
    path = []
    for edges in reversed(layers):
        edge = int(np.argmax(edges.children == state))
        path.append(int(edges.levels[edge]))
        state = int(edges.parents[edge])
    return path[::-1], condition
