"""Lines of a grid, and collinear exploration: searching for the best setting on one line.

Source: T. Tanaka et al., Scientific Programming 22 (2014), section 3 (IPPE, incremental performance
parameter estimation), doi 10.1155/2014/310879.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final, Literal

import numpy as np

from dsice import spline
from dsice.grid import Grid, Point
from dsice.search.history import History

UPDATES_TO_SETTLE: Final = 3
MOST_SETTINGS: Final = 30
# Merits are fitted on a scale from 0 to 1 and compared after rounding. Otherwise the last bits of
# the linear algebra would decide between equals.
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Line:
    """All points of a grid on one line, in order: its *settings*, numbered from 0.

    Two lines through the same points are equal.

    Attributes:
        first: the setting 0, at a bound of the grid.
        direction: the step from one setting to the next: entries -1, 0 or 1, the first nonzero one
            positive.
        settings: the number of settings.
    """

    first: Point
    direction: Point
    settings: int

    @classmethod
    def through(cls, grid: Grid, point: Point, direction: Point) -> Line:
        """The line through ``point`` along ``direction``, in both senses up to the bounds."""
        leading = next(step for step in direction if step)
        direction = tuple(step * leading for step in direction)
        moving = [
            (k, n, step) for k, n, step in zip(point, grid.shape, direction, strict=True) if step
        ]
        back = min(k if step > 0 else n - 1 - k for k, n, step in moving)
        ahead = min(n - 1 - k if step > 0 else k for k, n, step in moving)
        return cls(moved(point, direction, -back), direction, back + ahead + 1)

    @property
    def changes(self) -> int:
        """The number of axes that change along the line."""
        return sum(step != 0 for step in self.direction)

    def __len__(self) -> int:
        return self.settings

    def __iter__(self) -> Iterator[Point]:
        return map(self.__getitem__, range(self.settings))

    def __getitem__(self, setting: int) -> Point:
        if not 0 <= setting < self.settings:
            raise IndexError(setting)
        return moved(self.first, self.direction, setting)


def moved(point: Point, direction: Point, steps: int = 1) -> Point:
    """The point ``steps`` levels from ``point`` along ``direction``; it may be off the grid."""
    return tuple(k + steps * step for k, step in zip(point, direction, strict=True))


def directions(axes: int, changes: int) -> Iterator[Point]:
    """All directions that change ``changes`` of ``axes`` axes by one level up or down.

    Four axes have 8, 24, 32 and 16 directions for 1, 2, 3 and 4 changes.
    """
    for chosen in combinations(range(axes), changes):
        for signs in product((1, -1), repeat=changes):
            direction = [0] * axes
            for axis, sign in zip(chosen, signs, strict=True):
                direction[axis] = sign
            yield tuple(direction)


class Exploration:
    """Collinear exploration (IPPE) of one line.

    It starts with the first and last allowed settings and two between them. Each following update
    fits a d-Spline to all measurements on the line and suggests, of the settings not yet measured,

    1. those estimated below the smallest measured merit, the smallest estimate first;
    2. those estimated above the largest, the largest first, as the model is least reliable there;
    3. the others, the largest absolute second difference first.

    It stops when the spline's smallest estimate has been at the same setting for three updates,
    when 30 settings are measured, or when no setting is left.

    Settings that the grid's rule excludes are never suggested. Failed and infeasible settings are
    fitted with the merit of `History.merits`.

    Args:
        line: the line.
        grid: for its rule.
        history: receives the results.
        alpha: smoothing of the d-Spline, see `dsice.spline.fit`.
        reference: see `History.merits`.
        count_measurements: advance the stopping count by the number of new measurements instead of
            by one per update, as DSICE 1.0.1 does: suggesting two at a time then stops at once.
    """

    def __init__(
        self,
        line: Line,
        grid: Grid,
        history: History,
        *,
        alpha: float | Literal["abic"] = spline.DEFAULT_ALPHA,
        reference: float | None = None,
        count_measurements: bool = False,
    ) -> None:
        self._line = line
        self._history = history
        self._alpha = alpha
        self._reference = reference
        self._count_measurements = count_measurements
        self._allowed = [k for k, point in enumerate(line) if grid.allows(point)]
        self._started = False
        self._argmin = -1
        self._count = 0
        self._seen = 0

    def suggest(self, batch: int) -> list[Point]:
        """The points to measure next: the start, then up to ``batch`` per update; [] if stopped.

        Call it again once all its last suggestions are in the history.
        """
        if not self._started:
            self._started = True
            if start := [k for k in self._start() if self._line[k] not in self._history]:
                return [self._line[k] for k in start]
        measured = [k for k, point in enumerate(self._line) if point in self._history]
        left = [k for k in self._allowed if k not in set(measured)]
        batch = min(batch, MOST_SETTINGS - len(measured))
        if not left or batch <= 0 or len(measured) < 2:
            return []
        estimates, curvature = self._fit(measured)
        self._update(min(self._allowed, key=lambda k: (estimates[k], k)), len(measured))
        if self._count >= UPDATES_TO_SETTLE:
            return []

        def rank(k: int) -> tuple[int, float, int]:
            if estimates[k] < 0:
                return 0, estimates[k], k
            if estimates[k] > 1:
                return 1, -estimates[k], k
            return 2, -abs(curvature[k]), k

        return [self._line[k] for k in sorted(left, key=rank)[:batch]]

    def _start(self) -> list[int]:
        """Settings 0, L, L // 3 and the middle between the latter two, of the allowed ones."""
        last = len(self._allowed) - 1
        places = [0, last, last // 3, (last // 3 + last) // 2]
        return [self._allowed[place] for place in dict.fromkeys(places)] if last > 0 else []

    def _fit(self, measured: list[int]) -> tuple[list[float], list[float]]:
        """Estimate and second difference at each setting; measured merits go from 0 to 1."""
        points = [self._line[k] for k in measured]
        merits = np.array(self._history.merits(points, self._reference))
        low, high = merits.min(), merits.max()
        fitted = spline.fit(
            measured,
            (merits - low) / (high - low or 1.0),
            [self._history.weight(point) for point in points],
            n=len(self._line),
            alpha=self._alpha,
        )
        return fitted.estimates.round(_DIGITS).tolist(), fitted.curvature.round(_DIGITS).tolist()

    def _update(self, argmin: int, seen: int) -> None:
        if argmin != self._argmin:
            self._count = 0
        self._count += seen - self._seen if self._count_measurements and self._count else 1
        self._argmin, self._seen = argmin, seen
