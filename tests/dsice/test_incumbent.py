from __future__ import annotations

import random
import statistics
from typing import NamedTuple

import pytest

from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.incumbent import best_standing, incumbents, standings
from dsice.simulate.play import Job, Play, Terms
from dsice.simulate.world import Result

GOALS = {
    "small": Goal(minimize="y"),
    "large": Goal(maximize="y"),
    "bounded": Goal(minimize="y", subject_to=["z <= 2"]),
}


class Measurement(NamedTuple):
    number: int
    point: Point
    metrics: Metrics


def measured(*values: tuple[int, float]) -> list[Measurement]:
    """Measurements of points on one axis, in order."""
    return [Measurement(n, (x,), {"y": y}) for n, (x, y) in enumerate(values, 1)]


def test_one_lucky_measurement_does_not_win() -> None:
    found = measured((0, 4.12), (1, 3.99), (1, 8.74), (1, 6.0), (0, 4.5), (0, 4.0))
    best = best_standing(found, GOALS["small"])
    assert best is not None
    assert (best.counted.number, best.counted.metrics["y"]) == (1, 4.12)
    assert best.spread("y") == (4.0, 4.5)
    walk = incumbents(found, GOALS["small"])
    values = [(each.after, each.best.point[0], each.best.metrics["y"]) for each in walk]
    # The point 1 was lucky; the point 0 counts by the worse of two, then by the middle of three.
    assert values == [(1, 0, 4.12), (2, 1, 3.99), (3, 0, 4.12), (5, 0, 4.5), (6, 0, 4.12)]
    assert walk[-1].standing == best


def test_under_a_bound_what_breaks_it_is_worse() -> None:
    goal = GOALS["bounded"]
    found = [
        Measurement(1, (0,), {"y": 5.0, "z": 4.0}),
        Measurement(2, (1,), {"y": 9.0, "z": 3.0}),
        Measurement(3, (2,), {"y": 1.0, "z": 1.0}),
        Measurement(4, (2,), {"y": 2.0, "z": 9.0}),
        Measurement(5, (2,), {"y": 3.0, "z": 8.0}),
    ]
    assert [each.best.number for each in incumbents(found, goal)] == [1, 2, 3, 2]
    assert best_standing(found[:3], goal) is not None
    assert best_standing(found, goal) is None


@pytest.mark.parametrize("goal", GOALS.values(), ids=list(GOALS))
def test_the_last_incumbent_is_the_best_at_every_moment(goal: Goal) -> None:
    """Against the medians of all points, taken anew after each measurement."""
    sign = 1 if goal.maximize is None else -1
    for seed in range(30):
        chance = random.Random(seed)
        found = [
            Measurement(
                n, (chance.randrange(5),), {"y": chance.gauss(0, 1), "z": chance.gauss(2, 1)}
            )
            for n in range(1, 40)
        ]
        walk = incumbents(found, goal)
        for until in range(1, len(found) + 1):
            last = [each for each in walk if each.after <= until][-1]
            best = best_standing(found[:until], goal)
            if best is None:
                assert not goal.feasible(last.best.metrics)
                continue
            assert last.standing == best
            if not goal.bounds:
                medians = {
                    each.counted.point: statistics.median_high(
                        sign * m.metrics["y"] for m in each.of
                    )
                    for each in standings(found[:until], goal)
                }
                assert medians[best.counted.point] == min(medians.values())
                assert sign * best.counted.metrics["y"] == min(medians.values())


def test_simulated_studies_follow_the_same_rule() -> None:
    values = [(0, 4.0), (1, 3.0), (1, 9.0), (1, 8.0)]
    jobs = [Job((x,), 0.0, float(k), Result({"y": y}, 1.0)) for k, (x, y) in enumerate(values)]
    failed = Job((2,), 0.0, 9.0, Result(None, 1.0))
    curve = Play(1, Terms(5), (*jobs, failed)).curve(GOALS["small"])
    assert curve == [(0.0, 4.0), (1.0, 3.0), (2.0, 4.0), (3.0, 4.0), (9.0, 4.0)]
