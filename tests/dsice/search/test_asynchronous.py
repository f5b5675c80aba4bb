"""What the default search adds to the promises that all searches share (test_conformance.py)."""

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search import epoch, make_search, model
from dsice.search.base import Search

COST = Goal(minimize="y")


def grid_of(*shape: int, allowed: Any = None, choices: tuple[int, ...] = ()) -> Grid:
    axes = [Axis(f"x{k}", range(n), ordered=k not in choices) for k, n in enumerate(shape)]
    return Grid(axes, allowed)


def run(search: Search, measure: Any, workers: int, budget: int, order: int = 0) -> list[Point]:
    """Keep the workers busy; the points in the order of asking. Results come in random order."""
    draw = random.Random(order)
    asked: list[Point] = []
    running: list[Point] = []
    while len(asked) < budget or running:
        points = search.ask(min(workers - len(running), budget - len(asked)))
        asked += points
        running += points
        if not running:
            break
        point = running.pop(draw.randrange(len(running)))
        search.tell(point, measure(point))
    return asked


def bowl(*best: int) -> Any:
    return lambda point: {"y": float(sum((a - b) ** 2 for a, b in zip(point, best, strict=True)))}


@st.composite
def spaces(draw: Any) -> tuple[Grid, int]:
    axes = draw(st.integers(1, 5))
    shape = draw(st.lists(st.integers(2, 25), min_size=axes, max_size=axes))
    choices = draw(st.sets(st.integers(0, axes - 1)))
    rule = draw(st.sampled_from([None, "x0 % 2 == 0", "(x0 + 3 * x{last}) % 5 < 3"]))
    rule = rule and rule.format(last=axes - 1)
    return grid_of(*shape, allowed=rule, choices=tuple(choices)), draw(st.integers(0, 10**6))


