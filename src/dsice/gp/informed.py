"""A covariance informed by other models: an analysis of variance plus their means as features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array


class Feature(Protocol):
    """A function on the grid that the process may resemble."""

    def at(self, points: Points) -> Array:
        """Its values at ``points``, shape (len(points),)."""


class Informed(Anova):
    """k(x, x') + sum_s v_s c_s(x) c_s(x'): a multiple of each feature plus a remainder.

    Args:
        base: the covariance k of the remainder.
        features: the functions c_s.
        relations: the variances v_s of their coefficients.
    """

    def __init__(self, base: Anova, features: Sequence[Feature], relations: Array) -> None:
        super().__init__(base.shape, base.ordered, base.variances, base.whens)
        self.features: Final = tuple(features)
        self.relations: Final = relations

    def values(self, points: Points) -> Array:
        """Values of the features at ``points``, shape (len(points), features)."""
        return np.stack([feature.at(points) for feature in self.features], axis=1)

    def covariance(self, a: Points, b: Points) -> Array:  # noqa: D102
        of_a = self.values(a) * self.relations
        return super().covariance(a, b) + of_a @ self.values(b).T  # (16)

    def variance(self, a: Points) -> Array:  # noqa: D102
        return super().variance(a) + self.values(a) ** 2 @ self.relations
