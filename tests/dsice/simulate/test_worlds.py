"""Worlds: the same whatever is asked first, and true to what they come from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.gp.posterior import Posterior
from dsice.grid import Axis, Grid, Point
from dsice.simulate.fitted import Fitted, Quantity
from dsice.simulate.path import Fit, Path
from dsice.simulate.world import Lasting, Result, Tabulated, Timed, Worlds

GRID = Grid(
    [
        Axis.integers("a", 0, 11),
        Axis.choice("b", ["x", "y", "z"]),
        Axis.linear("c", 0, 1, levels=400),
    ]
)
GOAL = Goal(minimize="y", subject_to=["z <= 6"])
Array = NDArray[np.float64]


def results(count: int, failing: bool = False) -> list[tuple[Point, Result]]:
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        point = tuple(int(chance.integers(n)) for n in GRID.shape)
        a, b, c = point
        y = (a - 7) ** 2 + 3 * b + (c / 100 - 2) ** 2
        done = not (failing and a >= 9)
        metrics = {"y": float(y), "z": a / 2 + b} if done else None
        found.append((point, Result(metrics, 100.0 + 10 * a + float(chance.normal()))))
    return found


def points(*some: Point) -> NDArray[np.intp]:
    return np.array(some, dtype=np.intp)


@pytest.mark.parametrize(("levels", "draws"), [(20, 800), (400, 100)])  # a long axis is thinned
def test_drawn_functions_have_the_mean_and_covariance_of_the_posterior(
    levels: int, draws: int
) -> None:
    chance = np.random.default_rng(1)
    grid = Grid([*GRID.axes[:2], Axis.linear("c", 0, 1, levels=levels)])
    measured = np.array([[chance.integers(n) for n in grid.shape] for _ in range(12)])
    fit = Fit.of(grid, measured, chance.normal(size=12))
    half, last = levels // 2 + 3, levels - 1
    asked = points((0, 0, 0), (5, 1, half), (6, 1, half), (11, 2, last), tuple(measured[0]))
    drawn = np.array([Path(fit, np.random.default_rng([7, k]))(asked) for k in range(draws)])
    # The same model, computed another way.
    field = Posterior(fit.covariance, fit.noise, measured, np.ones(12), 1)
    mean, std = [], []
    for point in asked:
        field.fill(np.array([0]), point[None])
        mean.append(float(field.mean(field.whiten(fit.values), np.array([0]))[0]))
        std.append(fit.scale * float(field.variance(np.array([0]))[0]) ** 0.5)
    error = np.array(std) / draws**0.5
    assert np.all(np.abs(drawn.mean(axis=0) - fit.centre - mean) < 4 * error)
    assert drawn.std(axis=0) == pytest.approx(std, rel=4 / (2 * draws) ** 0.5)
    exact = fit.covariance.covariance(asked, asked)
    across = fit.covariance.covariance(asked, measured)
    exact -= across @ fit.inverse @ across.T
    assert np.corrcoef(drawn.T)[1, 2] == pytest.approx(
        exact[1, 2] / (exact[1, 1] * exact[2, 2]) ** 0.5, abs=2 / draws**0.5
    )


def test_what_a_fit_explains_is_what_leaving_out_shows() -> None:
    found = results(30)
    where = points(*(point for point, _ in found))
    values = np.array([r.metrics["y"] for _, r in found if r.metrics], dtype=float) / 20
    fit = Fit.of(GRID, where, values)
    missed, alone = [], []
    for k in range(30):
        rest = np.arange(30) != k
        y = values[rest] - values.mean()  # the centre is that of all
        matrix = fit.covariance.covariance(where[rest], where[rest]) + fit.noise * np.eye(29)
        across = fit.covariance.covariance(where[k : k + 1], where[rest])
        predicted = float((across @ np.linalg.solve(matrix, y))[0])
        missed.append(values[k] - values.mean() - predicted)
        alone.append(values[k] - values[rest].mean())
    share = 1 - np.square(missed).sum() / np.square(alone).sum()
    assert fit.explained == pytest.approx(share)
    assert fit.explained > 0.5
    nothing = Fit.of(GRID, where, np.random.default_rng(3).normal(size=30))
    assert nothing.explained < 0.3


@pytest.mark.parametrize(("sign", "limit"), [(1.0, None), (-1.0, None), (1.0, 2.5)])
def test_a_quantity_turns_targets_back(sign: float, limit: float | None) -> None:
    values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    where = points(*(point for point, _ in results(7)))
    found = Quantity.of(GRID, where, values, sign=sign, limit=limit)
    assert found.back(found.targets) == pytest.approx(values)
    beyond = found.back(np.array([found.targets.min() - 1, found.targets.max() + 1]))
    assert sorted(beyond)[0] < 1
    assert sorted(beyond)[1] > 9


SOURCES: dict[str, Worlds] = {
    "fitted": Fitted.of(GRID, GOAL, results(40, failing=True)),
    "stated": Fitted.of(GRID, GOAL, results(40), Lasting(50.0, 0.4)),
    "timed": Timed(Lasting(50.0, 0.4)),
    "table": Tabulated(
        GRID, {p: [Result({"y": k}, 1.0 + k) for k in range(3)] for p in list(GRID)[:20]}
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_world_does_not_depend_on_what_is_asked_first(source: str) -> None:
    asked = list(GRID)[:20]
    one, other = SOURCES[source].world(4), SOURCES[source].world(4)
    forward = {point: one.measure(point) for point in asked}
    backward = {point: other.measure(point) for point in reversed(asked)}
    assert forward == backward
    another = SOURCES[source].world(5)
    assert forward != {point: another.measure(point) for point in asked}
    again = [one.measure(point) for point in asked]
    assert again != list(forward.values())


def test_a_complete_table_gives_its_values() -> None:
    rows = {p: [Result({"y": float(sum(p))}, 1.0 + p[0])] for p in GRID}
    world = Tabulated(GRID, rows).world(0)
    for point in list(GRID)[::97]:
        assert world.measure(point) == rows[point][0]
    longer = Tabulated(GRID, rows, Lasting(9.0)).world(0)
    assert longer.measure((0, 0, 0)) == Result({"y": 0.0}, 9.0)


def test_stated_durations_have_their_mean_and_spread() -> None:
    lasting = Lasting(100.0, 0.3)
    drawn = np.log([lasting.seconds(np.random.default_rng(k)) for k in range(4000)])
    assert np.exp(drawn).mean() == pytest.approx(100, rel=0.03)
    assert drawn.std() == pytest.approx(0.3, rel=0.05)


def test_a_fitted_world_resembles_its_history() -> None:
    history = results(200, failing=True)
    worlds = Fitted.of(GRID, GOAL, history)
    assert worlds.duration is not None  # it grows with a
    world = worlds.world(0)
    told = [(result, world.measure(point)) for point, result in history]
    failed = [(a.metrics is None, b.metrics is None) for a, b in told]
    assert np.mean([a == b for a, b in failed]) > 0.9
    both = [(a, b) for a, b in told if a.metrics and b.metrics]
    for name in ("y", "z"):
        true = [a.metrics[name] for a, b in both if a.metrics]
        drawn = [b.metrics[name] for a, b in both if b.metrics]
        assert np.corrcoef(true, drawn)[0, 1] > 0.95
    assert np.corrcoef([a.seconds for a, _ in both], [b.seconds for _, b in both])[0, 1] > 0.9


def test_durations_that_do_not_show_are_drawn_from_the_measured_ones() -> None:
    chance = np.random.default_rng(2)
    history = [
        (p, Result(r.metrics, float(chance.choice([10.0, 20.0, 70.0])))) for p, r in results(60)
    ]
    worlds = Fitted.of(GRID, GOAL, history)
    assert worlds.duration is None
    world = worlds.world(0)
    drawn = {world.measure(point).seconds for point in list(GRID)[::50]}
    assert drawn == {10.0, 20.0, 70.0}


def test_too_little_or_another_metric_is_said() -> None:
    with pytest.raises(InvalidInput, match="9 measured trials: a model needs at least 10"):
        Fitted.of(GRID, GOAL, results(9))
    with pytest.raises(InvalidInput, match="no metric 'w': there are y, z"):
        Fitted.of(GRID, Goal(minimize="w"), results(20))
