"""A grid, and how its points are written in the parameters of an Optuna study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from optuna.distributions import BaseDistribution

from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid, Point
from dsice.optuna.levels import Levels, OfAxis, levels_of


class Space:
    """The parameters that are searched together.

    Attributes:
        levels: of each parameter, by name.
        grid: the same as a grid, its axes in the same order. Those of distributions have names and
            values of their own: Optuna knows names, and choices, that an axis does not.
    """

    def __init__(self, levels: Mapping[str, Levels], grid: Grid) -> None:
        self.levels: Final = dict(levels)
        self.grid: Final = grid

    @classmethod
    def of_distributions(
        cls, distributions: Mapping[str, BaseDistribution], levels: int | None
    ) -> Space:
        """The space of at least one distribution; ``levels`` as in `levels_of`."""
        of_each = {name: levels_of(name, each, levels) for name, each in distributions.items()}
        axes = [
            Axis(f"p{k}", range(each.count), ordered=each.ordered)
            for k, each in enumerate(of_each.values())
        ]
        return cls(of_each, Grid(axes))

    @classmethod
    def of_grid(cls, grid: Grid) -> Space:
        """The space of a grid of the user's own."""
        return cls({axis.name: OfAxis(axis) for axis in grid.axes}, grid)

    def params(self, point: Point) -> dict[str, Any]:
        """The parameter values at ``point``, by name."""
        pairs = zip(self.levels.items(), point, strict=True)
        return {name: levels.value(k) for (name, levels), k in pairs}

    def indices(self, params: Mapping[str, Any]) -> list[int | None]:
        """The level of each parameter, None where it is missing or has none."""
        return [
            levels.index(params[name]) if name in params else None
            for name, levels in self.levels.items()
        ]

    def place(self, params: Mapping[str, Any]) -> Point | None:
        """The point nearest to these values; None if one is missing or out of range."""
        point = []
        for index in self.indices(params):
            if index is None:
                return None
            point.append(index)
        return tuple(point)


def check_distributions(search_space: object) -> dict[str, BaseDistribution]:
    """``search_space`` if it is a dictionary of distributions.

    Raises:
        InvalidInput: it is not.
    """
    if isinstance(search_space, Mapping) and search_space:
        found = dict(search_space)
        if all(isinstance(each, BaseDistribution) for each in found.values()):
            return found
    raise InvalidInput(
        f"search_space = {search_space!r}: a dsice.Grid or a dictionary of Optuna's distributions "
        "by name is needed, {'tile': IntDistribution(8, 64, step=8)}"
    )
