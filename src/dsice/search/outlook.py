"""The prior of a quantity from the sources: its mean, covariance and hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.evidence import Learned
from dsice.gp.informed import Informed
from dsice.search.lesson import Lesson

BELIEVED: Final = 0.5
"""The coefficient of a source that is expected, on the scale of the evaluated points: their
correlation with it, if nothing else acted."""
NARROWEST: Final = 0.25  # minimum spread of a source at these points, relative to the grid


class Resemblance:
    """A lesson, rescaled to the evaluated points."""

    def __init__(self, lesson: Lesson, points: Points) -> None:
        self.lesson = lesson
        seen = lesson.at(points)
        self._shift = float(seen.mean())
        self._scale = max(float(seen.std()), NARROWEST)

    def at(self, points: Points) -> Array:
        """Its values at ``points``."""
        return np.asarray((self.lesson.at(points) - self._shift) / self._scale)


class Outlook:
    """The prior that the lessons of all sources provide.

    Args:
        lessons: the lessons about the quantity.
        points: the evaluated points.
    """

    def __init__(self, lessons: Sequence[Lesson], points: Points) -> None:
        self._features = [Resemblance(lesson, points) for lesson in lessons]

    def at(self, points: Points) -> Array:
        """The features at ``points``, shape (len(points), features)."""
        columns = [feature.at(points) for feature in self._features]
        return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0))

    def expected(self, points: Points) -> Array:
        """The prior mean of the quantity's targets, shape (len(points),)."""
        if not self._features:
            return np.zeros(len(points))
        return np.asarray(BELIEVED * self.at(points).mean(axis=1))  # (17)

    @property
    def log_variances(self) -> list[Array | None] | None:
        """For each axis, the prior mean of the logarithms of its variances; None if no sources."""
        if not self._features:
            return None
        found: list[Array | None] = []
        for known in zip(*(feature.lesson.logs for feature in self._features), strict=True):
            logs = [each for each in known if each is not None]
            alike = [each for each in logs if len(each) == len(logs[0])]
            found.append(np.mean(alike, axis=0) if alike else None)
        return found

    def covariance(self, found: Learned) -> Anova:
        """The learned covariance of the quantity."""
        if not self._features:
            return found.covariance
        return Informed(found.covariance, self._features, found.relations)
