"""What a search makes of what the user believes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.beliefs import EVEN, Beliefs
from dsice.search.start import FirstPoints
from dsice.search.why import Role
from tests.dsice.search.test_sources import bowl, followed, results

GOAL = Goal(minimize="y")
GRID = Grid([Axis("a", range(16)), Axis("b", range(16)), Axis("c", range(8))])
BEST = (11, 4, 5)
Given = Mapping[str, Sequence[float]]


def near(level: int, levels: int) -> list[float]:
    return [math.exp(-0.5 * ((k - level) / 1.5) ** 2) for k in range(levels)]


NEARLY = {"a": near(9, 16), "b": near(6, 16), "c": near(4, 8)}
FALSE = {"a": near(2, 16), "b": near(14, 16), "c": near(0, 8)}
EXCLUDED = {"a": [1] + [0] * 15, "b": [0] * 15 + [1], "c": [1] + [0] * 7}


def hill(point: Point) -> float:
    return sum((k - best) ** 2 for k, best in zip(point, BEST, strict=True))


def waves(point: Point) -> float:
    a, b, _ = (k - best for k, best in zip(point, BEST, strict=True))
    return 2 + 0.05 * hill(point) - math.cos(1.3 * a) - math.cos(1.3 * b)


def proposals(
    beliefs: Given | None,
    measure: Callable[[Point], float] = hill,
    seed: int = 0,
    budget: int = 30,
    until: Point | None = None,
) -> list[Point]:
    options: dict[str, Any] = {} if beliefs is None else {"beliefs": beliefs}
    search = make_search("dsice", GRID, GOAL, seed=seed, capacity=8, **options)
    return followed(search, lambda point: {"y": measure(point)}, 8, budget, until)


def tries(beliefs: Given | None, measure: Callable[[Point], float], budget: int) -> list[int]:
    """For each seed, how many points were measured until the best one, ``budget`` if it never was.

    The number of a point in the order of asking: 8 are under way at a time.
    """
    asked = [proposals(beliefs, measure, seed, budget, BEST) for seed in range(3)]
    return [points.index(BEST) if BEST in points else budget for points in asked]


@pytest.mark.parametrize("nothing", [{}, {"a": [3] * 16, "c": [0.1] * 8}])
def test_believing_nothing_changes_nothing(nothing: Given) -> None:
    assert proposals(nothing) == proposals(None)


def test_the_same_beliefs_give_the_same_proposals_on_any_scale() -> None:
    larger = {name: [1024 * weight for weight in weights] for name, weights in NEARLY.items()}
    assert proposals(NEARLY) == proposals(NEARLY) == proposals(larger)
    assert proposals(NEARLY) != proposals(None)


@pytest.mark.parametrize("measure", [hill, waves])
def test_a_true_belief_finds_the_best_earlier_and_a_false_one_still_finds_it(
    measure: Callable[[Point], float],
) -> None:
    budget = 90
    without, true = tries(None, measure, budget), tries(NEARLY, measure, budget)
    assert max(without) < budget
    assert sum(true) < 0.8 * sum(without)
    for false in (FALSE, EXCLUDED):
        assert max(tries(false, measure, budget)) < budget


def test_first_points_have_the_believed_probabilities_and_a_share_is_even() -> None:
    weights = [1, 2, 8, 2, 1, 0]
    grid = Grid([Axis("tile", range(6)), Axis("other", range(1000))])
    first = FirstPoints(grid, 0, Beliefs(grid, {"tile": weights}))
    taken: dict[Point, None] = {}
    for _ in range(560):
        point = first.first(taken.__contains__)
        assert point is not None
        taken[point] = None
    assert next(iter(taken)) == (2, 500)
    believed = [point for point in taken if first.is_believed(point)]
    assert len(believed) == (1 - EVEN) * len(taken)
    counts = Counter(level for level, _ in believed)
    for level, weight in enumerate(weights):
        assert counts[level] == pytest.approx(len(believed) * weight / 14, abs=10)
    even = Counter(level for level, _ in taken.keys() - set(believed))
    assert all(15 < even[level] < 32 for level in range(6))


def test_first_points_are_distinct_and_allowed_however_little_is_believed() -> None:
    grid = Grid([Axis("a", range(6)), Axis("b", range(6))], "a + b != 6")
    first = FirstPoints(grid, 1, Beliefs(grid, {"a": [0, 0, 1, 0, 0, 0], "b": [0, 1, 0, 0, 1, 1]}))
    taken: list[Point] = []
    while (point := first.first(taken.__contains__)) is not None:
        taken.append(point)
    assert sorted(taken) == sorted(grid)
    believed = {point for point in taken if first.is_believed(point)}
    assert believed == {(2, 1), (2, 5)}


def test_a_first_point_says_that_it_was_believed() -> None:
    search = make_search("dsice", GRID, GOAL, capacity=8, beliefs=NEARLY)
    points = search.ask(8)
    assert points[0] == (9, 6, 4)
    whys = [search.why(point) for point in points]
    roles = [why.role for why in whys if why is not None]
    assert roles == [Role.BELIEF, Role.BELIEF, Role.BELIEF, Role.START] * 2


def test_what_does_not_apply_is_not_believed_in() -> None:
    grid = Grid([Axis.choice("kind", ["x", "y"]), Axis("n", range(5), when="kind == 'x'")])
    found = Beliefs(grid, {"n": [1, 0, 0, 0, 0]})
    at = np.array([(0, 0), (0, 4), grid.canonical((1, 0))])
    assert np.exp(found.log_density(at)) == pytest.approx([EVEN + (1 - EVEN) * 5, EVEN, 1.0])
    search = make_search("dsice", grid, GOAL, beliefs={"n": [1, 0, 0, 0, 0]})
    asked = followed(search, lambda p: {"y": bowl({"a": p[0], "b": p[1]})}, 2, 10)
    assert len(asked) == len(set(asked)) == grid.allowed_count == 6


def test_scores_count_beliefs_and_gains_do_not() -> None:
    known = results(GRID, lambda params: bowl(params, 11, 4), count=20)
    at = [(2, 14, 0), (11, 5, 5)]
    found = []
    for beliefs in (None, FALSE):
        search = make_search("dsice", GRID, GOAL, beliefs=beliefs)
        for point, metrics in known:
            search.tell(point, metrics)
        forecasts = search.forecast(at)
        assert forecasts is not None
        found.append(forecasts)
    density = Beliefs(GRID, FALSE).log_density(np.array(at))
    assert density[0] > 0 > density[1]
    for without, believed, log in zip(*found, density.tolist(), strict=True):
        assert believed.gain == pytest.approx(without.gain)
        assert believed.score - without.score == pytest.approx(10 / len(known) * log)


def test_beliefs_do_not_decide_when_a_search_with_a_tolerance_ends() -> None:
    grid = Grid([Axis("a", range(12))])
    for weights in ([9] + [0] * 11, [0] * 11 + [9]):
        search = make_search("dsice", grid, GOAL, tolerance=0.01, beliefs={"a": weights})
        asked = followed(search, lambda p: {"y": float((p[0] - 7) ** 2)}, 1, 12)
        assert (7,) in asked
        assert search.finished


def test_beliefs_and_sources_together() -> None:
    grid = Grid([Axis("a", range(16)), Axis("b", range(16))])
    source = (grid, results(grid, bowl))
    beliefs = {"a": near(3, 16), "b": near(3, 16)}
    search = make_search("dsice", grid, GOAL, capacity=20, sources=[source], beliefs=beliefs)
    whys = [search.why(point) for point in search.ask(20)]
    counts = Counter(why.role for why in whys if why is not None)
    assert counts == {Role.SOURCE: 19, Role.BELIEF: 1}


@pytest.mark.parametrize(
    ("beliefs", "message"),
    [
        ({"tile": [1]}, "no parameter 'tile': there are a, b, c"),
        ({"c": [1, 2]}, "there are 2, and 8 levels"),
        ({"c": [0] * 8}, "all are 0"),
        ({"c": [1] * 7 + [-1]}, "-1 is no number of 0 or more"),
        ({"c": [1] * 7 + [math.nan]}, "nan is no number"),
        ({"c": [1] * 7 + ["x"]}, "'x' is no number"),
        ({"c": 3}, "a list of 8 numbers"),
        ([1, 2], "by name"),
    ],
)
def test_what_is_no_belief_is_refused(beliefs: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_search("dsice", GRID, GOAL, beliefs=beliefs)


def test_other_searches_have_none() -> None:
    with pytest.raises(InvalidInput, match="'beliefs'"):
        make_search("random", GRID, GOAL, beliefs={})
