"""How long measurements take: a factor of the acquisition where time is the budget.

A Gaussian process of the logarithm of the seconds predicts the expected duration at a point. With
it, the acquisition function is that per expected second: J. Snoek, H. Larochelle, R. P. Adams,
"Practical Bayesian Optimization of Machine Learning Algorithms", NeurIPS 2012, section 3.2.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dsice.goal import Metrics
from dsice.gp.axis import Array
from dsice.search.lesson import Lesson
from dsice.search.quantity import Factor
from dsice.search.sources import Sources

LEAST: Final = 5  # minimum number of known durations


class Duration(Factor):
    """The seconds that a measurement takes, failed ones included.

    Its factor is 1 / expected seconds, in units of the geometric mean of the known durations.
    """

    def __init__(self) -> None:
        super().__init__()
        self._middle = self._spread = 0.0  # mean and standard deviation of the logarithms

    @property
    def key(self) -> str:  # noqa: D102
        return "seconds"

    def taught(self, sources: Sources) -> list[Lesson]:
        """Nothing: sources have results, not durations."""
        return []

    def _read(self, metrics: Metrics | None) -> float:
        return math.nan

    def took(self, row: int, seconds: float | None) -> None:
        """Record the duration, if known, at the point appended as number ``row``."""
        self.learn(row, None)
        self._values[row] = math.nan if seconds is None else seconds

    def _transformed(self, values: Array) -> Array:
        logs = np.log(values)
        self._middle, self._spread = float(logs.mean()), float(logs.std())
        return np.asarray((logs - self._middle) / (self._spread or 1.0))

    def _log_factor(self, mean: Array, std: Array) -> Array:
        # The mean of a lognormal variable.
        return np.asarray(-self._spread * mean - 0.5 * (self._spread * std) ** 2)  # (23)

    def seconds(self, log_factors: Array) -> Array:
        """The expected seconds that belong to logarithms of the factor."""
        return np.asarray(np.exp(self._middle - log_factors))
