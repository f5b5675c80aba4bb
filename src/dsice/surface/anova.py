"""The covariance of a surface on the grid: a smoothing-spline analysis of variance.

    k(x, x') = prod_i (1 + sum_t w_it R_it(x_i, x'_i))

with the terms R_it of each axis (`dsice.surface.axis`) and *strengths* w_it >= 0. Multiplied out,
it is a sum over all sets of axes: a constant, a function of each axis, of each pair of axes, and so
on, each with mean zero along each of its axes. An axis that does nothing has strength 0; on the
line through a point along one axis the surface is that axis' spline.

Source: C. Gu, "Smoothing Spline ANOVA Models", Springer (2013), sections 2.4 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsice.surface.axis import Array, has_table, table, term_names, terms

Points = NDArray[np.intp]


class Anova:
    """The covariance of a grid, for given strengths.

    Args:
        shape: number of levels of each axis.
        ordered: for each axis, whether its levels have an order.
        strengths: one for each of `terms`; all 1 by default.

    Attributes:
        terms: (axis, name) of each term, in the order of the strengths.
    """

    def __init__(
        self, shape: Sequence[int], ordered: Sequence[bool], strengths: Array | None = None
    ) -> None:
        self.shape: Final = tuple(shape)
        self.ordered: Final = tuple(ordered)
        self.terms: Final = tuple(
            (axis, name)
            for axis, (n, o) in enumerate(zip(shape, ordered, strict=True))
            for name in term_names(n, o)
        )
        self.strengths: Final = np.ones(len(self.terms)) if strengths is None else strengths
        axes = np.array([axis for axis, _ in self.terms], dtype=int)
        self._slices: Final = [np.flatnonzero(axes == axis) for axis in range(len(shape))]
        # The factor of each axis that acts: looked up, or None for one too long for a table.
        self._factors: Final = {
            axis: self._factor(axis) if has_table(shape[axis]) else None
            for axis, mine in enumerate(self._slices)
            if len(mine)
        }

    def _factor(self, axis: int) -> Array:
        """The factor of an axis between all its levels, shape (levels, levels)."""
        tables = table(self.shape[axis], self.ordered[axis])
        return np.asarray(1 + np.tensordot(self.strengths[self._slices[axis]], tables, 1))  # (6)

    def with_strengths(self, strengths: Array) -> Anova:
        """The covariance of the same grid with other strengths."""
        return Anova(self.shape, self.ordered, strengths)

    def covariance(self, a: Points, b: Points) -> Array:
        """The covariance of points ``a`` with points ``b``, shape (len(a), len(b))."""
        return self._product(a[:, None, :], b)

    def variance(self, a: Points) -> Array:
        """The variance at each point, shape (len(a),)."""
        return self._product(a, a)

    def _product(self, a: Points, b: Points) -> Array:
        """The covariances of points broadcast against each other, the axes being last."""
        product = np.ones(np.broadcast_shapes(a.shape, b.shape)[:-1])
        for axis, factor in self._factors.items():
            at, to = a[..., axis], b[..., axis]
            if factor is not None:
                product *= factor[at, to]  # (5)
            else:
                values = terms(self.shape[axis], self.ordered[axis], at, to)
                product *= 1 + np.tensordot(self.strengths[self._slices[axis]], values, 1)
        return product

    def axis_terms(self, axis: int, a: Points, b: Points) -> Array:
        """R of each term of one axis, shape (terms, len(a), len(b))."""
        return terms(self.shape[axis], self.ordered[axis], a[:, axis][:, None], b[:, axis])
