"""Which surfaces matter for a goal, and what all of them together expect."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dsice.goal import Goal, Metrics
from dsice.search.outputs import Array, Limited, Objective, Success
from dsice.search.tradeoff import Tradeoff
from dsice.search.why import BoundForecast, Forecast
from dsice.surface.anova import Points


def outputs(
    goal: Goal, results: Sequence[Metrics | None]
) -> tuple[Objective | Tradeoff, list[Limited], list[Success]]:
    """What matters, given the results so far, some of them successful.

    Bounds do once something is feasible, success does once something failed. A bound on a swept
    metric is the loosest of many: `Tradeoff` sees to all of them.
    """
    feasible = any(metrics is not None and goal.feasible(metrics) for metrics in results)
    success = [Success()] if None in results else []
    if not feasible:
        return Objective(goal, by_violation=True), [], success
    swept = {(each.metric, each.relation[0]) for each in goal.swept}
    others = [bound for bound in goal.bounds if (bound.metric, bound.relation[0]) not in swept]
    objective = Tradeoff(goal) if swept else Objective(goal, by_violation=False)
    return objective, [Limited(bound) for bound in others], success


def forecasts(
    objective: Objective | Tradeoff,
    limited: Sequence[Limited],
    success: Sequence[Success],
    points: Points,
    preferences: Array,
) -> list[Forecast]:
    """What surfaces that are up to date expect at any points.

    Args:
        objective: the objective's surface.
        limited: those of the bounds.
        success: that of success, if there is one.
        points: level indices, one point a row.
        preferences: what is added to the ratings of the points.
    """
    look = objective.look(points)
    ratings = look.ratings
    bounds = []
    for output in limited:
        mean, deviation, logs = output.expect(points)
        ratings = ratings + logs
        bounds.append((str(output.bound), output.estimates(mean, deviation), np.exp(logs)))
    succeeds = None
    for each in success:
        _, _, logs = each.expect(points)
        ratings = ratings + logs
        succeeds = np.exp(logs)
    return [
        Forecast(
            quantity=look.quantity,
            estimate=look.estimates[k],
            chance=float(look.chances[k]),
            bounds=(
                *look.bounds[k],
                *(BoundForecast(text, found[k], float(p[k])) for text, found, p in bounds),
            ),
            success=None if succeeds is None else float(succeeds[k]),
            gain=math.exp(ratings[k]) * objective.unit if objective.unit else None,
            rating=float(ratings[k] + preferences[k]),
        )
        for k in range(len(points))
    ]
