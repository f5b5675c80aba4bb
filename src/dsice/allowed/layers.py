"""Finding the combinations of some axes that a rule allows, axis by axis.

Axes get values one after another, for all partial combinations at once. A condition is tested as
soon as its names have values, and before that by bounds on its possible values. Partial
combinations that the rest of the rule cannot distinguish are one *state*: they agree in everything
that it reads of them, the values of the largest known parts. So ``a + b + c + d <= 20`` has one
state for each sum, not one for each combination. The states of all axes form a decision diagram in
which every path is an allowed combination.

Sources: D. Bergman, A. A. Cire, W.-J. van Hoeve, J. N. Hooker, "Decision Diagrams for
Optimization", Springer 2016, chapters 3 and 4 (compilation from the top down, states); A. Rasch,
R. Schulze, M. Steuwer, S. Gorlatch, "Efficient auto-tuning of parallel programs with interdependent
tuning parameters via Auto-Tuning Framework", ACM TACO 18 (2021), doi 10.1145/3427093, and
F.-J. Willemsen, R. V. van Nieuwpoort, B. van Werkhoven, "Efficient construction of large search
spaces for auto-tuning", ICPP 2025 (independent groups of axes, conditions split and tested early).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dsice.allowed.bounds import Bounds, bounds
from dsice.allowed.columns import Column, Indices, Mask, evaluate, numbered
from dsice.expression import Node

_ROWS: Final = 2**17  # rows per block
_BRANCHES: Final = 16  # number of parts into which a range of levels is divided


class TooMany(Exception):
    """There are more states than can be kept, or more extensions than can be tried."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The possible values of one axis of a group.

    Attributes:
        name: name of the axis, as a node.
        indices: indices of the levels that conditions on this axis alone allow.
        values: values of these levels.
    """

    name: Node
    indices: Indices
    values: Column


@dataclass(frozen=True, slots=True)
class States:
    """Partial combinations that the rest of the rule can distinguish.

    Attributes:
        columns: columns of the largest known parts of conditions.
        settled: for each state and condition, whether it holds whatever follows.
    """

    columns: dict[Node, Column]
    settled: Mask

    def __len__(self) -> int:
        return len(self.settled)

    def take(self, rows: Indices | Mask) -> States:
        """Select states."""
        columns = {node: column.take(rows) for node, column in self.columns.items()}
        return States(columns, self.settled[rows])


@dataclass(frozen=True, slots=True)
class Edges:
    """The transitions between states by one more axis.

    Attributes:
        parents: for each edge, the state that it leaves, increasing.
        levels: for each edge, the index of the axis's level.
        children: for each edge, the state that it leads to.
        states: number of states before.
    """

    parents: Indices
    levels: Indices
    children: Indices
    states: int


class Coupled:
    """Axes that are coupled by conditions.

    Args:
        domains: domains of the axes, in the order in which they get values.
        conditions: conditions on these axes that must all hold. One that reads a single axis has no
            value at some remaining level.
    """

    def __init__(self, domains: Sequence[Domain], conditions: Sequence[Node]) -> None:
        self.domains: Final = tuple(domains)
        self.conditions: Final = tuple(conditions)
        names = [domain.name for domain in domains]
        self._open: Final = [
            {name: domain.values for name, domain in zip(names[k:], self.domains[k:], strict=True)}
            for k in range(len(names) + 1)
        ]
        known = [_read(names[:k]) for k in range(len(names) + 1)]
        self._parts: Final = [[_largest_known(each, read) for each in conditions] for read in known]
        self._ranges: Final = [_ranges(domain.values) for domain in domains]
        self._complete: Final = [[each.names <= read for each in conditions] for read in known]

    def root(self) -> States:
        """The state before the first axis."""
        return States({}, np.zeros((1, len(self.conditions)), dtype=bool))

    def step(self, states: States, axis: int, most: int, tries: int) -> tuple[Edges, States, int]:
        """Give axis number ``axis`` its values and merge equivalent states.

        Args:
            states: states before.
            axis: number of the axis.
            most: maximum number of states.
            tries: maximum number of extensions tried.

        Returns:
            The edges, the states after, and the number of extensions tried.

        Raises:
            TooMany: there are more.
        """
        found, parents, levels, children = [], [], [], []
        offset = tried = 0
        for row, level, looked_at in self._ways(states, axis):
            parent, index, reached = self._follow(states, axis, row, level)
            which, number = self._merged(reached, axis)
            found.append(reached.take(which))
            parents.append(parent)
            levels.append(index)
            children.append(number + offset)
            offset += len(which)
            tried += looked_at
            if tried > tries or offset > 2 * most:  # some of these are equal
                raise TooMany
        if not found:
            none = np.zeros(0, dtype=np.intp)
            return Edges(none, none, none, len(states)), states.take(none), tried
        joined = _joined(found)
        which, number = self._merged(joined, axis)
        if len(which) > most:
            raise TooMany
        child = number[np.concatenate(children)]
        edges = Edges(np.concatenate(parents), np.concatenate(levels), child, len(states))
        return edges, joined.take(which), tried

    def expand(self, states: States, axis: int, tries: int) -> tuple[Indices, Indices, States]:
        """The allowed extensions of ``states``: parent, level and new state of each.

        Limited to the first states if more than ``tries`` extensions would have to be tried.
        """
        none = np.zeros(0, dtype=np.intp)
        found = [(none, none, states.take(none))]
        for row, level, looked_at in self._ways(states, axis):
            found.append(self._follow(states, axis, row, level))
            tries -= looked_at
            if tries < 0:
                break
        parents, levels, reached = zip(*found[1:] or found, strict=True)
        return np.concatenate(parents), np.concatenate(levels), _joined(reached)

    def _ways(self, states: States, axis: int) -> Iterator[tuple[Indices, Indices, int]]:
        """Yield blocks of possibly allowed pairs of a state and a level, ordered by state.

        If an axis has many levels, ranges of them are tried first. The third item is the number of
        ranges and levels tried.
        """
        width, ranges = len(self.domains[axis].indices), self._ranges[axis]
        at_once = max(1, _ROWS * _BRANCHES // width)
        for first in range(0, len(states), at_once):
            row = np.arange(first, min(first + at_once, len(states)))
            block, tried = np.zeros(len(row), dtype=np.intp), 0
            for limits in reversed(ranges):
                row, block = _divided(row, block, _BRANCHES, len(limits.low))
                tried += len(row)
                fits = self._may_fit(states, axis, row, limits, block)
                row, block = row[fits], block[fits]
            branches = _BRANCHES if ranges else width
            step = max(1, _ROWS // branches)
            for start in range(0, len(row), step):
                some = slice(start, start + step)
                state, level = _divided(row[some], block[some], branches, width)
                yield state, level, len(state) + tried
                tried = 0

    def _may_fit(
        self, states: States, axis: int, row: Indices, ranges: Bounds, block: Indices
    ) -> Mask:
        """Whether any level in a range may be allowed after a state, for several pairs."""
        name, following = self.domains[axis].name, self._open[axis + 1]
        known: dict[Node, Column | Bounds] = dict(states.take(row).columns)
        known[name] = Bounds(ranges.low[block], ranges.high[block], ranges.sure[block])
        fits = np.ones(len(row), dtype=bool)
        for number, condition in enumerate(self.conditions):
            open_for = ~states.settled[row, number]
            if name.names <= condition.names and open_for.any():
                fits &= ~(open_for & bounds(condition, known, following).never())
        return fits

    def _follow(
        self, states: States, axis: int, row: Indices, level: Indices
    ) -> tuple[Indices, Indices, States]:
        """Filter extensions by the conditions: parent, level and new state of the allowed ones."""
        domain = self.domains[axis]
        columns = states.take(row).columns
        columns[domain.name] = domain.values.take(level)
        settled = states.settled[row]
        for number, condition in enumerate(self.conditions):
            if not domain.name.names <= condition.names or settled[:, number].all():
                continue
            if self._complete[axis + 1][number]:
                column = evaluate(condition, columns).spread(len(row))
                there, truth = column.mask(), column.truth()
                holds, fails = there & truth, there & ~truth
            else:
                limits = bounds(condition, columns, self._open[axis + 1])
                holds = np.broadcast_to(limits.always(), len(row))
                fails = np.broadcast_to(limits.never(), len(row))
            keep = settled[:, number] | ~fails
            settled[:, number] |= holds
            if not keep.all():
                row, level, settled = row[keep], level[keep], settled[keep]
                columns = {
                    node: column.take(keep) if len(column.values) == len(keep) else column
                    for node, column in columns.items()
                }
        parts = {
            part
            for number, each in enumerate(self._parts[axis + 1])
            if not settled[:, number].all()
            for part in each
        }
        kept = {part: evaluate(part, columns).spread(len(row)) for part in parts}
        return row, domain.indices[level], States(kept, settled)

    def _merged(self, states: States, axis: int) -> tuple[Indices, Indices]:
        """A representative row of each distinct state, and the number of each row's state."""
        codes: list[tuple[Indices, int]] = []
        waiting = ~states.settled
        for number in range(len(self.conditions)):
            if waiting[:, number].any():
                codes.append((waiting[:, number].astype(np.intp), 2))
        users: dict[Node, Mask] = {}
        for number, parts in enumerate(self._parts[axis + 1]):
            for part in parts & states.columns.keys():
                users[part] = users.get(part, False) | waiting[:, number]
        for part, used in users.items():
            if used.any():
                found, size = states.columns[part].codes()
                codes.append((np.where(used, found + 1, 0), size + 1))
        return numbered(codes, len(states))


