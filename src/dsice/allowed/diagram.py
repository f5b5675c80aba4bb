"""Combinations as the paths of a diagram: see `dsice.allowed.layers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.allowed.columns import Indices
from dsice.allowed.groups import Combination, Counted, Numbers, placed, whole
from dsice.allowed.layers import Edges


@dataclass(frozen=True, slots=True)
class _Layer:
    """The edges of one axis, by the state that they leave.

    Attributes:
        starts: offset of each state's first edge, and of the end.
        levels: index of the axis's level, for each edge.
        children: the state that each edge leads to.
        before: cumulative number of paths before each edge, and of all.
    """

    starts: Indices
    levels: Indices
    children: Indices
    before: NDArray[Any]


class Diagram(Counted):
    """Combinations as paths of a decision diagram.

    Args:
        axes: numbers in the grid, in the order of the layers.
        sizes: number of levels of each axis.
        layers: the edges of each axis; the last ones lead to a single state.
    """

    def __init__(self, axes: Sequence[int], sizes: Sequence[int], layers: Sequence[Edges]) -> None:
        self._order: Final = tuple(axes)
        self._sizes: Final = tuple(sizes)
        self._layers: Final[list[_Layer]] = []
        paths: NDArray[Any] = np.ones(1, dtype=whole(sizes))  # paths from each state to the end
        number = np.zeros(1, dtype=np.intp)  # of each state among those from which a path leads
        for edges in reversed(layers):
            alive = paths[edges.children] > 0
            parents, levels = edges.parents[alive], edges.levels[alive]
            children = edges.children[alive]
            before = np.concatenate([np.zeros(1, paths.dtype), np.cumsum(paths[children])])
            starts = np.searchsorted(parents, np.arange(edges.states + 1))
            paths = before[starts[1:]] - before[starts[:-1]]
            reached = starts[1:] > starts[:-1]
            self._layers.append(
                _Layer(
                    np.append(starts[:-1][reached], len(parents)), levels, number[children], before
                )
            )
            number = np.cumsum(reached) - 1
        self._layers.reverse()
        self.axes = tuple(sorted(axes))
        self.count = self.least = int(paths[0])

    def rows(self, numbers: Numbers) -> Indices:  # noqa: D102  (as the base)
        rest = np.array(numbers, dtype=self._layers[0].before.dtype)
        state = np.zeros(len(rest), dtype=np.intp)
        columns = []
        for layer in self._layers:
            rest = rest + layer.before[layer.starts[state]]
            edge = np.searchsorted(layer.before, rest, side="right") - 1
            rest = rest - layer.before[edge]
            state = layer.children[edge]
            columns.append(layer.levels[edge])
        return placed(self._order, columns)

    def nearest(self, target: Combination) -> Combination | None:  # noqa: D102
        if not self.count:
            return None
        wanted = dict(zip(self.axes, target, strict=True))
        sizes = dict(zip(self._order, self._sizes, strict=True))
        # Distance first, then the index order: both are sums over the axes.
        stride, strides = 1, {}
        for axis in reversed(self.axes):
            strides[axis] = stride
            stride *= sizes[axis]
        farthest = sum(size**2 for size in self._sizes)
        kind = whole([farthest, stride])
        costs: list[NDArray[Any]] = []
        after: NDArray[Any] = np.zeros(1, dtype=kind)
        for axis, layer in zip(reversed(self._order), reversed(self._layers), strict=True):
            levels: NDArray[Any] = layer.levels.astype(kind)
            cost = (levels - wanted[axis]) ** 2 * stride + levels * strides[axis]
            cost = cost + after[layer.children]
            costs.append(cost)
            after = np.minimum.reduceat(cost, layer.starts[:-1])
        state, found = 0, {}
        for axis, layer, cost in zip(self._order, self._layers, reversed(costs), strict=True):
            first, last = layer.starts[state], layer.starts[state + 1]
            edge = first + int(np.argmin(cost[first:last]))
            found[axis], state = int(layer.levels[edge]), int(layer.children[edge])
        return tuple(found[axis] for axis in self.axes)
