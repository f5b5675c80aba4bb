"""A metric modelled by its own values: for several objectives, or for a range of bounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dsice.goal import Metrics
from dsice.gp.axis import Array
from dsice.search.quantity import Quantity
from dsice.search.targets import to_costs


class Plain(Quantity):
    """A metric, as values of which smaller ones are better.

    Attributes:
        transform: converts values to targets; set it before each use.
    """

    def __init__(self, key: str, read: Callable[[Metrics], float]) -> None:
        super().__init__()
        self._key = key
        self._read_success = read
        self.transform: Callable[[Array], Array] = np.asarray

    @property
    def key(self) -> str:  # noqa: D102  (as the base)
        return self._key

    def _read(self, metrics: Metrics | None) -> float:
        return math.nan if metrics is None else self._read_success(metrics)

    def _transformed(self, values: Array) -> Array:
        return self.transform(values)

    @property
    def values(self) -> Array:
        """The measured values at the appended points, NaN where there is none."""
        return np.array(self._values)

    def costs(self, targets: Array) -> Array:
        """Convert targets back to values, as the inverse of `of_costs`."""
        return to_costs(targets, self._known_targets, self._known)

    def target(self, cost: float) -> float:
        """The target that `of_costs` gives a value among the measured ones."""
        order = np.argsort(self._known)
        return float(np.interp(cost, self._known[order], self._known_targets[order]))
