"""Expected improvement with few workers, which is not drawn to where the prior varies most."""

import numpy as np

from dsice.goal import Goal
from dsice.gp.anova import Anova
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.factors import Objective

GRID = Grid([Axis(name, range(11)) for name in "abc"])
GOAL = Goal(minimize="cost")


def cost(point: Point) -> dict[str, float]:
    return {"cost": float(sum((level - 6) ** 2 for level in point))}


def fitted(levelling: float) -> Objective:
    """The objective after six results, with all points on one axis as candidates."""
    points = np.random.default_rng(3).integers(11, size=(6, 3))
    objective = Objective(GOAL, by_violation=False, levelling=levelling)
    for row, point in enumerate(points):
        objective.append()
        objective.learn(row, cost(tuple(point.tolist())))
    rows = np.arange(len(points))
    objective.fit(Anova.of(GRID), points, np.ones(len(points)), rows, slots=11)
    candidates = np.array([(level, 2, 3) for level in range(11)])
    objective.fill(np.arange(11), candidates)
    objective.update()
    return objective


def test_fully_levelled_prior_standard_deviations_are_the_same_everywhere() -> None:
    objective = fitted(1.0)
    points = np.indices(GRID.shape).reshape(3, -1).T
    prior = np.sqrt(objective.prior_variance(points))
    assert prior.max() > 1.5 * prior.min(), "else there is nothing to level"
    assert np.ptp(objective.levelled(prior, points)) < 1e-9


def test_estimates_are_not_levelled() -> None:
    plain, levelled = fitted(0.0), fitted(1.0)
    slots = np.arange(11)
    for one, other in zip(plain.at_slots(slots), levelled.at_slots(slots), strict=True):
        assert np.array_equal(one, other)
    assert not np.allclose(plain.log_factor(slots), levelled.log_factor(slots))


def test_the_factor_is_the_same_by_slots_and_by_points() -> None:
    objective = fitted(0.5)
    slots = np.arange(11)
    points = objective.candidates(slots)
    assert np.allclose(objective.expect(points)[2], objective.log_factor(slots))
    assert np.allclose(objective.rough_log_factor(points), objective.log_factor(slots))


def test_few_workers_measure_fewer_corners_than_many() -> None:
    """After the same first results, over eight seeds."""

    def corners(capacity: int, seed: int) -> int:
        first = np.random.default_rng(seed).integers(11, size=(40, 3)).tolist()
        search = make_search("dsice", GRID, GOAL, seed=seed, capacity=capacity)
        for point in map(tuple, first):
            search.tell(point, cost(point))
        found = 0
        for _ in range(12):
            (point,) = search.ask(1)
            search.tell(point, cost(point))
            found += sum(level in (0, 10) for level in point) >= 2
        return found

    assert 4 * sum(corners(1, k) for k in range(8)) < sum(corners(40, k) for k in range(8))
