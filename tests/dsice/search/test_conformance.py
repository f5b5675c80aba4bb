"""What every registered search promises."""

import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice import make_search
from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search import DEFAULT_SEARCH, SEARCHES
from dsice.search.base import Search

GOAL = Goal(minimize="y", subject_to=["z <= 0.8"])
Cost = Callable[[Point], Metrics | None]
Call = tuple[str, Point, Metrics | None]

every_search = pytest.mark.parametrize("name", SEARCHES)
# The asynchronous search learns from each result at once: their order is part of its input.
every_round_search = pytest.mark.parametrize("name", [name for name in SEARCHES if name != "dsice"])
bounded = settings(max_examples=25, deadline=None, derandomize=True)
shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple)


def grid_of(*shape: int, allowed: Any = None, ratios: bool = False) -> Grid:
    """A grid; with ratios, only those of its first two axes matter, if it has two."""
    axes = [Axis.integers(f"x{i}", 0, n - 1) for i, n in enumerate(shape)]
    names = ["x0", "x1"] if ratios and len(shape) > 1 else []
    return Grid(axes, allowed, names)


def noise(seed: int, failing: float = 0.2) -> Cost:
    """Costs and bounded metrics drawn for each point, some points failing."""

    def cost(point: Point) -> Metrics | None:
        draw = random.Random(f"{seed} {point}")
        if draw.random() < failing:
            return None
        return {"y": draw.gauss(0, 1) + sum(point), "z": draw.random()}

    return cost


def programs(grid: Grid, points: Iterable[Point]) -> list[Point]:
    return [grid.program(point) for point in points]


def play(
    search: Search, cost: Cost, workers: int = 1, seed: int = 0, budget: int = 10_000
) -> list[Call]:
    """Run a search to its end, results arriving in an order of ``seed``; returns all calls.

    Checks on the way what must hold at any time.
    """
    draw = random.Random(seed)
    calls: list[Call] = []
    running: list[Point] = []
    grid = search.grid
    seen = set(programs(grid, [*search.history, *search.pending]))
    while not search.finished and len(calls) < budget:
        wanted = draw.randint(1, workers)
        points = search.ask(wanted)
        assert len(points) <= wanted
        asked_for = programs(grid, points)
        assert len(set(asked_for)) == len(points)
        assert not seen & set(asked_for)
        assert all(point in grid and grid.allows(point) for point in points)
        seen |= set(asked_for)
        calls += [("ask", point, None) for point in points]
        running += points
        assert running or search.finished, "stalled: nothing is pending and nothing is proposed"
        for _ in range(draw.randint(1, max(1, len(running)))):
            if running:
                point = running.pop(draw.randrange(len(running)))
                search.tell(point, cost(point))
                calls.append(("tell", point, cost(point)))
    assert budget < 10_000 or not running
    return calls


def asked(calls: list[Call]) -> list[Point]:
    return [point for call, point, _ in calls if call == "ask"]


@every_round_search
@bounded
@given(shapes, st.booleans(), st.integers(0, 99), st.integers(1, 12), st.integers(0, 99))
def test_proposals_do_not_depend_on_the_order_of_results_or_the_number_asked(
    name: str, shape: Point, ratios: bool, problem: int, workers: int, order: int
) -> None:
    grid, cost = grid_of(*shape, ratios=ratios), noise(problem)
    one_by_one = play(make_search(name, grid, GOAL, seed=1), cost)
    crowded = play(make_search(name, grid, GOAL, seed=1), cost, workers, order)
    assert asked(crowded) == asked(one_by_one)


