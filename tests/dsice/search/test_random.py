from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice import make_search
from dsice.goal import Goal
from dsice.grid import Axis, Grid
from dsice.search.random import permuted

GOAL = Goal(minimize="y")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 500), st.integers(0, 2**70))
def test_it_permutes(size: int, seed: int) -> None:
    assert sorted(permuted(k, size, seed) for k in range(size)) == list(range(size))


def test_every_order_of_few_points_is_about_equally_likely() -> None:
    seeds = 2400
    orders = Counter(tuple(permuted(k, 4, seed) for k in range(4)) for seed in range(seeds))
    assert len(orders) == 24
    assert all(40 < count < 200 for count in orders.values())


def test_large_grids_are_covered_evenly() -> None:
    size = 10**12
    numbers = [permuted(k, size, 3) for k in range(2000)]
    assert len(set(numbers)) == 2000
    assert all(0 <= number < size for number in numbers)
    parts = Counter(number * 10 // size for number in numbers)
    assert all(140 < parts[part] < 260 for part in range(10))


def test_seeds_differ_and_repeat() -> None:
    grid = Grid([Axis.integers(name, 0, 99) for name in "abcdef"])
    first, again, other = (make_search("random", grid, GOAL, seed=s).ask(20) for s in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)


@pytest.mark.parametrize("rule", ["a == 7 and b < 3", "a * b * c >= 9**6 - 2000"])
def test_rules_that_exclude_most(rule: str) -> None:
    grid = Grid([Axis.integers(name, 0, 99) for name in "abcdef"], rule)
    points = make_search("random", grid, GOAL).ask(5)
    assert len(set(points)) == 5
    assert all(map(grid.allows, points))


def test_exhaustion() -> None:
    grid = Grid([Axis.integers("a", 0, 4), Axis.choice("b", ["x", "y"])], "a != 2")
    search = make_search("random", grid, GOAL)
    search.tell((0, 0), {"y": 1.0})
    search.pend((1, 1))
    points = search.ask(100)
    assert sorted([*points, (0, 0), (1, 1)]) == list(grid)
    assert not search.finished
    assert search.ask(1) == []
    for point in [*points, (1, 1)]:
        search.tell(point, None)
    assert search.reason == "every allowed point is measured"
