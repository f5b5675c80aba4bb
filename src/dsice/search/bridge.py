"""Mapping points of one grid to the axes of another: levels are matched by their values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from dsice.gp.anova import Points
from dsice.gp.axis import Array, Levels, has_table, table, terms
from dsice.grid import Axis, Grid, Point, Value


class Bridge:
    """A mapping of the points of a *target* grid to the axes of a *source* grid.

    Axes are matched by name, levels by value. A number between two levels of an ordered axis is
    placed between them, and a number beyond the ends at the nearest end. A value without a place (a
    level of a choice that the source lacks, or an axis that the target lacks) averages the source
    over that axis. An axis that only the target has is ignored.

    Args:
        target: the grid of the points to predict.
        source: the grid that the source's points belong to.
    """

    def __init__(self, target: Grid, source: Grid) -> None:
        self.source: Final = source
        self._target: Final = target
        place = {name: k for k, name in enumerate(target.names)}
        self._from: Final = [place.get(name) for name in source.names]
        self._places: Final = [
            None if at is None else _places(axis, target.axes[at])
            for axis, at in zip(source.axes, self._from, strict=True)
        ]

    @property
    def shared(self) -> int:
        """The number of axes that both grids have."""
        return sum(at is not None for at in self._from)

    def point(self, point: Point) -> Point | None:
        """The allowed point of the target with the values of a point of the source.

        A number that is no level of the target's axis counts as the nearest one if it lies nearer
        to that than to another level of the source. An axis that only the target has is at its
        centre.

        Returns:
            None if there is no such point.
        """
        found = list(self._target.centre)
        for level, at, places in zip(point, self._from, self._places, strict=True):
            if at is None or places is None:
                continue
            off = np.nan_to_num(np.abs(places - level), nan=math.inf)
            found[at] = int(off.argmin())
            if off.min() > 0.5:
                return None
        return self._target.canonical(tuple(found)) if self._target.allows(tuple(found)) else None

    def to_target(self, by_axis: Sequence[Array]) -> list[Array | None]:
        """Reorder values by axis of the source to axes of the target; None for new axes."""
        found: list[Array | None] = [None] * len(self._target.axes)
        for at, value in zip(self._from, by_axis, strict=True):
            if at is not None:
                found[at] = value
        return found

    def factors(self, variances: Sequence[Array], points: Points) -> list[Factor]:
        """The factors of the covariance with ``points``, one for each axis of the source.

        Args:
            variances: those of the kernel terms, by axis.
            points: points of the source.
        """
        return [
            Factor(axis, at, places, own, points[:, k])
            for k, (axis, at, places, own) in enumerate(
                zip(self.source.axes, self._from, self._places, variances, strict=True)
            )
        ]


class Factor:
    """The factor of one axis in the covariance between points of the target and of the source.

    Attributes:
        axis: number of the target's axis; None if the target lacks it.
    """

    def __init__(
        self, axis: Axis, at: int | None, places: Array | None, variances: Array, levels: Levels
    ) -> None:
        unknown = at is None or places is None or not len(variances)
        self.axis: Final = None if unknown else at
        self._kind = (len(axis), axis.ordered)
        self._places = places
        self._variances = variances
        self._levels = levels
        self._table: Array | None = None
        if unknown or places is None:
            self._table = np.ones((1, len(levels)))
            self._own = np.ones(1)
        elif has_table(len(axis)) and len(places) * len(levels) <= 4_000_000:
            whole = 1 + np.tensordot(variances, table(*self._kind), 1)
            weights = _weights(places, len(axis))
            self._table = weights @ whole[:, levels]
            self._own = np.einsum("ij,jk,ik->i", weights, whole, weights)

    def covariance(self, points: Points) -> Array:
        """Covariance with the source's points, shape (len(points) or 1, source points)."""
        if self._table is not None:
            return self._table if self.axis is None else self._table[points[:, self.axis]]
        at = self._nearest(points)
        values = terms(*self._kind, np.maximum(at, 0)[:, None], self._levels)
        return np.where(at[:, None] < 0, 1.0, 1 + np.tensordot(self._variances, values, 1))

    def variance(self, points: Points) -> Array:
        """Variance at the target's points, shape (len(points),) or (1,)."""
        if self._table is not None:
            return self._own if self.axis is None else self._own[points[:, self.axis]]
        at = self._nearest(points)
        values = terms(*self._kind, np.maximum(at, 0), np.maximum(at, 0))
        return np.where(at < 0, 1.0, 1 + np.tensordot(self._variances, values, 1))

    def _nearest(self, points: Points) -> Points:
        assert self._places is not None
        at = self._places[points[:, self.axis]]
        return np.where(np.isnan(at), -1, np.rint(np.nan_to_num(at))).astype(np.intp)


def _places(source: Axis, target: Axis) -> Array:
    """Where each level of ``target`` lies among those of ``source``: a fractional index or NaN."""
    index = {level: float(k) for k, level in enumerate(source.levels)}
    numeric = source.ordered and all(map(_is_number, source.levels)) and len(source) > 1
    known = [float(level) for level in source.levels] if numeric else []
    if numeric and known[0] > known[-1]:
        known = [-level for level in known]
        sign = -1.0
    else:
        sign = 1.0
    if numeric and any(b <= a for a, b in itertools.pairwise(known)):
        numeric = False
    logarithmic = numeric and _is_geometric(known)

    def place(level: Value) -> float:
        if level in index:
            return index[level]
        if not numeric or not _is_number(level):
            return math.nan
        value = sign * float(level)
        if logarithmic and value > 0:
            return float(np.interp(math.log(value), np.log(known), range(len(known))))
        return float(np.interp(value, known, range(len(known))))

    return np.array([place(level) for level in target.levels])


def _weights(places: Array, levels: int) -> Array:
    """The weights of the source's levels for each level of the target; rows sum to 1."""
    weights = np.full((len(places), levels), 1 / levels)
    for row, place in zip(weights, places.tolist(), strict=True):
        if not math.isnan(place):
            low = min(int(place), levels - 1)
            row[:] = 0.0
            row[low] = 1 - (place - low)
            if place > low:
                row[low + 1] = place - low
    return weights


def _is_number(level: Value) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool)


def _is_geometric(levels: Sequence[float]) -> bool:
    """Whether increasing ``levels`` have more nearly equal ratios than equal differences."""
    if levels[0] <= 0 or len(levels) < 3:
        return False
    steps, ratios = np.diff(levels), np.diff(np.log(levels))
    return float(ratios.std() / ratios.mean()) < float(steps.std() / steps.mean())
