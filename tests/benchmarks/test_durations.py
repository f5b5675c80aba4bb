"""The benchmark of searches where time is the budget."""

import importlib.util

import numpy as np
import pytest

from benchmarks.compare.peers.base import Task
from benchmarks.compare.problems import Problem
from benchmarks.duration_peers import FORMS, ParetoRegion
from benchmarks.durations import MOMENTS, compare, regrets

SHAPE = (9, 8, 3)
AT = np.indices(SHAPE)
COSTS = (AT[0] - 3.0) ** 2 + (AT[1] - 4.0) ** 2 + 3.0 * (AT[2] != 1)
SECONDS = 0.2 + AT[1] / 4.0
PROBLEM = Problem("bowl", "hpo", SHAPE, (True, True, False), COSTS)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_measured(form: str) -> None:
    if form.startswith("optuna") and importlib.util.find_spec("optuna") is None:
        pytest.skip("optuna is not installed: pip install '.[benchmark]'")
    found = compare(PROBLEM, SECONDS, workers=2, budget=24, seeds=[0], forms=[form])
    area, last = found[form]
    assert 0 <= last <= area < 1.5


def test_local_search_in_the_pareto_region_finds_the_best() -> None:
    task = Task(PROBLEM.grid, PROBLEM.goal, workers=1, budget=60, seed=3)
    found = regrets(ParetoRegion(task), PROBLEM, SECONDS, task, end=60.0)
    assert len(found) == MOMENTS
    assert found[-1] == 0
    assert (np.diff(found) <= 0).all()


class Again:
    """A tuner that proposes the same two points for ever."""

    def __init__(self) -> None:
        self.asked = 0
        self.told: list[float] = []

    def ask(self) -> tuple[int, ...]:
        self.asked += 1
        return (self.asked % 2, 0, 0)

    def tell(self, point: object, metrics: object, seconds: float) -> None:
        self.told.append(seconds)


def test_what_is_proposed_again_takes_no_time() -> None:
    task = Task(PROBLEM.grid, PROBLEM.goal, workers=2, budget=9, seed=0)
    tuner = Again()
    regrets(tuner, PROBLEM, SECONDS, task, end=4.5)
    assert len(set(tuner.told)) == 2
    assert len(tuner.told) == tuner.asked
