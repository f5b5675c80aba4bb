"""The search as a sampler of Optuna: what it proposes, told in all the ways that Optuna has."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

import dsice
from dsice.optuna import DsiceSampler
from tests.dsice.optuna_studies import (
    SPACE,
    by_hand,
    grid,
    objective,
    points,
    small,
    suggested,
    value,
)


@pytest.mark.parametrize("space", [SPACE, grid()], ids=["distributions", "grid"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_proposals_are_those_of_the_search(direction: str, space: Any) -> None:
    study = optuna.create_study(
        direction=direction, sampler=DsiceSampler(search_space=space, seed=3)
    )
    study.optimize(objective, n_trials=25)
    expected = by_hand(
        dsice.Goal(**{direction: "value"}),  # type: ignore[arg-type]
        lambda params: {"value": value(params)},
        25,
    )
    assert [trial.params for trial in study.trials] == expected


def test_a_failed_trial_is_a_failure_and_a_pruned_one_has_its_last_value() -> None:
    def uneven(trial: optuna.Trial) -> float:
        params = suggested(trial)
        if params["layout"] == "mixed":
            raise RuntimeError("no memory")
        trial.report(100.0, 0)
        if params["tile"] > 40:
            trial.report(value(params) + 1, 1)
            raise optuna.TrialPruned
        return float("inf") if params["rate"] > 0.8 else value(params)

    def told(params: dict[str, Any]) -> dict[str, float] | None:
        if params["layout"] == "mixed":
            return None
        if params["tile"] > 40:
            return {"value": value(params) + 1}
        return None if params["rate"] > 0.8 else {"value": value(params)}

    study = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=3))
    study.optimize(uneven, n_trials=30, catch=RuntimeError)
    assert [t.params for t in study.trials] == by_hand(dsice.Goal(minimize="value"), told, 30)
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}


def limits(params: dict[str, Any]) -> tuple[float, float]:
    return params["tile"] - 32.0, 0.45 - params["rate"]


@pytest.mark.parametrize("way", ["function", "set_constraint"])
def test_constraints_are_bounds(way: str) -> None:
    if way == "set_constraint" and not hasattr(optuna.Trial, "set_constraint"):
        pytest.skip("Optuna 4")

    def bounded(trial: optuna.Trial) -> float:
        params = suggested(trial)
        if way == "set_constraint":
            for name, limit in zip("ab", limits(params), strict=True):
                trial.set_constraint(name, limit)
        return value(params)

    def constraints(trial: FrozenTrial) -> tuple[float, float]:
        return limits(trial.params)

    sampler = DsiceSampler(
        search_space=SPACE, seed=3, constraints_func=constraints if way == "function" else None
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(bounded, n_trials=30)
    goal = dsice.Goal(minimize="value", subject_to=["a <= 0", "b <= 0"])
    expected = by_hand(
        goal, lambda p: {"value": value(p), **dict(zip("ab", limits(p), strict=True))}, 30
    )
    assert [trial.params for trial in study.trials] == expected


# -- no point twice, and the end -------------------------------------------------------------------


@pytest.mark.parametrize("space", [None, SPACE])
def test_every_point_once_and_the_study_ends(space: Any) -> None:
    study = optuna.create_study(sampler=DsiceSampler(search_space=space, seed=1))
    study.optimize(objective, n_trials=1000)
    assert len(study.trials) == len(set(points(study))) == 8 * 9 * 3
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_when_all_is_measured_the_best_is_measured_again_if_that_is_asked_for() -> None:
    study = optuna.create_study(sampler=DsiceSampler(exhausted="repeat", seed=1))
    study.optimize(small, n_trials=10)
    found = [trial.params["x"] for trial in study.trials]
    assert sorted(found[:4]) == [0, 1, 2, 3]
    assert found[4:] == [0, 1, 2, 3, 0, 1]


def test_a_study_that_is_used_up_already_measures_nothing() -> None:
    study = optuna.create_study(sampler=DsiceSampler(seed=1))
    study.optimize(small, n_trials=10)
    assert len(study.trials) == 4
    study.optimize(small, n_trials=10)
    assert [trial.state for trial in study.trials[4:]] == [TrialState.PRUNED]
    assert study.trials[4].params == {}


def test_asking_and_telling_goes_on_with_points_measured_before() -> None:
    study = optuna.create_study(sampler=DsiceSampler(seed=1))
    space = {"x": IntDistribution(0, 3)}
    for _ in range(5):
        trial = study.ask(space)
        study.tell(trial, float(trial.params["x"]))
    found = [trial.params["x"] for trial in study.trials]
    assert sorted(found[:4]) == [0, 1, 2, 3]
    assert found[4] == 0


def test_points_that_others_are_measuring_are_left_alone() -> None:
    study = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=1))
    asked = [study.ask(SPACE) for _ in range(100)]
    assert len({tuple(trial.params.values()) for trial in asked}) == 100


@pytest.mark.parametrize("seed", range(4))
def test_room_is_left_for_a_trial_that_has_some_of_its_values(seed: int) -> None:
    def both(trial: optuna.Trial) -> float:
        return float(trial.suggest_int("a", 0, 1) + trial.suggest_int("b", 0, 2))

    study = optuna.create_study(sampler=DsiceSampler(seed=seed))
    early = study.ask()
    early.suggest_int("a", 0, 1)
    study.optimize(both, n_trials=5)
    study.tell(early, both(early))
    assert len(set(points(study))) == len(study.trials) == 6


def test_a_tolerance_ends_the_study() -> None:
    study = optuna.create_study(
        sampler=DsiceSampler(search_space=SPACE, tolerance=0.5, seed=1), direction="maximize"
    )
    study.optimize(objective, n_trials=216)
    assert len(study.trials) < 150
    assert study.trials[-1].state == TrialState.PRUNED


def test_the_point_of_a_trial_that_measured_nothing_is_free_again() -> None:
    space = {"x": IntDistribution(0, 1)}
    study = optuna.create_study(sampler=DsiceSampler(search_space=space, seed=1))
    trial = study.ask()
    assert trial.relative_params  # it has a point, and never asks for it
    study.tell(trial, state=TrialState.FAIL)
    first, second = study.ask(space), study.ask(space)
    assert {first.params["x"], second.params["x"]} == {0, 1}


# -- what is in the study already ------------------------------------------------------------------


def test_enqueued_trials_run_as_they_are_and_count() -> None:
    study = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=1))
    wanted = {"tile": 16, "rate": 0.3, "layout": "soa"}
    study.enqueue_trial(wanted)
    study.enqueue_trial({"tile": 8, "layout": "aos"})
    study.optimize(objective, n_trials=216)
    assert study.trials[0].params == wanted
    assert (study.trials[1].params["tile"], study.trials[1].params["layout"]) == (8, "aos")
    assert len(study.trials) == len(set(points(study))) == 216


def test_more_partly_fixed_trials_than_there_are_points_repeat_the_best() -> None:
    study = optuna.create_study(sampler=DsiceSampler(search_space=SPACE, seed=1))
    for _ in range(11):
        study.enqueue_trial({"tile": 24, "layout": "aos"})
    study.optimize(objective, n_trials=11)
    rates = [trial.params["rate"] for trial in study.trials]
    assert len(set(rates[:9])) == 9
    assert rates[9] == 0.3
    assert rates[10] in (0.2, 0.4)  # as good as each other


def test_a_study_of_another_sampler_goes_on() -> None:
    def continuous(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 1e-4, 1, log=True), trial.suggest_float("y", -1, 1)
        return float((x - 0.01) ** 2 + y**2)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(continuous, n_trials=20)
    study.sampler = DsiceSampler(levels=21, seed=0)
    study.optimize(continuous, n_trials=40)
    new = points(study)[20:]
    assert len(set(new)) == 40
    assert study.best_value < 1e-3
    ys = {round((y + 1) * 10, 9) for _, y in new}
    assert all(y.is_integer() for y in ys)


def test_older_continuous_trials_are_results_of_a_study_with_steps() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    study.sampler = DsiceSampler(seed=0)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1, step=0.1), n_trials=50)
    new = [trial.params["x"] for trial in study.trials[5:]]
    assert len(new) == len(set(new))
    known = {round(trial.params["x"], 1) for trial in study.trials[:5]}
    # The first trial of the new form is drawn: until then nothing is known of levels.
    assert {round(x, 1) for x in new[1:]}.isdisjoint(known)
    assert {round(x, 1) for x in new} | known == {k / 10 for k in range(11)}


@pytest.mark.parametrize("levels", [None, 21])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FloatDistribution(0, 1), FloatDistribution(0, 1, step=0.1)),
        (FloatDistribution(0, 1, step=0.25), FloatDistribution(0, 1, step=0.1)),
        (FloatDistribution(0, 0.5, step=0.1), FloatDistribution(0, 1, step=0.1)),
    ],
    ids=str,
)
def test_a_distribution_that_has_changed_is_searched_as_it_is_now(
    before: FloatDistribution, after: FloatDistribution, levels: int | None
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for distribution, trials in ((before, 4), (after, 20)):
        for _ in range(trials):
            trial = study.ask({"x": distribution})
            study.tell(trial, abs(trial.params["x"] - 0.6))
        study.sampler = DsiceSampler(seed=0, levels=levels)
    new = [round(trial.params["x"], 6) for trial in study.trials[4:]]
    assert all(after._contains(x) for x in new)
    # The first two show that it has changed for good; what remains is searched without repeats.
    left = new[2:9] if levels is None or after.step else new[2:]
    assert len(left) == len(set(left))


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_choices_may_be_lists() -> None:
    layers = [[16], [32], [32, 16]]

    def objective(trial: optuna.Trial) -> float:
        chosen = trial.suggest_categorical("layers", layers)
        return float(sum(chosen) + trial.suggest_int("epochs", 1, 4))

    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    study.optimize(objective, n_trials=40)
    assert study.best_params == {"layers": [16], "epochs": 1}
    assert len(study.trials) == 12  # each point once


def test_a_parameter_whose_range_depends_on_another_is_drawn_evenly() -> None:
    def dependent(trial: optuna.Trial) -> float:
        low = trial.suggest_int("low", 0, 3)
        return float(trial.suggest_int("high", low, 3) - low)

    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    study.optimize(dependent, n_trials=10)
    assert len(set(points(study))) == len(study.trials) == 10


def test_added_trials_are_results() -> None:
    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    space = {"x": IntDistribution(0, 3)}
    for x in (0, 3):
        study.add_trial(optuna.create_trial(params={"x": x}, distributions=space, value=float(x)))
    study.optimize(small, n_trials=10)
    assert sorted(trial.params["x"] for trial in study.trials) == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_study_and_another_process_goes_on_without_repeats(
    tmp_path: Path,
) -> None:
    def run(sampler: DsiceSampler, name: str) -> optuna.Study:
        storage = f"sqlite:///{tmp_path / name}"
        study = optuna.create_study(
            storage=storage, study_name="s", sampler=sampler, load_if_exists=True
        )
        study.optimize(objective, n_trials=8)
        return study

    one, other = run(DsiceSampler(seed=5), "one"), run(DsiceSampler(seed=5), "other")
    assert points(one) == points(other)
    assert points(one) != points(run(DsiceSampler(seed=6), "third"))
    again = run(pickle.loads(pickle.dumps(one.sampler)), "one")
    assert len(set(points(again))) == len(again.trials) == 16


def test_one_sampler_serves_two_studies() -> None:
    sampler = DsiceSampler(seed=0)
    studies = [optuna.create_study(sampler=sampler) for _ in range(2)]
    for study in studies * 2:
        study.optimize(objective, n_trials=8)
    for study in studies:
        assert len(set(points(study))) == 16