def _ranges(values: Column) -> list[Bounds]:
    """Bounds on the values of ranges of 16, 256, ... levels; empty if there are few levels.

    There are at most 16 of the longest ranges.
    """
    ranges: list[Bounds] = []
    length, width = _BRANCHES, len(values.values)
    if width <= 2 * _BRANCHES or values.values.dtype == object:
        return ranges
    while not ranges or len(ranges[-1].low) > _BRANCHES:
        starts = np.arange(0, width, length)
        low = np.minimum.reduceat(values.values, starts).astype(float)
        high = np.maximum.reduceat(values.values, starts).astype(float)
        ranges.append(Bounds(low, high, np.ones(len(low), dtype=bool)))
        length *= _BRANCHES
    return ranges


def _divided(row: Indices, block: Indices, branches: int, count: int) -> tuple[Indices, Indices]:
    """Split each block, paired with a row, into its parts; there are ``count`` parts in all."""
    parts = (block[:, np.newaxis] * branches + np.arange(branches)).reshape(-1)
    inside = parts < count
    return np.repeat(row, branches)[inside], parts[inside]


def _read(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset(name for node in nodes for name in node.names)


def _largest_known(node: Node, known: frozenset[str]) -> frozenset[Node]:
    """The largest parts of ``node`` that read only ``known`` names, and at least one name."""
    if not node.names:
        return frozenset()
    # Bounds look into a tuple.
    if node.names <= known and not (node.kind == "apply" and node.value == "tuple"):
        return frozenset([node])
    return frozenset(each for part in node.parts for each in _largest_known(part, known))


def _joined(states: Sequence[States]) -> States:
    """Concatenate states."""
    nodes = {node: column for each in states for node, column in each.columns.items()}
    columns = {
        # Where a part is missing, all conditions that read it are settled.
        node: Column.joined([each.columns.get(node) or column.blank(len(each)) for each in states])
        for node, column in nodes.items()
    }
    return States(columns, np.concatenate([each.settled for each in states]))
