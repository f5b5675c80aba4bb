"""One quantity of the results, and the Gaussian process that models it.

All quantities of a goal are modelled at the same points in the same order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Final

import numpy as np

from dsice.goal import Metrics
from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.evidence import SCALE_COUNT, learn
from dsice.gp.posterior import Posterior, Slots
from dsice.grid import Point
from dsice.search.lesson import Lesson
from dsice.search.outlook import Outlook
from dsice.search.sources import NO_SOURCES, Sources
from dsice.search.targets import of_costs

# Added to the variance of every measurement, so that equal rows do not make the matrix singular.
_JITTER: Final = 1e-6


class Quantity(ABC):
    """A quantity, its values at the points, and its Gaussian process once it is fitted.

    Attributes:
        levelling: how far `levelled` goes, from 0 to 1.
    """

    def __init__(self) -> None:
        self.levelling = 0.0
        self._values: list[float] = []  # NaN where it is unknown or the measurement failed
        self._failed: set[int] = set()
        self._guessed: dict[int, float] = {}  # targets imputed for failed points
        self._centre = 0.0
        self._scale = 1.0
        self._known: Array = np.zeros(0)  # the measured values at the last update,
        self._known_targets: Array = np.zeros(0)  # and their targets

    @abstractmethod
    def _read(self, metrics: Metrics | None) -> float:
        """The value in a result (None for a failure); NaN if it has none."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Identifies the quantity among those of a goal."""

    def _taught(self, values: Array) -> Array:
        """The targets of a source's values."""
        return of_costs(values)

    @abstractmethod
    def _transformed(self, values: Array) -> Array:
        """The targets that the Gaussian process is fitted to, for all known values."""

    def _targets(self) -> Array:
        """The targets at all points, NaN where unknown."""
        targets = np.array(self._values)
        known = ~np.isnan(targets)
        targets[known] = self._transformed(targets[known])
        return targets

    def append(self) -> None:
        """Append a pending point."""
        self._values.append(math.nan)

    def learn(self, row: int, metrics: Metrics | None) -> None:
        """Record the result, None if it failed, at the point appended as number ``row``."""
        value = self._read(metrics)
        self._values[row] = value
        if math.isnan(value):
            self._failed.add(row)

    def taught(self, sources: Sources) -> list[Lesson]:
        """The lessons of the sources about this quantity."""
        return sources.lessons(self.key, self._read, self._taught)

    def fit(
        self,
        covariance: Anova,
        points: Points,
        weights: Array,
        sample: Slots,
        slots: int,
        lags: Array | None = None,
        sources: Sources = NO_SOURCES,
    ) -> None:
        """Learn hyperparameters from the rows ``sample`` and condition on all points.

        Args:
            covariance: defines the axes.
            points: all points appended so far.
            weights: number of measurements behind each.
            sample: rows of some measured points.
            slots: capacity for candidates.
            lags: lags of the values at the points (`dsice.gp.lags`); None: all 0.
            sources: results of earlier studies.
        """
        targets = self._targets()
        sample = sample[~np.isnan(targets[sample])]
        self._outlook = Outlook(self.taught(sources), points[sample])
        chosen = targets[sample] - self._outlook.expected(points[sample])
        found = learn(
            covariance,
            points[sample],
            chosen - chosen.mean(),
            weights[sample],
            None if lags is None else lags[sample],
            features=self._outlook.at(points[sample]),
            expected=self._outlook.log_variances,
        )
        self._expected = self._outlook.expected(points)
        self._base = found.covariance
        self._posterior = Posterior(
            self._outlook.covariance(found), found.noise + _JITTER, points, weights, slots, lags
        )
        self._ahead = np.zeros(slots)  # prior means at the candidates, from the sources
        targets = targets - self._expected
        if self._failed:
            # Imputed once: doing it for all of them at each update would be slow.
            centre = float(np.nanmean(targets))
            _, completed = self._posterior.condition(targets - centre)
            self._guessed = {row: float(completed[row]) + centre for row in self._failed}

    def add(self, point: Point, slot: int | None) -> None:
        """`append` after `fit`: condition on a pending point, optionally that in ``slot``."""
        self.append()
        self._posterior.add(point, slot=slot)
        ahead = self._outlook.expected(np.array([point], dtype=np.intp))
        self._expected = np.append(self._expected, ahead)

    def fill(self, slots: Slots, candidates: Points) -> None:
        """Put candidates into slots."""
        self._posterior.fill(slots, candidates)
        self._ahead[slots] = self._outlook.expected(candidates)

    def update(self) -> None:
        """Condition on all results: `log_factor` uses those known at the last update."""
        targets = self._targets()
        known = ~np.isnan(targets)
        self._known, self._known_targets = np.array(self._values)[known], targets[known]
        targets = targets - self._expected
        self._centre = float(targets[known].mean())
        for row, guess in self._guessed.items():
            if not known[row]:
                targets[row] = guess
        white, self._completed = self._posterior.condition(targets - self._centre)
        count = int(known.sum()) + SCALE_COUNT
        self._scale = math.sqrt((float(white @ white) + SCALE_COUNT) / count)  # (9), scale
        self._white = white
        self._pull = self._posterior.pull(white)

    def at_slots(self, slots: Slots | slice) -> tuple[Array, Array]:
        """Mean and standard deviation of the targets of the candidates in ``slots``."""
        mean = self._posterior.mean(self._white, slots) + self._centre + self._ahead[slots]
        return mean, self._scale * np.sqrt(self._posterior.variance(slots))

    def at_points(self, points: Points) -> tuple[Array, Array]:
        """Mean and standard deviation of the targets at any points."""
        mean, variance = self._posterior.predict(self._white, points)
        mean = mean + self._centre + self._outlook.expected(points)
        return mean, self._scale * np.sqrt(variance)

    def roughly(self, points: Points) -> tuple[Array, Array]:
        """As `at_points`, with the larger standard deviation given only some of the points."""
        mean, variance = self._posterior.roughly(self._pull, points)
        mean = mean + self._centre + self._outlook.expected(points)
        return mean, self._scale * np.sqrt(variance)

    def candidates(self, slots: Slots | slice) -> Points:
        """The candidates in ``slots``, shape (slots, axes)."""
        return self._posterior.candidates[slots]

    def prior_variance(self, points: Points) -> Array:
        """The variance at ``points`` before any result, in units of the covariance."""
        return self._base.variance(points)

    def levelled(self, std: Array, points: Points) -> Array:
        """Standard deviations for the acquisition function, without what the prior says of places.

        The prior variance is largest at the ends of the axes. With `levelling` 1, each standard
        deviation counts as a share of the prior one at its point; with 0, it counts as it is.
        """
        if not self.levelling:
            return std
        relative = self.prior_variance(points) / self._base.mean_variance
        return np.asarray(std * relative ** (-self.levelling / 2))  # (24), left

    def means_measured(self) -> Array:
        """Mean of the targets at the appended points, in their order."""
        means = self._posterior.mean_at_points(self._pull, self._completed)
        return means + self._centre + self._expected


class Factor(Quantity):
    """A quantity that contributes a factor to the acquisition function."""

    @abstractmethod
    def _log_factor(self, mean: Array, std: Array) -> Array:
        """Logarithm of the factor, from mean and standard deviation of the targets."""

    def log_factor(self, slots: Slots | slice) -> Array:
        """Logarithm of the factor at the candidates in ``slots``."""
        mean, std = self.at_slots(slots)
        return self._log_factor(mean, self.levelled(std, self.candidates(slots)))

    def rough_log_factor(self, points: Points) -> Array:
        """A cheap estimate of the logarithm of the factor at any points."""
        mean, std = self.roughly(points)
        return self._log_factor(mean, self.levelled(std, points))

    def expect(self, points: Points, slots: Slots | None = None) -> tuple[Array, Array, Array]:
        """Mean and std of the targets at any points, and the logarithm of the factor."""
        mean, std = self.at_points(points) if slots is None else self.at_slots(slots)
        return mean, std, self._log_factor(mean, self.levelled(std, points))
