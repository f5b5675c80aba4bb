"""Searches for which measurements are to be worth their time."""

import json
import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.base import Search
from dsice.search.duration import LEAST, Duration
from dsice.search.why import Why
from dsice.swept import Swept

GRID = Grid([Axis("x", range(9)), Axis("y", range(9)), Axis("steps", range(6))])
GOAL = Goal(minimize="cost")


def cost(point: Point) -> dict[str, float]:
    x, y, _ = point
    return {"cost": (x - 6.0) ** 2 + (y - 2.0) ** 2}


def seconds(point: Point) -> float:
    return float(2.0 ** point[2])


def search(*, durations: bool, seed: int = 0) -> Search:
    return make_search("dsice", GRID, GOAL, seed=seed, capacity=3, durations=durations)


def run(
    made: Search, count: int, took: Callable[[Point], float | None] = seconds
) -> list[tuple[str, Point]]:
    """Keep three workers busy; the calls, in their order."""
    draw = random.Random(1)
    running: list[Point] = []
    calls: list[tuple[str, Point]] = []
    for _ in range(count):
        for point in made.ask(3 - len(running)):
            running.append(point)
            calls.append(("ask", point))
        point = running.pop(draw.randrange(len(running)))
        made.tell(point, cost(point), seconds=took(point))
        calls.append(("tell", point))
    return calls


def asked(calls: list[tuple[str, Point]]) -> list[Point]:
    return [point for call, point in calls if call == "ask"]


def test_of_equally_good_measurements_quick_ones_are_preferred() -> None:
    """Over four seeds: what one of them visits is luck."""
    spent = {False: 0.0, True: 0.0}
    for seed in range(4):
        for durations in spent:
            points = asked(run(search(durations=durations, seed=seed), 40))
            spent[durations] += sum(map(seconds, points[10:]))
            assert min(cost(point)["cost"] for point in points) == 0
    assert spent[True] < spent[False] / 2


def test_without_known_durations_nothing_changes() -> None:
    plain = run(search(durations=False), 25)
    assert run(search(durations=True), 25, took=lambda point: None) == plain
    assert run(search(durations=False), 25, took=seconds) == plain


def test_equal_durations_change_nothing() -> None:
    """All measurements take as long: only the gains count."""
    plain = run(search(durations=False), 25)
    assert run(search(durations=True), 25, took=lambda point: 17.0) == plain


def test_replayed_calls_restore_the_search() -> None:
    first = search(durations=True)
    calls = run(first, 30)
    again = search(durations=True)
    for call, point in calls:
        if call == "ask":
            again.pend(point)
        else:
            again.tell(point, cost(point), seconds=seconds(point))
    assert again.ask(5) == first.ask(5)


def test_the_unit_of_time_does_not_matter() -> None:
    hours = run(search(durations=True), 25, took=lambda point: seconds(point) / 4096)
    assert hours == run(search(durations=True), 25)


def test_some_durations_may_be_unknown_and_measurements_fail() -> None:
    made = search(durations=True)
    draw = random.Random(2)
    for k in range(30):
        (point,) = made.ask()
        failed = draw.random() < 0.3
        took = seconds(point) if k % 3 else None
        made.tell(point, None if failed else cost(point), seconds=took)
    assert len(made.history) == 30


@pytest.mark.parametrize(
    "goal",
    [
        Goal(minimize="cost", subject_to=["steps >= 2"]),
        Goal(minimize=["cost", "steps"]),
        Goal(minimize="cost").over(Swept("steps", "<=", 1.0, 4.0)),
    ],
    ids=str,
)
def test_goals_of_all_kinds(goal: Goal) -> None:
    """Bounds and fronts: what is not quick is still found where only it is wanted."""
    made = make_search("dsice", GRID, goal, durations=True)
    for _ in range(45):
        (point,) = made.ask()
        metrics = cost(point) | {"steps": float(point[2])}
        made.tell(point, metrics, seconds=seconds(point))
    best = made.ledger.incumbent
    assert best is not None
    found = made.history.metrics(best)
    assert found is not None
    assert goal.feasible(found)
    assert found["cost"] <= 1


def test_what_is_proposed_has_the_largest_score() -> None:
    made = search(durations=True)
    run(made, 30)
    forecasts = made.forecast(unknown := [p for p in GRID if not made.is_known(p)])
    assert forecasts is not None
    scores = [forecast.score for forecast in forecasts]
    (point,) = made.ask()
    why = made.why(point)
    assert why is not None
    assert why.forecast is not None
    assert why.forecast.score == pytest.approx(max(scores), abs=1e-6)
    assert scores[unknown.index(point)] == pytest.approx(max(scores), abs=1e-6)
    assert why.forecast.seconds == pytest.approx(seconds(point), rel=0.5)
    assert Why.from_json(json.loads(json.dumps(why.as_json()))) == why
    gains = [forecast.gain for forecast in forecasts]
    assert why.forecast.gain == pytest.approx(gains[unknown.index(point)], rel=1e-5)


@pytest.mark.parametrize("spread", [0.2, 1.5])
def test_the_factor_is_one_over_the_expected_seconds(spread: float) -> None:
    """Against the mean over a normal distribution of the logarithm, by quadrature."""
    random_ = np.random.default_rng(0)
    known = np.exp(3 + spread * random_.normal(size=LEAST + 20))
    duration = Duration()
    targets = duration._transformed(known)
    logs = np.log(known)
    assert targets * logs.std() + logs.mean() == pytest.approx(logs)
    mean, std = np.array([-0.7, 0.3, 2.0]), np.array([0.1, 0.8, 0.5])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    at = (mean[:, None] + std[:, None] * nodes) * logs.std() + logs.mean()
    expected = np.exp(at) @ weights / math.sqrt(2 * math.pi)
    relative = expected / math.exp(logs.mean())
    log_factors = duration._log_factor(mean, std)
    assert np.exp(log_factors) == pytest.approx(1 / relative)
    assert duration.seconds(log_factors) == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_impossible_durations_are_refused(wrong: float) -> None:
    made = search(durations=True)
    with pytest.raises(InvalidInput, match="seconds"):
        made.tell((0, 0, 0), {"cost": 1.0}, seconds=wrong)
    assert not len(made.history)


def test_the_option_is_true_or_false() -> None:
    with pytest.raises(InvalidInput, match="durations = 'yes'"):
        make_search("dsice", GRID, GOAL, durations="yes")
