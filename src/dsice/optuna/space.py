"""A grid, and the conversion of its points to parameters of an Optuna study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from optuna.distributions import BaseDistribution

from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid, Point
from dsice.optuna.branches import BranchedGrid, Tree
from dsice.optuna.levels import Levels, OfAxis, levels_of


class Space:
    """The parameters that are searched together.

    Attributes:
        levels: the levels of each parameter, by name.
        grid: the same parameters as a grid, with the axes in the same order. Axes of distributions
            have names and values of their own: Optuna allows names and choices that an axis does
            not.
    """

    def __init__(self, levels: Mapping[str, Levels], grid: Grid) -> None:
        self.levels: Final = dict(levels)
        self.grid: Final = grid

    @classmethod
    def of_distributions(
        cls, distributions: Mapping[str, BaseDistribution], levels: int | None
    ) -> Space:
        """Create the space of at least one distribution; ``levels`` as in `levels_of`."""
        of_each = {name: levels_of(name, each, levels) for name, each in distributions.items()}
        axes = [
            Axis(f"p{k}", range(each.count), ordered=each.ordered)
            for k, each in enumerate(of_each.values())
        ]
        return cls(of_each, Grid(axes))

    @classmethod
    def of_grid(cls, grid: Grid) -> Space:
        """Create the space of a user's grid."""
        return cls({axis.name: OfAxis(axis) for axis in grid.axes}, grid)

    def branched(self, examples: Sequence[Sequence[int | None]]) -> Space:
        """The same parameters with branches learned from examples, see `Tree`.

        Args:
            examples: the level of each parameter, None if a trial did not ask for it.
        """
        asked = [{axis: k for axis, k in enumerate(each) if k is not None} for each in examples]
        # What the program asks for takes precedence over conditions.
        axes = [Axis(axis.name, axis.levels, ordered=axis.ordered) for axis in self.grid.axes]
        grid = Grid(axes, self.grid.rule, self.grid.only_ratios_of)
        return Space(self.levels, BranchedGrid(grid, Tree(grid, asked)))

    def __contains__(self, name: str) -> bool:
        return name in self.levels

    @property
    def branches(self) -> bool:
        """Whether some parameters are asked for only at some values of others."""
        return self.grid.is_conditional

    def expected(self, indices: Sequence[int | None]) -> frozenset[int] | None:
        """The axes that a trial with these levels is expected to ask for; None if unknown."""
        return self.grid.active_at(indices)

    def expects(self, indices: Sequence[int | None]) -> bool:
        """Whether a trial with exactly these levels has asked for the expected parameters."""
        return asked_for(indices) == self.expected(indices)

    def params(self, point: Point) -> dict[str, Any]:
        """The values that a trial at ``point`` is expected to ask for, by name."""
        expected = self.expected(point) or ()
        pairs = zip(self.levels.items(), point, strict=True)
        values = [(name, levels.value(k)) for (name, levels), k in pairs]
        return {name: value for axis, (name, value) in enumerate(values) if axis in expected}

    def indices(self, params: Mapping[str, Any]) -> list[int | None]:
        """The level of each parameter; None if the value is missing or matches no level."""
        return [
            levels.index(params[name]) if name in params else None
            for name, levels in self.levels.items()
        ]

    def place(self, params: Mapping[str, Any]) -> Point | None:
        """The point nearest to these values; None if one is missing or out of range."""
        indices = self.indices(params)
        if isinstance(self.grid, BranchedGrid):
            return self.grid.place(indices)
        active = self.grid.active_at(indices)
        if active is None or any(indices[axis] is None for axis in active):
            return None
        return self.grid.canonical(tuple(0 if index is None else index for index in indices))

    def listed(self, params: Mapping[str, Any]) -> Iterator[Point]:
        """The points with these values, in their order: see `Grid.within`."""
        return self.grid.within(self.free(params))

    def random(self, params: Mapping[str, Any], draw: Random) -> Point:
        """The allowed point nearest to a random one with these values.

        Raises:
            InvalidInput: the rule allows no point.
        """
        drawn = tuple(
            draw.randrange(n) if k is None else k
            for k, n in zip(self.indices(params), self.grid.shape, strict=True)
        )
        point = self.grid.nearest(drawn)
        if point is None:
            raise InvalidInput(f"the rule {self.grid.rule!r} allows no point of the grid")
        return point

    def has(self, point: Point, fixed: Sequence[int | None]) -> bool:
        """Whether a trial at ``point`` has these levels (None for any) where it asks for one."""
        expected = self.expected(point) or ()
        levels = enumerate(zip(fixed, point, strict=True))
        return all(k in (None, at) or axis not in expected for axis, (k, at) in levels)

    def free(self, params: Mapping[str, Any]) -> list[Sequence[int]]:
        """The levels of each axis that are compatible with these values."""
        fixed, shape = self.indices(params), self.grid.shape
        return [range(n) if k is None else (k,) for k, n in zip(fixed, shape, strict=True)]


def asked_for(indices: Sequence[int | None]) -> frozenset[int]:
    """The axes that have a level."""
    return frozenset(axis for axis, index in enumerate(indices) if index is not None)


def check_distributions(search_space: object) -> dict[str, BaseDistribution]:
    """Return ``search_space`` if it is a dictionary of distributions.

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
