"""The default search for a whole front: what it expects, and how much of the front it finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.front import front, hypervolume
from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search import FRONT_SEARCHES, SEARCHES, make_search
from dsice.search.asynchronous import Dsice
from dsice.search.base import Search
from dsice.search.targets import from_range, of_bound, of_range
from dsice.swept import Swept

GRID = Grid([Axis("a", range(16)), Axis("b", range(20)), Axis("c", range(12))])


def program(point: Point) -> dict[str, float]:
    """Two paraboloids that pull apart, and a third metric."""
    a, b, c = (point[0] - 7) / 11, (point[1] - 9) / 14, (point[2] - 4) / 8
    first = a * a + b * b + 0.3 * c * c + 0.1 * math.sin(9 * a * b)
    second = (a - 0.5) ** 2 + (b + 0.4) ** 2 + 0.3 * (c + 0.3) ** 2
    return {"f": first, "g": second, "h": abs(a) + abs(c - 0.3)}


def told(search: Search, count: int, failing: bool = False) -> Search:
    """``search`` after so many results, at points that do not depend on it."""
    for point in make_search("random", GRID, Goal(minimize="f"), seed=5).ask(count):
        fails = failing and sum(point) % 7 == 0
        search.tell(point, None if fails else program(point))
    search.ask(0)  # what was told before the first question is taken up with it
    return search


@pytest.mark.parametrize("limits", [(0.3, 0.3), (-1.0, 2.0), (5.0, 9.0)])
def test_targets_of_a_range(limits: tuple[float, float]) -> None:
    values = np.sort(np.random.default_rng(0).normal(size=60))
    targets = of_range(values, *limits, values)
    assert (np.diff(targets) > 0).all()
    assert from_range(targets, *limits, values) == pytest.approx(values)
    if limits[0] == limits[1]:
        assert targets == pytest.approx(of_bound(values, limits[0]))


@pytest.mark.parametrize("relation", ["<=", ">="])
@pytest.mark.parametrize("failing", [False, True])
def test_a_range_of_one_bound_expects_what_that_bound_does(relation: str, failing: bool) -> None:
    single = Goal(minimize="f", subject_to=[f"g {relation} 0.4", "h <= 1"])
    ranged = single.over(Swept("g", relation, 0.4, 0.4))
    points = make_search("random", GRID, single, seed=9).ask(80)
    one = told(Dsice(GRID, single), 40, failing).forecast(points)
    many = told(Dsice(GRID, ranged), 40, failing).forecast(points)
    assert one is not None
    assert many is not None
    for expected, found in zip(one, many, strict=True):
        assert found.score == pytest.approx(expected.score)
        assert found.estimate.mean == pytest.approx(expected.estimate.mean)
        assert found.bounds[0].probability == pytest.approx(
            next(b.probability for b in expected.bounds if b.bound.startswith("g"))
        )


def test_what_is_expected_is_said_for_a_bound_of_the_range() -> None:
    goal = Goal(minimize="f", subject_to=["h <= 1"]).over(Swept("g", "<=", 0.2, 0.8))
    search = told(Dsice(GRID, goal), 60)
    points = make_search("random", GRID, goal, seed=9).ask(50)
    forecasts = search.forecast(points)
    assert forecasts is not None
    for forecast in forecasts:
        limit = float(forecast.bounds[0].bound.removeprefix("g <= "))
        assert 0.2 - 1e-6 <= limit <= 0.8 + 1e-6
        assert 0 <= forecast.chance_in_all <= 1


def test_prospects_name_the_best_at_each_bound_and_change_nothing() -> None:
    goal = Goal(minimize="f", subject_to=["h <= 1"]).over(Swept("g", "<=", 0.1, 0.8))
    search, other = Dsice(GRID, goal), Dsice(GRID, goal)
    told(search, 50)
    told(other, 50)
    limits = [0.1, 0.2, 0.4, 0.8]
    prospects = search.prospects([[limit] for limit in limits])
    assert prospects is not None
    for limit, prospect in zip(limits, prospects, strict=True):
        able = {p: program(p) for p in search.history}
        kept = [p for p, m in able.items() if m["g"] <= limit and m["h"] <= 1]
        assert prospect.best == min(kept, key=lambda p: able[p]["f"], default=None)
        assert prospect.point not in able
        assert prospect.gain >= 0
        assert 0 <= prospect.chance <= 1
    assert search.ask(5) == other.ask(5)
    assert Dsice(GRID, goal).prospects([[0.1]]) is None


@pytest.mark.parametrize("objectives", [["f", "g"], ["g", "f"], ["f", "g", "h"]])
def test_it_finds_more_of_the_front_than_chance(objectives: list[str]) -> None:
    everything = np.array([list(map(program(p).__getitem__, objectives)) for p in points_of(GRID)])
    reference = everything[front(everything)].max(axis=0) * 1.1
    whole = hypervolume(everything, reference)

    def share(name: str, seed: int) -> float:
        search = make_search(name, GRID, Goal(minimize=objectives), seed=seed, capacity=3)
        measured: list[Metrics] = []
        asked: list[Point] = []
        for _ in range(50):
            asked += search.ask(3 - len(asked))
            point = asked.pop(0)
            measured.append(program(point))
            search.tell(point, measured[-1])
        found = [[metrics[name] for name in objectives] for metrics in measured]
        return hypervolume(found, reference) / whole

    ours, chance = (np.mean([share(name, seed) for seed in (0, 1)]) for name in ("dsice", "random"))
    assert ours > 1.15 * chance


def points_of(grid: Grid) -> list[Point]:
    return [tuple(int(k) for k in index) for index in np.ndindex(*grid.shape)]


def test_a_proposal_says_which_bound_it_is_for() -> None:
    goal = Goal(minimize="f").over(Swept("g", "<=", 0.1, 0.8))
    search = told(Dsice(GRID, goal), 30)
    (point,) = search.ask()
    why = search.why(point)
    assert why is not None
    assert why.forecast is not None
    limit = float(why.forecast.bounds[0].bound.removeprefix("g <= "))
    kept = [p for p in search.history if program(p)["g"] <= limit + 1e-6]
    assert why.best == min(kept, key=lambda p: program(p)["f"], default=None)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_takes_several_objectives_or_refuses_them(name: str) -> None:
    goal = Goal(minimize=["f", "g"])
    if name in FRONT_SEARCHES:
        assert make_search(name, GRID, goal).ask()
    else:
        with pytest.raises(InvalidInput, match="whole front"):
            make_search(name, GRID, goal)
