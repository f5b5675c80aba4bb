"""Why points are proposed: roles, lines, and what is expected."""

import json
import random
from collections import Counter

import numpy as np
import pytest

from dsice.goal import Goal, Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search import SEARCHES, make_search
from dsice.search.base import Search
from dsice.search.targets import of_bound, of_costs, to_costs, to_values
from dsice.search.why import Forecast, Role, Why

COST = Goal(minimize="y")
BOUNDED = Goal(minimize="y", subject_to=["z <= 20", "w >= -3"])
LARGE = Grid([Axis(f"x{k}", range(12)) for k in range(3)] + [Axis.choice("c", ["p", "q", "r"])])
SMALL = Grid([Axis("a", range(9)), Axis("b", range(9)), Axis.choice("c", ["p", "q", "r"])])


def measure(point: Point) -> Metrics | None:
    if sum(point) % 13 == 12:
        return None
    y = sum((k + 1) * (x - 4.3) ** 2 for k, x in enumerate(point)) + point[0] * point[1] / 3
    return {"y": y, "z": float(sum(point)), "w": float(point[0] - point[1])}


def run(search: Search, budget: int, workers: int = 3) -> list[tuple[Point, Why]]:
    """All proposals with their reasons, each checked against what was known then."""
    draw = random.Random(0)
    running: list[Point] = []
    found: list[tuple[Point, Why]] = []
    while len(found) < budget:
        known, best = set(search.history), search.history.best()
        points = search.ask(min(workers - len(running), budget - len(found)))
        for k, point in enumerate(points):
            why = search.why(point)
            assert why is not None
            assert (why.known, why.pending, why.best) == (len(known), len(running) + k, best)
            assert (why.role is Role.REPEAT) == (point in known)
            found.append((point, why))
        running += points
        if not running:
            break
        point = running.pop(draw.randrange(len(running)))
        search.tell(point, measure(point))
    return found


def steps_apart(grid: Grid, point: Point, why: Why) -> None:
    """The point is on the line that it is said to be on, in the manner of its role."""
    assert why.line is not None
    through, direction = why.line
    ordered = [k for k, step in enumerate(direction) if step and grid.axes[k].ordered]
    fixed = [k for k, step in enumerate(direction) if not step]
    assert all(point[k] == through[k] for k in fixed)
    reach = max(grid.shape)
    assert any(
        all(point[k] == round(through[k] + t * direction[k]) for k in ordered)
        for t in range(-reach, reach + 1)
    )
    changes = len(direction) - len(fixed)
    assert max(map(abs, direction)) == 1
    if why.role is Role.AXIS:
        assert changes == 1
    if why.role is Role.OBLIQUE:
        assert changes >= 2
        assert set(map(abs, direction)) <= {0, 1}


@pytest.mark.parametrize("goal", [COST, BOUNDED], ids=["free", "bounded"])
@pytest.mark.parametrize("grid", [LARGE, SMALL], ids=["large", "small"])
def test_every_proposal_of_the_default_search_has_a_role_that_is_right(
    grid: Grid, goal: Goal
) -> None:
    search = make_search("dsice", grid, goal, seed=2, capacity=3, repeats=1)
    found = run(search, 110)
    roles = Counter(why.role for _, why in found)
    for point, why in found:
        if why.role in (Role.AXIS, Role.OBLIQUE, Role.LEARNED):
            steps_apart(grid, point, why)
            assert why.forecast is not None
        else:
            assert why.line is None
            assert (why.forecast is not None) == (why.role in (Role.FAR, Role.GRID))
        if why.forecast is not None:
            nothing_feasible = not any(
                metrics is not None and goal.feasible(metrics)
                for p, _ in found[: why.known]
                if (metrics := measure(p)) is not None
            )
            assert why.forecast.quantity in ("y", "violation")
            if nothing_feasible and goal is BOUNDED:
                assert len(why.forecast.bounds) in (0, 2)
    assert roles[Role.START] >= 5
    assert {Role.AXIS, Role.LEARNED, Role.REPEAT} <= roles.keys()
    assert (Role.FAR if grid is SMALL else Role.GRID) not in roles


def test_points_from_elsewhere_are_told_as_such() -> None:
    """Where all is flat, lines promise no more than other points."""
    search = make_search("dsice", Grid([Axis(f"x{k}", range(20)) for k in range(3)]), COST)
    far = []
    for _ in range(70):
        (point,) = search.ask()
        why = search.why(point)
        assert why is not None
        if why.role is Role.FAR:
            far.append(why)
        search.tell(point, {"y": 0.0})
    assert far
    assert all(why.line is None and why.forecast is not None for why in far)


@pytest.mark.parametrize("name", [name for name in SEARCHES if name.startswith("dsice-")])
def test_published_forms_name_the_line_that_they_explore(name: str) -> None:
    found = run(make_search(name, SMALL, COST), 60)
    roles = Counter(why.role for _, why in found)
    assert found[0][1].role is Role.START
    assert roles[Role.START] == 1
    assert roles[Role.COLLINEAR] > 0
    assert (roles[Role.AXIS] > 0) == (name != "dsice-2024")
    for point, why in found[1:]:
        assert why.line is not None
        through, direction = why.line
        steps = {(a - b) / d for a, b, d in zip(point, through, direction, strict=True) if d}
        assert len(steps) == 1
        assert why.forecast is None


def test_random_points_are_told_as_such_and_strangers_have_no_reason() -> None:
    search = make_search("random", SMALL, COST)
    assert {why.role for _, why in run(search, 20)} == {Role.RANDOM}
    stranger = next(point for point in SMALL if not search.is_known(point))
    search.pend(stranger)
    assert search.why(stranger) is None
    assert search.forecast([stranger]) is None


