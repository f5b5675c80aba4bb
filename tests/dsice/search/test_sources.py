"""What a search makes of the results of earlier studies."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.gp.anova import Anova
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.base import Search
from dsice.search.bridge import Bridge
from dsice.search.why import Role, Why

GOAL = Goal(minimize="y")
Results = list[tuple[Point, Metrics | None]]


def square(low: int = 0, high: int = 15) -> Grid:
    return Grid([Axis("a", range(low, high + 1)), Axis("b", range(16))])


def bowl(params: Mapping[str, Any], a: float = 12, b: float = 3) -> float:
    return float((params["a"] - a) ** 2 + (params["b"] - b) ** 2)


def results(grid: Grid, cost: Any, count: int = 60, seed: int = 0) -> Results:
    points = dict.fromkeys(grid.draws(2 * count, random.Random(seed)))
    return [(point, {"y": cost(grid.params(point))}) for point in list(points)[:count]]


def followed(
    search: Search, measure: Any, workers: int, budget: int, until: Point | None = None
) -> list[Point]:
    """The points in the order of asking; the oldest job ends first; ends where ``until`` is."""
    asked: list[Point] = []
    running: list[Point] = []
    while until not in asked and (len(asked) < budget or running):
        points = search.ask(min(workers - len(running), budget - len(asked)))
        asked += points
        running += points
        if not running:
            break
        point = running.pop(0)
        search.tell(point, measure(point))
    return asked


def proposals(sources: Sequence[Any] | None, workers: int = 8, budget: int = 30) -> list[Point]:
    grid = square()
    options = {} if sources is None else {"sources": sources}
    search = make_search("dsice", grid, GOAL, seed=3, capacity=workers, **options)
    return followed(search, lambda p: {"y": bowl(grid.params(p), 11, 4)}, workers, budget)


def distance(point: Point, a: int, b: int) -> float:
    return float(np.hypot(point[0] - a, point[1] - b))


def test_no_sources_change_nothing() -> None:
    assert proposals([]) == proposals(None)


def test_the_first_points_are_near_the_best_of_a_related_source() -> None:
    source = (square(), results(square(), bowl))
    with_source, without = proposals([source]), proposals(None)
    assert np.mean([distance(p, 12, 3) for p in with_source[:8]]) < 3
    assert np.mean([distance(p, 12, 3) for p in without[:8]]) > 5


def test_the_same_history_gives_the_same_proposals() -> None:
    source = (square(), results(square(), bowl))
    assert proposals([source]) == proposals([source])


def test_a_source_without_structure_teaches_nothing() -> None:
    known = results(square(), bowl)
    metrics = [found for _, found in known]
    random.Random(1).shuffle(metrics)
    dealt = [(point, found) for (point, _), found in zip(known, metrics, strict=True)]
    assert proposals([(square(), dealt)]) == proposals(None)


@pytest.mark.parametrize("known", [[], [((1, 1), {"y": 1.0})], [((1, 1), {"other": 1.0})] * 9])
def test_a_source_that_hardly_knows_anything_teaches_nothing(known: Any) -> None:
    assert proposals([(square(), known)]) == proposals(None)


def test_with_a_source_the_model_takes_over_after_three_results() -> None:
    grid = square()
    known = results(grid, bowl)
    found = [metrics for _, metrics in known]
    random.Random(1).shuffle(found)
    dealt = [(point, metrics) for (point, _), metrics in zip(known, found, strict=True)]

    def before_the_model(sources: list[Any]) -> int:
        search = make_search("dsice", grid, GOAL, seed=3, sources=sources)
        roles = []
        for point in followed(search, lambda p: {"y": bowl(grid.params(p), 11, 4)}, 1, 8):
            why = search.why(point)
            assert why is not None
            roles.append(why.role)
        return sum(role in (Role.START, Role.SOURCE) for role in roles)

    assert before_the_model([(grid, known)]) == 3
    assert before_the_model([(grid, dealt)]) == before_the_model([]) == 5


def test_an_opposite_source_is_overcome() -> None:
    source = (square(), results(square(), lambda params: -bowl(params, 11, 4)))
    asked = proposals([source], budget=40)
    assert (11, 4) in asked


def test_levels_are_matched_by_value() -> None:
    other = square(low=5, high=20)
    source = (other, results(other, bowl))
    assert np.mean([distance(p, 12, 3) for p in proposals([source])[:8]]) < 3


def test_parameters_of_one_side_only_do_not_matter() -> None:
    more = Grid([Axis.choice("mode", ["x", "y"]), Axis("b", range(16)), Axis("a", range(16))])
    source = (more, results(more, lambda p: bowl(p) + 5 * (p["mode"] == "x")))
    assert np.mean([distance(p, 12, 3) for p in proposals([source])[:8]]) < 3
    less = Grid([Axis("a", range(16))])
    known = results(less, lambda params: (params["a"] - 12) ** 2, count=14)
    asked = proposals([(less, known)])[:8]
    assert np.mean([abs(p[0] - 12) for p in asked]) < 3


def test_a_number_between_two_levels_lies_between_them() -> None:
    target = Grid([Axis("size", [8, 16, 24, 1000, 1])])
    source = Grid([Axis("size", [8, 32])])
    bridge = Bridge(target, source)
    variances = [np.array([0.5])]
    (factor,) = bridge.factors(variances, np.array([[0], [1]]))
    at = np.arange(5)[:, None]
    found = factor.covariance(at)
    exact = Anova((2,), (True,), variances[0]).covariance(
        np.array([[0], [1]]), np.array([[0], [1]])
    )
    assert found[0] == pytest.approx(exact[0])
    assert found[3] == pytest.approx(exact[1])  # beyond the end
    assert found[4] == pytest.approx(exact[0])
    assert found[1] == pytest.approx(exact[0] * 2 / 3 + exact[1] / 3)


def test_on_an_axis_too_long_for_a_table_the_nearest_level_counts() -> None:
    target = Grid([Axis("size", [0, 7, 500.4, 5000])])
    variances, points = np.array([0.3, 0.2, 0.5]), np.array([[0], [499], [999]])
    bridge = Bridge(target, Grid([Axis("size", range(1000))]))
    (factor,) = bridge.factors([variances], points)
    exact = Anova((1000,), (True,), variances)
    at, near = np.arange(4)[:, None], np.array([[0], [7], [500], [999]])
    assert factor.covariance(at) == pytest.approx(exact.covariance(near, points))
    assert factor.variance(at) == pytest.approx(exact.variance(near))
    lacking = Grid([Axis.choice("size", ["7", "new"])])
    names = Grid([Axis.choice("size", list(map(str, range(300))))])
    (factor,) = Bridge(lacking, names).factors([variances[:1]], points[:1])
    own = Anova((300,), (False,), variances[:1]).covariance(np.array([[7]]), points[:1])
    assert factor.covariance(np.array([[0], [1]])) == pytest.approx(np.array([own[0], [1.0]]))
    assert factor.variance(np.array([[0], [1]]))[1] == 1


def test_levels_of_a_choice_that_the_source_lacks_are_averaged_over() -> None:
    target = Grid([Axis.choice("kind", ["p", "new"])])
    source = Grid([Axis.choice("kind", ["p", "q", "r"])])
    (factor,) = Bridge(target, source).factors([np.array([2.0])], np.array([[0], [1], [2]]))
    found = factor.covariance(np.array([[0], [1]]))
    assert found[1] == pytest.approx(np.ones(3))
    assert found[0, 0] > 2 > found[0, 1]


def test_large_grids_are_searched_without_a_table() -> None:
    axes = [Axis("a", range(1000)), Axis("b", range(1000)), Axis("c", range(1000))]
    grid = Grid(axes)
    small = Grid([Axis("a", range(0, 1000, 20)), Axis("b", range(0, 1000, 20))])
    known = [
        (p, {"y": bowl(v, 700, 200)})
        for p in small.draws(60, random.Random(2))
        for v in [small.params(p)]
    ]
    search = make_search("dsice", grid, GOAL, capacity=4, sources=[(small, known)])
    for point in search.ask(3):
        assert abs(point[0] - 700) < 150
        assert abs(point[1] - 200) < 150


def test_bounds_of_now_are_asked_of_the_sources_raw_metrics() -> None:
    grid = square()
    known: Results = [
        (p, {"y": bowl(grid.params(p)), "size": float(p[0])})
        for p, _ in results(grid, bowl, count=80)
    ]
    goal = Goal(minimize="y", subject_to=["size <= 8"])
    search = make_search("dsice", grid, goal, capacity=10, sources=[(grid, known)])
    asked = search.ask(10)
    assert sum(p[0] <= 9 for p in asked) >= 8
    free = make_search("dsice", grid, GOAL, capacity=10, sources=[(grid, known)])
    assert sum(p[0] <= 9 for p in free.ask(10)) <= 2


def test_failures_are_avoided_that_the_source_knows() -> None:
    grid = square()
    known: Results = [
        (p, None if p[1] < 6 else {"y": bowl(grid.params(p))})
        for p, _ in results(grid, bowl, count=100)
    ]
    search = make_search("dsice", grid, GOAL, capacity=10, sources=[(grid, known)])
    assert sum(p[1] < 6 for p in search.ask(10)) <= 3


def test_a_result_without_metrics_is_a_failure() -> None:
    grid = square()
    known = results(grid, bowl)
    short: list[Any] = [*known, ((0, 0),), ((0, 1), None)]
    long: list[Any] = [*known, ((0, 0), None), ((0, 1), {})]
    assert proposals([(grid, short)]) == proposals([(grid, long)])


def test_several_sources_recommend_in_turn() -> None:
    here = (square(), results(square(), bowl), "here")
    there = (square(), results(square(), lambda p: bowl(p, 2, 13)), "there")
    grid = square()
    search = make_search("dsice", grid, GOAL, capacity=8, sources=[here, there])
    asked = search.ask(8)
    near_here = sum(distance(p, 12, 3) < distance(p, 2, 13) for p in asked)
    assert near_here == 4


def test_a_recommendation_is_explained() -> None:
    grid = square()
    search = make_search("dsice", grid, GOAL, capacity=4, sources=[(grid, results(grid, bowl))])
    (point,) = search.ask(1)
    why = search.why(point)
    assert why is not None
    assert why.role is Role.SOURCE
    assert why.advice is not None
    assert (why.advice.source, why.advice.rank) == ("source 1", 1)
    estimate = why.advice.estimate
    assert estimate.low <= estimate.mean <= estimate.high
    assert estimate.mean == pytest.approx(bowl(grid.params(point)), abs=8)
    assert Why.from_json(why.as_json()) == why


def test_most_first_points_are_the_best_that_the_source_has_measured() -> None:
    grid, source = square(), square(low=5, high=20)
    known = results(source, bowl)
    measured = [
        (found["y"], (point[0] + 5, point[1]))
        for point, found in known
        if found is not None and point[0] <= 10  # others are beyond the grid
    ]
    search = make_search("dsice", grid, GOAL, capacity=12, sources=[(source, known)])
    asked = search.ask(12)
    whys = {point: why for point in asked if (why := search.why(point)) is not None}
    by_rank = {w.advice.rank: p for p, w in whys.items() if w.advice and w.advice.measured}
    assert len(by_rank) == 8
    costs = [bowl(grid.params(point)) for _, point in sorted(by_rank.items())]
    assert costs == sorted(costs)
    assert {grid.point({"a": a, "b": b}) for cost, (a, b) in measured if cost < costs[-1]} <= set(
        asked
    )
    assert all(Why.from_json(why.as_json()) == why for why in whys.values())


def test_points_of_a_source_have_the_values_of_points_of_the_target() -> None:
    target = Grid(
        [Axis("size", [8, 16, 24]), Axis.choice("mode", ["x", "y"]), Axis("new", range(5))],
        lambda params: params["size"] < 24 or params["mode"] == "y",
    )
    source = Grid(
        [Axis.choice("mode", ["z", "y", "x"]), Axis("size", [8, 16, 24, 32]), Axis("old", [1, 2])]
    )
    bridge = Bridge(target, source)
    assert bridge.point((1, 2, 1)) == (2, 1, 2)
    assert bridge.point((2, 0, 0)) == (0, 0, 2)
    assert bridge.point((0, 0, 0)) is None  # there is no mode z
    assert bridge.point((1, 3, 0)) is None  # 32 is nearer to itself than to 24
    assert bridge.point((2, 2, 0)) is None  # excluded by the rule
    between = Bridge(Grid([Axis("size", [8, 17, 20])]), Grid([Axis("size", [8, 16, 32])]))
    assert [between.point((k,)) for k in range(3)] == [(0,), (1,), None]


def test_a_maximised_objective_is_estimated_with_its_sign() -> None:
    grid = square()
    known: Results = [(p, {"y": 100 - bowl(grid.params(p))}) for p, _ in results(grid, bowl)]
    search = make_search("dsice", grid, Goal(maximize="y"), sources=[(grid, known)])
    (point,) = search.ask(1)
    why = search.why(point)
    assert why is not None
    assert why.advice is not None
    estimate = why.advice.estimate
    assert estimate.mean > 90
    assert estimate.low <= estimate.mean <= estimate.high


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ((square(),), "a pair"),
        (("grid", []), "a pair"),
        ((square(), [(1, 2, 3)]), "no pair of a point"),
        ((square(), [((99, 0), {"y": 1.0})]), r"source 1: \(99, 0\) is no point"),
        ((square(), [((1, 0), 5.0)]), "no metrics by name"),
    ],
)
def test_what_is_no_source_is_refused(source: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        make_search("dsice", square(), GOAL, sources=[source])