@every_search
@bounded
@given(
    shapes,
    st.booleans(),
    st.integers(0, 99),
    st.integers(1, 12),
    st.floats(0, 1),
    st.integers(0, 3),
)
def test_a_run_can_be_resumed_at_any_moment(
    name: str, shape: Point, ratios: bool, problem: int, workers: int, moment: float, known: int
) -> None:
    grid, cost = grid_of(*shape, ratios=ratios), noise(problem)
    prior = random.Random(problem).sample(list(grid), min(known, grid.size))
    interrupted = make_search(name, grid, GOAL, seed=1, capacity=workers)
    for point in prior:
        interrupted.tell(point, cost(point))
    calls = play(interrupted, cost, workers, problem)
    cut = int(moment * len(calls))
    search = make_search(name, grid, GOAL, seed=1, capacity=workers)
    for point in prior:
        search.tell(point, cost(point))
    for call, point, metrics in calls[:cut]:
        if call == "ask":
            search.pend(point)
        else:
            search.tell(point, metrics)
    for call, point, metrics in calls[cut:]:
        if call == "ask":
            assert search.ask() == [point]
        else:
            search.tell(point, metrics)
    assert search.ask() == []
    assert search.reason == interrupted.reason != ""


@every_search
@bounded
@given(
    st.integers(0, 99),
    st.integers(1, 6),
    st.sampled_from(["x0 == x1", "x0 * x1 < 4", "x0 > 9"]),
    st.booleans(),
)
def test_rules_and_knowledge_from_elsewhere(
    name: str, problem: int, workers: int, rule: str, ratios: bool
) -> None:
    grid, cost = grid_of(7, 6, 2, allowed=rule, ratios=ratios), noise(problem)
    everywhere = list(grid_of(7, 6, 2))
    draw = random.Random(problem)
    search = make_search(name, grid, GOAL)
    known, busy = draw.sample(everywhere, 10), draw.sample(everywhere, 5)
    for point in known:
        search.tell(point, cost(point))
    for point in busy:
        search.pend(point)
    named = set(programs(grid, [*known, *busy]))
    running: list[Point] = []
    for _ in range(500):
        points = search.ask(workers)
        assert not named & set(programs(grid, points))
        assert all(map(grid.allows, points))
        running += points
        if not running and busy:
            running = busy
            busy = []
        if not running:
            break
        point = running.pop()
        search.tell(point, cost(point))
    assert search.finished


@every_search
@pytest.mark.parametrize(
    "cost",
    [
        lambda point: None,
        lambda point: {"y": 1.0, "z": 0.0},
        lambda point: {"y": 1.0, "z": 9.0},
        lambda point: {"y": 1e300 * (-1) ** sum(point), "z": -1e300},
        lambda point: {"y": 1e-300 * sum(point), "z": 1e300},
        lambda point: {"y": math.exp(40 * point[0]), "z": 0.0},
    ],
    ids=["all fail", "constant", "all infeasible", "huge", "tiny", "steep"],
)
@pytest.mark.parametrize("shape", [(1,), (2,), (17,), (1, 1), (1, 6, 1), (2, 2, 2, 2), (6, 5)])
def test_strange_problems_come_to_an_end(name: str, cost: Cost, shape: Point) -> None:
    search = make_search(name, grid_of(*shape), GOAL, capacity=3)
    calls = play(search, cost, workers=5)
    assert asked(calls)
    assert search.reason


@pytest.mark.parametrize("name", ["dsice", "random"])
@pytest.mark.parametrize("shape", [(9, 9), (4, 5, 3), (1, 6), (1, 1), (30, 30)])
def test_each_program_is_measured_once_until_none_is_left(name: str, shape: Point) -> None:
    grid, cost = grid_of(*shape, ratios=True), noise(3)
    search = make_search(name, grid, GOAL, capacity=4)
    for point in random.Random(0).sample(list(grid), 700 if grid.size > 700 else 1):
        search.tell(point, cost(point))
    known = set(programs(grid, search.history))
    calls = play(search, cost, workers=4)
    assert known.isdisjoint(programs(grid, asked(calls)))
    assert known.union(programs(grid, asked(calls))) == set(programs(grid, grid))
    assert search.reason == "every allowed point is measured"


@every_search
def test_a_result_is_true_for_all_points_of_its_program(name: str) -> None:
    search = make_search(name, grid_of(7, 7, ratios=True), GOAL)
    search.tell((1, 2), {"y": 1.0, "z": 0.0})
    search.pend((3, 3))
    search.tell((2, 4), {"y": 3.0, "z": 0.0})
    search.tell((5, 5), {"y": 9.0, "z": 0.0})
    assert not search.pending
    assert search.history.metrics((3, 6)) == {"y": 2.0, "z": 0.0}
    assert search.history.best() == (1, 2)
    assert list(search.history) == [(1, 2), (3, 3)]
    assert search.is_known((6, 6))
    assert not search.is_known((0, 0))