@pytest.mark.parametrize("goal", [COST, BOUNDED], ids=["free", "bounded"])
def test_the_score_told_is_the_largest_of_all_and_to_ask_changes_nothing(goal: Goal) -> None:
    """On a small grid every point is a candidate: what won must beat all others."""
    asked, silent = (make_search("dsice", SMALL, goal, seed=1) for _ in range(2))
    everywhere = list(SMALL)
    for number in range(40):
        free = [point for point in everywhere if not asked.is_known(point)]
        forecasts = asked.forecast(free)
        (point,) = asked.ask()
        assert silent.ask() == [point]
        why = asked.why(point)
        assert why is not None
        assert why == silent.why(point)
        if forecasts is None:
            assert why.forecast is None
            assert number < 8
        else:
            assert why.forecast is not None
            assert why.forecast.score == pytest.approx(max(f.score for f in forecasts))
            again = forecasts[free.index(point)]
            assert numbers(again) == pytest.approx(numbers(why.forecast), rel=1e-6)
        for search in (asked, silent):
            search.tell(point, measure(point))


def numbers(forecast: Forecast) -> list[float]:
    estimates = [forecast.estimate, *(bound.estimate for bound in forecast.bounds)]
    ends = [value for each in estimates for value in (each.mean, each.low, each.high)]
    return [*ends, forecast.chance, *(bound.probability for bound in forecast.bounds)]


def test_expectations_are_in_the_units_of_the_metrics() -> None:
    """Where much is known, what is expected is near what is there, for either sense."""
    goals = {
        1: Goal(minimize="y", subject_to=["z <= 16"]),
        -1: Goal(maximize="y", subject_to=["z >= -16"]),
    }
    for sign, goal in goals.items():
        search = make_search("dsice", SMALL, goal, seed=0)

        def smooth(point: Point, sign: int = sign) -> Metrics:
            a, b, c = point
            y = 100 + (a - 5) ** 2 + (b - 2) ** 2 + 3 * c
            return {"y": float(sign * y), "z": float(sign * (2 * a + b))}

        for point in random.Random(0).sample(list(SMALL), 120):
            search.tell(point, smooth(point))
        search.ask()
        free = [point for point in SMALL if not search.is_known(point)]
        forecasts = search.forecast(free)
        assert forecasts is not None
        errors = []
        for point, forecast in zip(free, forecasts, strict=True):
            true = smooth(point)
            assert forecast.quantity == "y"
            estimate, (bound,) = forecast.estimate, forecast.bounds
            assert estimate.low <= estimate.mean <= estimate.high
            assert 0 <= forecast.chance_in_all <= forecast.chance <= 1
            if sign * true["y"] < 115:  # of the worse ones, ranks tell less
                errors.append(abs(estimate.mean - true["y"]))
            assert bound.estimate.low <= bound.estimate.mean <= bound.estimate.high
            assert bound.estimate.mean == pytest.approx(true["z"], abs=1.5)
            if bound.probability > 0.9:
                assert sign * true["z"] <= 16
        assert np.median(errors) < 1  # of 15


def test_reasons_survive_the_way_through_a_journal() -> None:
    for name in SEARCHES:
        for _, why in run(make_search(name, LARGE, BOUNDED, seed=4, capacity=3), 40):
            assert Why.from_json(json.loads(json.dumps(why.as_json(), allow_nan=False))) == why


def test_targets_can_be_turned_back() -> None:
    draw = np.random.default_rng(0)
    costs = np.exp(draw.normal(size=50) * 3)
    targets = of_costs(costs)
    assert to_costs(targets, targets, costs) == pytest.approx(costs)
    beyond = np.linspace(targets.min() - 2, targets.max() + 2, 200)
    assert (np.diff(to_costs(beyond, targets, costs)) > 0).all()
    values = draw.normal(size=50) * 7 + 3
    assert to_values(of_bound(values, 2.0), values, 2.0) == pytest.approx(values)
    for extreme in (1e300, -1e300):
        for found in (
            to_costs(np.array([-9.0, 0.0, 9.0]), of_costs(costs * extreme), costs * extreme),
            to_values(np.array([-900.0, 0.0, 900.0]), values * extreme, 2.0),
        ):
            assert np.isfinite(found).all()
    same = np.full(7, 3.0)
    assert (to_costs(np.array([-1.0, 0.0, 1.0]), of_costs(same), same) == 3.0).all()


@pytest.mark.parametrize("goal", [COST, BOUNDED])
def test_a_search_that_was_only_told_results_forecasts_what_one_that_asked_does(
    goal: Goal,
) -> None:
    draw = random.Random(1)
    known = [tuple(draw.randrange(n) for n in LARGE.shape) for _ in range(100)]
    told, asked = (make_search("dsice", LARGE, goal, seed=5) for _ in range(2))
    for point in known:
        told.tell(point, measure(point))
        asked.tell(point, measure(point))
    found = told.forecast([(1, 2, 3, 0)])
    assert found is not None
    (proposed,) = asked.ask(1)
    why = asked.why(proposed)
    assert why is not None
    assert why.forecast is not None
    (forecast,) = told.forecast([proposed]) or []
    # To rounding: products with one column and with many differ in it on some processors.
    assert numbers(forecast) == pytest.approx(numbers(why.forecast), rel=1e-9)
    assert forecast.score == pytest.approx(why.forecast.score, rel=1e-9)
    assert told.ask(1) == [proposed]  # the questions changed nothing
