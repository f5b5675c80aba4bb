"""The covariance of the process on the grid: a smoothing-spline analysis of variance.

    k(x, x') = prod_i (1 + sum_t w_it R_it(x_i, x'_i))

with the terms R_it of each axis (`dsice.gp.axis`) and their variances w_it >= 0. Multiplied out,
it is a sum over all sets of axes: a constant, a function of each axis, of each pair of axes, and
so on, each with mean zero along each of its axes. An axis without effect has variance 0. On the
line through a point along one axis, the process is that axis' spline.

The terms of a conditional axis (`dsice.when`) are 0 if it does not apply at x or at x': there the
process depends on the other axes alone.

Source: C. Gu, "Smoothing Spline ANOVA Models", Springer (2013), sections 2.4 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from dsice.gp.axis import Array, Levels, has_table, table, term_names, terms
from dsice.grid import Grid
from dsice.when import When

Points = NDArray[np.intp]
_FEW: Final = 8  # with no more points, looking for lines among them does not pay


class Anova:
    """The covariance of a grid, for given variances of the terms.

    Args:
        shape: number of levels of each axis.
        ordered: for each axis, whether its levels have an order.
        variances: the variance of each of `terms`; all 1 by default.
        whens: the conditions of the conditional axes, by axis.

    Attributes:
        terms: (axis, name) of each term, in the order of `variances`.
        whens: as given.
    """

    def __init__(
        self,
        shape: Sequence[int],
        ordered: Sequence[bool],
        variances: Array | None = None,
        whens: Mapping[int, When] | None = None,
    ) -> None:
        self.shape: Final = tuple(shape)
        self.ordered: Final = tuple(ordered)
        self.terms: Final = tuple(
            (axis, name)
            for axis, (n, o) in enumerate(zip(shape, ordered, strict=True))
            for name in term_names(n, o)
        )
        self.variances: Final = np.ones(len(self.terms)) if variances is None else variances
        axes = np.array([axis for axis, _ in self.terms], dtype=int)
        self._slices: Final = [np.flatnonzero(axes == axis) for axis in range(len(shape))]
        self.whens: Final = dict(whens or {})
        self._applies: Final = {
            axis: np.array(when.answers).reshape([shape[other] for other in when.reads])
            for axis, when in self.whens.items()
        }
        # The factor of each axis that acts, as a table, or None for an axis too long for one.
        self._factors: Final = {
            axis: self._factor(axis) if has_table(shape[axis]) else None
            for axis, mine in enumerate(self._slices)
            if len(mine)
        }

    @classmethod
    def of(cls, grid: Grid) -> Self:
        """The covariance of a grid, with all variances 1."""
        return cls(grid.shape, [axis.ordered for axis in grid.axes], whens=grid.whens)

    def _factor(self, axis: int) -> Array:
        """The factor of an axis between all its levels, shape (levels, levels).

        A conditional axis has one more level, for points where it does not apply.
        """
        tables = table(self.shape[axis], self.ordered[axis])
        factor = 1 + np.tensordot(self.variances[self._slices[axis]], tables, 1)  # (6)
        return np.pad(factor, (0, int(axis in self.whens)), constant_values=1.0)

    def with_variances(self, variances: Array) -> Anova:
        """The covariance of the same grid with other variances."""
        return Anova(self.shape, self.ordered, variances, self.whens)

    def applies(self, axis: int, points: Points) -> NDArray[np.bool_] | None:
        """Whether an axis applies at ``points``, shape (len(points),); None if it always does."""
        if axis not in self.whens:
            return None
        reads = self.whens[axis].reads
        return np.asarray(self._applies[axis][tuple(points[:, other] for other in reads)])

    def _coded(self, points: Points) -> Points:
        """``points`` with the extra level of `_factor` where an axis does not apply."""
        if not self.whens:
            return points
        coded = points.copy()
        for axis in self.whens:
            if (applies := self.applies(axis, points)) is not None:
                coded[~applies, axis] = self.shape[axis]
        return coded

    def by_axis(self) -> list[Array]:
        """The variances of the terms of each axis."""
        return [self.variances[mine] for mine in self._slices]

    def covariance(self, a: Points, b: Points) -> Array:
        """The covariance of points ``a`` with points ``b``, shape (len(a), len(b)).

        Points of ``a`` that differ on one axis from the most frequent levels among them, such as
        those of lines through one point, need one multiplication instead of one per axis.
        """
        a, b = self._coded(a), self._coded(b)
        if len(a) < _FEW:
            return self._product(a, b)
        usual = np.array([np.bincount(levels).argmax() for levels in a.T], dtype=np.intp)
        unusual = a != usual
        single = unusual.sum(axis=1) == 1
        if single.sum() * 2 < len(a):
            return self._product(a, b)
        product = np.empty((len(a), len(b)))
        product[~single] = self._product(a[~single], b)
        on_axis = unusual.argmax(axis=1)
        others = self._without_one(usual[None], b)
        for axis in self._factors:
            mine = single & (on_axis == axis)
            if mine.any():
                product[mine] = self._between(axis, a[mine, axis], b[:, axis]) * others[axis]
        return product

    def _product(self, a: Points, b: Points) -> Array:
        product = np.ones((len(a), len(b)))
        for axis in self._factors:
            product *= self._between(axis, a[:, axis], b[:, axis])  # (5)
        return product

    def _without_one(self, a: Points, b: Points) -> dict[int, Array]:
        """For each axis, the covariance without the factor of that axis."""
        factors = {axis: self._between(axis, a[:, axis], b[:, axis]) for axis in self._factors}
        products, before = {}, np.ones((len(a), len(b)))
        for axis, factor in factors.items():
            products[axis] = before
            before = before * factor
        after = np.ones((len(a), len(b)))
        for axis in reversed(factors):
            products[axis] = products[axis] * after
            after = after * factors[axis]
        return products

    def _between(self, axis: int, a: Levels, b: Levels) -> Array:
        """The factor of an axis between levels, shape (len(a), len(b))."""
        factor = self._factors[axis]
        if factor is None:
            return self._long(axis, a[:, None], b)
        # "take" is several times as fast as indexing, and whole rows are faster still.
        if len(factor) < len(a):
            return np.asarray(factor.take(b, axis=1).take(a, axis=0))
        return np.asarray(factor.take(a, axis=0).take(b, axis=1))

    @property
    def mean_variance(self) -> float:
        """The mean of `variance` over all points at which every axis applies."""
        return math.prod(1 + float(mine.sum()) for mine in self.by_axis())

    def variance(self, a: Points) -> Array:
        """The variance at each point, shape (len(a),)."""
        a = self._coded(a)
        product = np.ones(len(a))
        for axis, factor in self._factors.items():
            at = a[:, axis]
            product *= self._long(axis, at, at) if factor is None else factor.diagonal()[at]
        return product

    def _long(self, axis: int, at: Levels, to: Levels) -> Array:
        """The factor of an axis too long for a table; the levels are broadcast together."""
        values = terms(self.shape[axis], self.ordered[axis], at, to)
        if axis in self.whens:
            values = values * ((at < self.shape[axis]) & (to < self.shape[axis]))
        return np.asarray(1 + np.tensordot(self.variances[self._slices[axis]], values, 1))

    def axis_terms(self, axis: int, a: Points, b: Points) -> Array:
        """R of each term of one axis, shape (terms, len(a), len(b))."""
        found = self.level_terms(axis, a[:, axis], b)
        applies = self.applies(axis, a)
        return found if applies is None else found * applies[:, None]

    def level_terms(self, axis: int, levels: Levels, b: Points) -> Array:
        """R of each term between levels of one axis, where the axis applies, and points."""
        found = terms(self.shape[axis], self.ordered[axis], levels[:, None], b[:, axis])
        applies = self.applies(axis, b)
        return found if applies is None else found * applies