@pytest.fixture
def few_candidates() -> Iterator[None]:
    """Proposals in a third of the time: what must hold does not depend on how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"POOL": 75, "CENTRES": 2, "OBLIQUE": 5, "FITTED": 50}.items():
            patch.setattr(model if name == "FITTED" else epoch, name, value)
        yield


@pytest.mark.usefixtures("few_candidates")
@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(spaces())
def test_no_slot_is_ever_idle_and_no_point_repeated(space: tuple[Grid, int]) -> None:
    grid, seed = space
    weights = np.random.default_rng(seed).normal(size=len(grid.shape))

    def measure(point: Point) -> Metrics | None:
        if hash((point, seed)) % 10 == 0:
            return None
        return {"y": float(np.sin(weights * point).sum())}

    search = make_search("dsice", grid, COST, seed=seed, capacity=40)
    draw = random.Random(seed)
    running = search.ask(40)
    seen = set(running)
    asked = len(running)
    left = sum(1 for _ in grid) if grid.size < 5000 else math.inf
    assert asked == min(40, left)
    budget = 545 if left < 545 else 120  # small grids are measured to their end
    while asked < budget and running:
        point = running.pop(draw.randrange(len(running)))
        search.tell(point, measure(point))
        points = search.ask(1)
        assert len(points) == min(1, left - asked)
        assert seen.isdisjoint(points)
        assert all(map(grid.allows, points))
        seen.update(points)
        running += points
        asked += len(points)


@pytest.mark.parametrize("workers", [1, 7, 40])
def test_a_wave_is_what_single_questions_would_have_given(workers: int) -> None:
    grid, measure = grid_of(9, 9, 9), bowl(2, 5, 7)
    single, wave = (make_search("dsice", grid, COST, capacity=workers) for _ in range(2))
    for search in (single, wave):
        for point in run(search, measure, workers, 30):
            assert point in search.history
    assert [single.ask(1)[0] for _ in range(12)] == wave.ask(12)


@pytest.mark.usefixtures("few_candidates")
@pytest.mark.parametrize("options", [{}, {"repeats": 2, "tolerance": 1e-9}])
@pytest.mark.parametrize("bounds", [[], ["z <= 9"]])
def test_replayed_calls_restore_a_long_run(bounds: list[str], options: dict[str, Any]) -> None:
    """Across many fits of the model, with failures and foreign points on the way."""
    goal = Goal(minimize="y", subject_to=bounds)
    grid = grid_of(12, 9, 9, 5)

    def measure(point: Point) -> Metrics | None:
        if sum(point) % 7 == 0:
            return None
        return {"y": math.cos(point[0]) + (point[1] - 5) ** 2 * 0.1, "z": float(sum(point))}

    original = make_search("dsice", grid, goal, seed=3, capacity=10, **options)
    calls: list[tuple[str, Point, Metrics | None]] = []
    running: list[Point] = []
    draw = random.Random(0)
    for number in range(150):
        for point in original.ask(10 - len(running)):
            calls.append(("pend", point, None))
            running.append(point)
        if number == 70:  # somebody else measures a point of his own
            original.pend((11, 8, 8, 4))
            calls.append(("pend", (11, 8, 8, 4), None))
            running.append((11, 8, 8, 4))
        if not running:  # nothing is to be gained any more
            assert original.finished
            break
        point = running.pop(draw.randrange(len(running)))
        original.tell(point, measure(point))
        calls.append(("tell", point, measure(point)))
    for cut in (40, 173, 250, len(calls) - 1):
        search = make_search("dsice", grid, goal, seed=3, capacity=10, **options)
        for call, point, metrics in calls[:cut]:
            if call == "pend":
                search.pend(point)
            else:
                search.tell(point, metrics)
        for call, point, metrics in calls[cut:]:
            if call == "pend" and point != (11, 8, 8, 4):
                assert search.ask() == [point]
            elif call == "pend":
                search.pend(point)
            else:
                search.tell(point, metrics)
        assert search.pending == original.pending


def test_one_worker_starts_in_the_centre_and_many_spread_out() -> None:
    grid = grid_of(15, 16, 16, 16)
    alone = make_search("dsice", grid, COST)
    assert alone.ask() == [(7, 8, 8, 8)]
    first = make_search("dsice", grid, COST, capacity=40).ask(40)
    assert first[0] == (7, 8, 8, 8)
    for axis, n in enumerate(grid.shape):
        assert len({point[axis] for point in first}) > n / 2


@pytest.mark.parametrize("workers", [1, 40])
def test_it_needs_far_fewer_points_than_chance(workers: int) -> None:
    grid = grid_of(15, 16, 16, 16)
    for seed in range(3):
        search = make_search("dsice", grid, COST, seed=seed, capacity=workers)
        run(search, bowl(3, 11, 9, 5), workers, 60 + 2 * workers)
        assert search.history.best() == (3, 11, 9, 5)


def test_a_curved_valley_is_followed() -> None:
    def measure(point: Point) -> Metrics:
        u, v = point[0] / 10 - 2, point[1] / 10 - 1
        return {"y": 100 * (v - u**2) ** 2 + (1 - u) ** 2}

    found = []
    for seed in range(3):
        search = make_search("dsice", grid_of(41, 41), COST, seed=seed)
        run(search, measure, 1, 120)
        best = search.history.best()
        assert best is not None
        found.append(measure(best)["y"])
    assert max(found) < 0.501  # 17 of 1681 points, along the valley's floor; 0.5 is among them


def test_a_choice_is_learned_without_an_order() -> None:
    values = [5.0, 9.0, 0.0, 8.0, 7.0, 9.0, 6.0, 8.0]

    def measure(point: Point) -> Metrics:
        return {"y": values[point[0]] + abs(point[1] - 14)}

    search = make_search("dsice", grid_of(8, 20, choices=(0,)), COST)
    run(search, measure, 1, 40)
    assert search.history.best() == (2, 14)


def test_failing_regions_are_left_alone() -> None:
    """A quarter of the grid fails, and there the cost seems to be best."""

    def measure(point: Point) -> Metrics | None:
        if point[0] > 14 and point[1] > 9:
            return None
        return {"y": -float(sum(point))}

    search = make_search("dsice", grid_of(20, 20, 5), COST)
    asked = run(search, measure, 1, 120)
    failed = sum(measure(point) is None for point in asked)
    assert failed < 40
    best = search.history.best()
    assert best in ((14, 19, 4), (19, 9, 4))


def test_the_optimum_on_the_boundary_is_found() -> None:
    goal = Goal(minimize="y", subject_to=["z <= 12"])

    def measure(point: Point) -> Metrics:
        return {"y": (point[0] - 15) ** 2 + (point[1] - 12.0) ** 2, "z": float(sum(point))}

    grid = grid_of(20, 20, 4)
    optimum = min(measure(point)["y"] for point in grid if goal.feasible(measure(point)))
    search = make_search("dsice", grid, goal)
    run(search, measure, 1, 80)
    best = search.history.best()
    assert best is not None
    assert measure(best)["y"] == optimum


def test_before_anything_is_feasible_the_violation_is_made_small() -> None:
    """One point in four thousand is feasible, and far from where the cost is small."""
    goal = Goal(minimize="y", subject_to=["z <= 2"])

    def measure(point: Point) -> Metrics:
        z = abs(point[0] - 15) + abs(point[1] - 14) + abs(point[2] - 1)
        return {"y": float(sum(point)), "z": float(z)}

    search = make_search("dsice", grid_of(16, 16, 16), goal)
    run(search, measure, 1, 60)
    best = search.history.best()
    assert best is not None
    assert goal.feasible(measure(best))


def test_the_unit_of_the_cost_does_not_matter() -> None:
    grid, measure = grid_of(9, 9, 9), bowl(2, 5, 7)
    points = [
        run(make_search("dsice", grid, COST), lambda p, s=scale: {"y": s * measure(p)["y"]}, 1, 60)
        for scale in (1.0, 2.0**40, 2.0**-40)
    ]
    assert points[0] == points[1] == points[2]


def test_the_better_half_of_knowledge_from_elsewhere_is_used_at_once() -> None:
    grid, measure = grid_of(15, 16, 16, 16), bowl(3, 11, 9, 5)
    draw = random.Random(0)
    search = make_search("dsice", grid, COST)
    for _ in range(60):
        point = tuple(draw.randrange(n) for n in grid.shape)
        search.tell(point, measure(point))
    run(search, measure, 1, 12)
    assert search.history.best() == (3, 11, 9, 5)


def test_it_stops_when_nothing_is_to_be_gained() -> None:
    search = make_search("dsice", grid_of(15, 16, 16), COST, tolerance=0.01)
    asked = run(search, bowl(3, 11, 9), 1, 545)
    assert len(asked) < 150
    assert search.history.best() == (3, 11, 9)
    assert search.finished
    assert search.reason == "no point is expected to improve the best by more than 0.01"


def test_it_stops_where_only_expensive_points_are_feasible() -> None:
    goal = Goal(minimize="y", subject_to=["z >= 20"])

    def measure(point: Point) -> Metrics:
        return {"y": float(sum(point)), "z": float(sum(point))}

    search = make_search("dsice", grid_of(12, 12), goal, tolerance=0.01)
    asked = run(search, measure, 1, 144)
    assert len(asked) < 120
    best = search.history.best()
    assert best is not None
    assert sum(best) == 20


def test_asking_whether_it_is_finished_changes_nothing() -> None:
    grid, measure = grid_of(9, 9, 9), bowl(2, 5, 7)
    asked: list[list[Point]] = []
    for polled in (False, True):
        search = make_search("dsice", grid, COST, capacity=3, tolerance=0.01)
        running: list[Point] = []
        asked.append([])
        while not search.finished:
            for point in search.ask(3 - len(running)):
                asked[-1].append(point)
                running.append(point)
            point = running.pop(0)
            search.tell(point, measure(point))
            if polled:
                for _ in range(3):
                    assert search.finished == bool(search.reason)
    assert asked[0] == asked[1]


def test_without_a_tolerance_it_goes_on_to_the_last_point() -> None:
    search = make_search("dsice", grid_of(6, 7), COST)
    assert len(run(search, bowl(1, 2), 4, 545)) == 42
    assert search.reason == "every allowed point is measured"


def test_the_best_point_is_measured_again_if_wanted() -> None:
    draw = random.Random(1)

    def measure(point: Point) -> Metrics:
        return {"y": abs(point[0] - 9.0) + abs(point[1] - 4) + draw.gauss(0, 1.5)}

    search = make_search("dsice", grid_of(20, 20), COST, repeats=3)
    asked = run(search, measure, 1, 80)
    while (best := search.history.best()) is not None and search.history.weight(best) < 4:
        assert search.ask() == [best]
        asked.append(best)
        search.tell(best, measure(best))
    counts = {point: asked.count(point) for point in asked}
    assert max(counts.values()) == 4
    assert sum(count > 1 for count in counts.values()) < 20


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ((4,) * 30, None),
        ((10_000,) * 4, None),
        ((10_000,), None),
        ((50, 50, 50, 50), "x0 == x1 and x2 == x3"),
        ((5, 3), "x0 > 3"),
        ((300, 2), "x0 % 100 == 7"),
    ],
    ids=["30 axes", "10,000 levels", "a line", "a thin rule", "three points", "few and far"],
)
@pytest.mark.parametrize("workers", [1, 40])
def test_grids_of_all_kinds(shape: tuple[int, ...], rule: str | None, workers: int) -> None:
    grid = grid_of(*shape, allowed=rule)

    def measure(point: Point) -> Metrics:
        return {"y": float(sum((k / n - 0.3) ** 2 for k, n in zip(point, shape, strict=True)))}

    search = make_search("dsice", grid, COST, capacity=workers)
    asked = run(search, measure, workers, 100)
    left = sum(1 for _ in grid) if grid.size < 10**5 else math.inf
    assert len(asked) == min(100, left)
    assert len(set(asked)) == len(asked)


def test_ten_thousand_known_points_are_no_burden() -> None:
    grid, measure = grid_of(15, 16, 16, 16), bowl(3, 11, 9, 5)
    search = make_search("dsice", grid, COST, capacity=40)
    points = np.random.default_rng(0).permutation(grid.size)[:10_000]
    for point in np.stack(np.unravel_index(points, grid.shape), axis=1).tolist():
        if tuple(point) != (3, 11, 9, 5):
            search.tell(tuple(point), measure(tuple(point)))
    assert (3, 11, 9, 5) in search.ask(40)