@every_search
def test_more_are_asked_than_there_are(name: str) -> None:
    search = make_search(name, grid_of(2, 2), GOAL)
    points = search.ask(40)
    assert 1 <= len(points) <= 4
    assert search.ask(0) == []


@every_search
def test_a_repeat_and_a_late_result_are_welcome(name: str) -> None:
    search = make_search(name, grid_of(7, 7), GOAL)
    first = search.ask(3)
    for point in [*first, first[0], (6, 6)]:
        search.tell(point, {"y": 1.0, "z": 0.0})
    search.pend(first[0])
    assert first[0] not in search.ask(40)
    search.tell(first[0], None)
    assert search.history.weight(first[0]) == 2


@every_search
def test_a_point_that_is_skipped_is_never_handed_out(name: str) -> None:
    search = make_search(name, grid_of(6, 7), Goal(minimize="y"))
    skipped: list[Point] = [(0, 0), (3, 3), (5, 6)]
    asked: list[Point] = []
    for point in skipped:
        search.skip(point)
    while points := search.ask(3):
        for point in points:
            search.tell(point, {"y": float(sum(point))})
        asked += points
    assert search.finished
    assert not {*skipped} & {*asked}
    search.skip(asked[0])  # what was measured there still counts
    assert search.history.metrics(asked[0]) == {"y": float(sum(asked[0]))}


def test_nothing_is_learned_of_a_point_that_is_skipped() -> None:
    def told() -> Search:
        search = make_search("dsice", grid_of(9, 9), Goal(minimize="y"))
        for point in [(0, 0), (4, 4), (8, 8), (0, 8), (8, 0), (2, 6)]:
            search.pend(point)
            search.tell(point, {"y": float(point[0] ** 2 + point[1])})
        return search

    plain, skipping = told(), told()
    (leader,) = plain.ask(1)
    skipping.skip(leader)
    assert skipping.ask(1) != [leader]
    unchanged = told()
    before = unchanged.forecast([(1, 1), (6, 2)])
    unchanged.skip((1, 5))
    assert unchanged.forecast([(1, 1), (6, 2)]) == before
    assert not unchanged.pending


@every_search
def test_wrong_calls_are_refused_and_change_nothing(name: str) -> None:
    search = make_search(name, grid_of(7, 7), GOAL)
    (point,) = search.ask()
    wrong: list[Any] = [(7, 0), (-1, 0), (0,), [0, 0], (0.5, 0), "00", None]
    for other in wrong:
        with pytest.raises(InvalidInput):
            search.tell(other, None)
        with pytest.raises(InvalidInput):
            search.pend(other)
    bad: list[Any] = [{}, {"y": 1.0}, {"y": 1.0, "z": math.nan}, {"y": "low", "z": 0.0}]
    for metrics in bad:
        with pytest.raises(InvalidInput):
            search.tell(point, metrics)
    with pytest.raises(InvalidInput, match="count"):
        search.ask(-1)
    assert search.pending == {point}
    assert len(search.history) == 0


@every_search
@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1.5}, {"capacity": 0}, {"colour": 1}])
def test_arguments_are_checked(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        make_search(name, grid_of(3), GOAL, **wrong)


@every_search
def test_bounds_must_be_settled(name: str) -> None:
    goal = Goal(minimize="y", subject_to=["z <= 2 * stage.build.size"])
    with pytest.raises(InvalidInput, match="settled"):
        make_search(name, grid_of(3), goal)
    make_search(name, grid_of(3), goal.settled({"build": {"size": 1.0}}))


def test_names() -> None:
    assert DEFAULT_SEARCH in SEARCHES
    with pytest.raises(InvalidInput, match="dsice-2018"):
        make_search("dsice-1999", grid_of(3), GOAL)


def test_importing_the_registry_loads_no_numerical_library() -> None:
    program = "import sys, dsice.search; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"numpy", "scipy"} & set(loaded)
