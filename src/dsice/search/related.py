"""How related each source turned out to be, by the results of the search that used it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point
from dsice.search.factors import Objective
from dsice.search.sources import Given, Sources

LEAST = 5  # minimum number of results


@dataclass(frozen=True, slots=True)
class Relation:
    """How well one source predicted the objective.

    Attributes:
        source: its name.
        teaches: whether its own results have enough structure to learn from.
        correlation: rank correlation of the objective with the source's prediction at the measured
            points; None with fewer than five, or if one of them is constant.
        low: lower end of its 95 % confidence interval.
        high: upper end.
        points: number of points.
    """

    source: str
    teaches: bool
    correlation: float | None
    low: float
    high: float
    points: int


def relations(
    grid: Grid, goal: Goal, given: Sequence[Given], results: Sequence[tuple[Point, Metrics]]
) -> list[Relation]:
    """How well each source's posterior mean orders the measured points.

    The interval is Fisher's, with the variance 1.06 / (n - 3) of a rank correlation (E. C. Fieller,
    H. O. Hartley, E. S. Pearson, "Tests for rank correlation coefficients. I", Biometrika 44
    (1957), doi 10.1093/biomet/44.3-4.470). It assumes that points are drawn at random; a search
    prefers good ones, whose order is harder to predict.
    """
    at = np.array([point for point, _ in results], dtype=np.intp).reshape(-1, len(grid.shape))
    costs = rankdata([goal.cost(metrics) for _, metrics in results])
    found = []
    for number, each in enumerate(given):
        name = each[2] if len(each) == 3 else f"source {number + 1}"
        lessons = Objective(goal, by_violation=False).taught(Sources(grid, [each]))
        correlation, low, high = None, -1.0, 1.0
        if lessons and len(results) >= LEAST:
            expected = rankdata(lessons[0].mean(at))
            if expected.std() > 0 and costs.std() > 0:
                correlation = float(np.corrcoef(expected, costs)[0, 1])
                z = math.atanh(min(max(correlation, -0.9999), 0.9999))
                half = 1.96 * math.sqrt(1.06 / (len(results) - 3))
                low, high = math.tanh(z - half), math.tanh(z + half)
        found.append(Relation(name, bool(lessons), correlation, low, high, len(results)))
    return found
