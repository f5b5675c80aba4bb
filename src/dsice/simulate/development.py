"""Learning curves of simulated trials, learned from those of a history.

A value on the way is that of a regression on the last value, over the trials that ran to their end,
plus the whole curve of residuals of one of them, the *donor*: so values on the way tell as much of
the last one as they did, and successive ones are as alike. The donor is among the nearest on the
grid, since starts that mislead mislead alike. Trials that ended early are left out, as nobody knows
what they would have come to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from dsice.goal import Metrics
from dsice.gp.anova import Points
from dsice.gp.axis import Array
from dsice.grid import Grid, Point
from dsice.search.curves import says_diverged
from dsice.simulate.world import Result, World, Worlds

LEAST: Final = 5  # minimum number of complete trials with reports
_NEAREST: Final = 3  # donors that are drawn from


@dataclass(frozen=True, slots=True)
class Told:
    """What a complete trial of the history reported.

    Attributes:
        point: of the trial.
        last: its metrics at the end.
        reports: shares of its length with the metrics there, increasing.
    """

    point: Point
    last: Metrics
    reports: Sequence[tuple[float, Metrics]]


@dataclass(frozen=True)
class Development:
    """How metrics develop on the way to their last values.

    Attributes:
        shares: of a trial's length at which it reports.
        points: of the donors, shape (donors, axes).
        spans: the number of levels of each axis, less 1; at least 1.
        slopes: of the regressions, by metric, shape (shares,).
        starts: their values at a last value of 0, likewise.
        residuals: of the donors, by metric, shape (donors, shares).
    """

    shares: tuple[float, ...]
    points: Points
    spans: Array
    slopes: Mapping[str, Array]
    starts: Mapping[str, Array]
    residuals: Mapping[str, Array]

    @classmethod
    def of(
        cls, grid: Grid, metrics: Sequence[str], told: Sequence[Told], marks: Sequence[float]
    ) -> Self | None:
        """Learn from trials that ran to their end; None if too few reported alike.

        Args:
            grid: the points.
            metrics: that matter.
            told: what the trials reported.
            marks: increasing shares; of the reports between two of them, the first one counts.
        """
        found = [(one, _by_mark(one.reports, metrics, marks)) for one in told]
        often = [
            mark
            for mark in range(1, len(marks))
            if 2 * sum(mark in reports for _, reports in found) > len(found)
        ]
        donors = [(one, r) for one, r in found if often and all(mark in r for mark in often)]
        if len(donors) < LEAST:
            return None
        slopes, starts, residuals = {}, {}, {}
        for name in metrics:
            last = np.array([one.last[name] for one, _ in donors])
            way = np.array([[reports[mark][1][name] for mark in often] for _, reports in donors])
            off = last - last.mean()
            size = float(off @ off)
            slopes[name] = off @ way / size if size else np.zeros(len(often))
            starts[name] = way.mean(axis=0) - slopes[name] * last.mean()
            residuals[name] = way - starts[name] - np.outer(last, slopes[name])
        return cls(
            shares=tuple(
                float(np.mean([reports[mark][0] for _, reports in donors])) for mark in often
            ),
            points=np.array([one.point for one, _ in donors], dtype=np.intp),
            spans=np.maximum(np.array(grid.shape, dtype=float) - 1, 1),
            slopes=slopes,
            starts=starts,
            residuals=residuals,
        )

    def draw(
        self, point: Point, last: Metrics, chance: np.random.Generator
    ) -> tuple[tuple[float, Metrics], ...]:
        """The reports of a trial that ends with the metrics ``last``."""
        apart = np.abs(self.points - np.array(point)) / self.spans
        nearest = np.argsort(apart.sum(axis=1), kind="stable")[:_NEAREST]
        donor = int(nearest[int(chance.integers(len(nearest)))])
        values = {
            name: self.starts[name] + slope * last[name] + self.residuals[name][donor]
            for name, slope in self.slopes.items()
        }
        return tuple(
            (share, {name: float(values[name][k]) for name in values})
            for k, share in enumerate(self.shares)
        )


def _by_mark(
    reports: Sequence[tuple[float, Metrics]], metrics: Sequence[str], marks: Sequence[float]
) -> dict[int, tuple[float, Metrics]]:
    """The reports by the number of marks that they have reached; the last mark is the end."""
    found: dict[int, tuple[float, Metrics]] = {}
    for share, values in reports:
        mark = bisect_right(marks, share)
        if mark < len(marks) and not says_diverged(values.get(n, np.nan) for n in metrics):
            found.setdefault(mark, (share, values))
    return found


@dataclass(frozen=True, slots=True)
class Developing(Worlds):
    """Worlds whose trials report on their way.

    Attributes:
        worlds: what they end with.
        development: how they come there.
    """

    worlds: Worlds
    development: Development

    def world(self, seed: int) -> World:  # noqa: D102  (as the base)
        return _DevelopingWorld(seed, self.worlds.world(seed), self.development)


class _DevelopingWorld(World):
    def __init__(self, seed: int, world: World, development: Development) -> None:
        super().__init__(seed + 1_000_003)  # other draws than those of the world
        self._world = world
        self._development = development

    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        end = self._world.measure(point)
        if end.metrics is None:
            return end
        reports = self._development.draw(point, end.metrics, chance)
        return Result(end.metrics, end.seconds, reports)
