"""What a study file says of promising levels: ``expect`` and ``weights`` of a parameter.

They are kept by level, so that they hold for a grid whose levels change.
"""

from __future__ import annotations

from collections.abc import Mapping

from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid, Value
from dsice.search.beliefs import around
from dsice.study.first import index_of
from dsice.study.tables import Range

Belief = Mapping[Value, float]
"""Weights of the levels of a parameter."""


def belief_of(axis: Axis, entry: Range) -> Belief | None:
    """The weights that a table of ``[grid]`` gives the levels of ``axis``; None if it gives none.

    An expected level of an axis with an order has a normal density around it, counted in levels. An
    expected choice is as likely as all others together.

    Raises:
        InvalidInput: the expected value is no level, there is another number of weights than
            levels, they are negative or all 0, or both keys are there.
    """
    levels = len(axis)
    if entry.weights is not None:
        if entry.expect is not None:
            raise InvalidInput("give expect or weights, not both")
        if len(entry.weights) != levels:
            raise InvalidInput(
                f"weights = {entry.weights}: there are {len(entry.weights)}, and {levels} levels: "
                "one each is needed"
            )
        if not any(entry.weights):
            raise InvalidInput(
                f"weights = {entry.weights}: all are 0: at least one must be positive"
            )
        return dict(zip(axis.levels, entry.weights, strict=True))
    if entry.expect is None:
        return None
    at = index_of(axis, entry.expect)
    weights = around(at, levels, axis.ordered)
    return dict(zip(axis.levels, weights, strict=True))


def for_search(grid: Grid, beliefs: Mapping[str, Belief]) -> dict[str, list[float]]:
    """Beliefs as `dsice.make_search` takes them; nothing is believed of levels that they lack."""
    axes = {axis.name: axis for axis in grid.axes}
    return {
        name: [belief.get(level, 0.0) for level in axes[name].levels]
        for name, belief in beliefs.items()
    }
