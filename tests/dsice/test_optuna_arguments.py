"""Arguments of the sampler: mistakes, other studies, beliefs."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    FloatDistribution,
)

import dsice
from dsice.optuna import DsiceSampler
from dsice.optuna.beliefs import Beliefs
from tests.dsice.optuna_studies import (
    SPACE,
    by_hand,
    grid,
    objective,
    small,
    suggested,
    value,
)


def test_several_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=DsiceSampler())
    with pytest.raises(dsice.InvalidInput, match="one objective, and the study has 2"):
        study.optimize(lambda trial: (small(trial), 1.0), n_trials=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": 1}, "levels = 1: an integer of 2 or more"),
        ({"levels": 10**7}, "levels = 10000000: 1,000,000 at most"),
        ({"seed": -1}, "seed = -1"),
        ({"tolerance": 0.0}, "tolerance = 0.0: a positive number"),
        ({"exhausted": "no"}, "exhausted = 'no': accepted are 'stop' and 'repeat'"),
        ({"search_space": {"x": [1, 2]}}, "a dsice.Grid or a dictionary"),
        ({"search_space": {}}, "a dsice.Grid or a dictionary"),
        ({"search_space": {"x": FloatDistribution(0, 1)}}, "'x' has no levels"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(dsice.InvalidInput, match=message):
        DsiceSampler(**arguments)


def test_without_optuna_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['optuna'] = None; import dsice.optuna"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: dsice.optuna needs Optuna 4 or 5: pip install 'dsice[optuna]'" in (
        done.stderr.splitlines()
    )


def test_constraints_of_a_trial_that_has_none_hold() -> None:
    if not hasattr(optuna.Trial, "set_constraint"):
        pytest.skip("Optuna 4")

    def sometimes(trial: optuna.Trial) -> float:
        params = suggested(trial)
        if trial.number % 2:
            trial.set_constraint("memory", float("inf") if trial.number == 1 else -1.0)
        return value(params)

    study = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=3))
    study.optimize(sometimes, n_trials=30)
    limits = itertools.chain([0.0, 1e100], itertools.cycle([0.0, -1.0]))
    expected = by_hand(
        dsice.Goal(minimize="value", subject_to=["memory <= 0"]),
        lambda params: {"value": value(params), "memory": next(limits)},
        30,
    )
    assert [trial.params for trial in study.trials] == expected


def test_a_sampler_learns_from_another_study() -> None:
    earlier = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=1))
    earlier.optimize(lambda trial: value(suggested(trial)), n_trials=40)
    sampler = DsiceSampler(search_space=SPACE, seed=5, learn_from=[earlier])
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: value(suggested(trial)), n_trials=3)
    assert study.trials[0].params == earlier.best_params
    with pytest.raises(dsice.InvalidInput, match="is no study of Optuna"):
        DsiceSampler(learn_from=["old"])


def test_beliefs_choose_the_first_trials_as_the_search_does() -> None:
    rates = [1] * 8 + [9]
    beliefs: Beliefs = {"tile": {"expect": 48}, "rate": rates, "layout": {"weights": [0, 1, 0]}}
    study = optuna.create_study(
        sampler=DsiceSampler(search_space=SPACE, seed=5, beliefs=beliefs),
    )
    study.optimize(objective, n_trials=12)
    assert study.trials[0].params == {"tile": 48, "rate": 0.9, "layout": "soa"}
    assert sum(trial.params["layout"] == "soa" for trial in study.trials[:5]) >= 3
    weights = {
        "tile": [math.exp(-0.5 * (k - 5) ** 2) for k in range(8)],
        "layout": [0, 1, 0],
        "rate": rates,
    }
    search = dsice.make_search("dsice", grid(), dsice.Goal(minimize="y"), seed=5, beliefs=weights)
    proposed = []
    for _ in range(12):
        (point,) = search.ask(1)
        params = grid().params(point)
        search.tell(point, {"y": value(params)})
        proposed.append(params)
    assert [trial.params for trial in study.trials] == proposed


def test_beliefs_without_a_search_space_and_of_conditional_parameters() -> None:
    def program(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("method", ["svm", "tree"]) == "svm":
            return float(len(trial.suggest_categorical("kernel", ["linear", "poly", "rbf"])))
        return float(abs(trial.suggest_int("depth", 1, 9) - 6.5))

    beliefs: Beliefs = {"method": {"expect": "tree"}, "depth": {"expect": 7}}
    sampler = DsiceSampler(seed=0, beliefs=beliefs)
    study = optuna.create_study(sampler=pickle.loads(pickle.dumps(sampler)))
    study.optimize(program, n_trials=20)
    assert study.trials[0].params == {"method": "tree", "depth": 7}
    assert len(study.trials) == 12  # each program once, as without beliefs


@pytest.mark.parametrize(
    ("beliefs", "said"),
    [
        (["tile"], "a dict by parameter is needed"),
        ({"tile": 16}, "neither a list of weights"),
        ({"tile": {"expect": 16, "weights": [1] * 8}}, "neither a list of weights"),
        ({"other": [1, 2]}, "no parameter 'other': there are tile, rate, layout"),
        ({"tile": [1, 2]}, "there are 2, and 8 levels"),
        ({"layout": [0, 0, 0]}, "at least one must be positive"),
        ({"layout": {"expect": "other"}}, "'other' is none of its 3 levels, 'aos' to 'mixed'"),
        ({"tile": {"expect": 100}}, "100 is none of its 8 levels, 8 to 64"),
    ],
)
def test_beliefs_that_do_not_fit_are_refused(beliefs: Any, said: str) -> None:
    with pytest.raises(dsice.InvalidInput, match=said):
        DsiceSampler(search_space=SPACE, beliefs=beliefs)
