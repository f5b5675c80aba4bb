"""The search as a sampler of Optuna: what it proposes, told in all the ways that Optuna has."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

import dsice
from dsice.optuna import DsiceSampler
from dsice.optuna.beliefs import Beliefs
from dsice.optuna.levels import levels_of

SPACE: dict[str, BaseDistribution] = {
    "tile": IntDistribution(8, 64, step=8),
    "rate": FloatDistribution(0.1, 0.9, step=0.1),
    "layout": CategoricalDistribution(["aos", "soa", "mixed"]),
}
Value = Callable[[dict[str, Any]], float]


def value(params: dict[str, Any]) -> float:
    penalty = {"aos": 0.0, "soa": 0.3, "mixed": 0.1}[params["layout"]]
    return float((params["tile"] / 64 - 0.4) ** 2 + (params["rate"] - 0.3) ** 2 + penalty)


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "tile": trial.suggest_int("tile", 8, 64, step=8),
        "rate": trial.suggest_float("rate", 0.1, 0.9, step=0.1),
        "layout": trial.suggest_categorical("layout", ["aos", "soa", "mixed"]),
    }


def objective(trial: optuna.Trial) -> float:
    return value(suggested(trial))


def points(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [tuple(trial.params[name] for name in sorted(trial.params)) for trial in study.trials]


# -- the same as the search itself -----------------------------------------------------------------


def grid() -> dsice.Grid:
    return dsice.Grid(
        [
            dsice.Axis.integers("tile", 8, 64, 8),
            dsice.Axis.linear("rate", 0.1, 0.9, step=0.1),
            dsice.Axis.choice("layout", ["aos", "soa", "mixed"]),
        ]
    )


def by_hand(goal: dsice.Goal, result: Callable[[dict[str, Any]], Any], trials: int) -> list[Any]:
    """The params that the search proposes when it is told ``result`` of each."""
    search = dsice.make_search("dsice", grid(), goal, seed=3)
    proposed = []
    for _ in range(trials):
        (point,) = search.ask()
        params = search.grid.params(point)
        proposed.append(params)
        search.tell(point, result(params))
    return proposed


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


def small(trial: optuna.Trial) -> float:
    return float(trial.suggest_int("x", 0, 3))


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


# -- parameters ------------------------------------------------------------------------------------

DISTRIBUTIONS: list[BaseDistribution] = [
    IntDistribution(-3, 9),
    IntDistribution(8, 64, step=8),
    IntDistribution(1, 100, log=True),
    FloatDistribution(-10.2, 10.2, step=0.1),
    FloatDistribution(0, 1),
    FloatDistribution(1e-7, 10, log=True),
    FloatDistribution(2, 2),
    CategoricalDistribution([1, 2, 4, 8]),
    CategoricalDistribution([None, True, 1, "a", 0.5]),
    CategoricalDistribution([4, 2, 8]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_levels_are_values_of_the_distribution(distribution: BaseDistribution) -> None:
    levels = levels_of("x", distribution, 25)
    values = [levels.value(k) for k in range(levels.count)]
    for k, each in enumerate(values):
        assert distribution._contains(distribution.to_internal_repr(each))
        if each is not True:  # equal to 1, for Optuna too
            assert levels.index(each) in (k, values.index(each))
    if isinstance(distribution, CategoricalDistribution):
        assert values == list(distribution.choices)
        assert levels.ordered == (values == [1, 2, 4, 8])
        assert levels.index("unknown") is None
    else:
        assert (values[0], values[-1]) == (distribution.low, distribution.high)
        assert values == sorted(set(values))
        assert levels.index(distribution.low - 1) is None


def test_the_nearest_level_is_taken_by_logarithms_where_the_range_is_logarithmic() -> None:
    levels = levels_of("x", FloatDistribution(1e-4, 1, log=True), 5)
    assert [levels.value(k) for k in range(5)] == [1e-4, 1e-3, 1e-2, 1e-1, 1]
    assert [levels.index(x) for x in (3.1e-4, 3.2e-4, 0.9)] == [0, 1, 4]
    linear = levels_of("x", FloatDistribution(0, 1), 5)
    assert [linear.index(x) for x in (0.12, 0.13, 0.99)] == [0, 1, 4]


def test_thinned_logarithmic_integers_and_all_of_them() -> None:
    distribution = IntDistribution(1, 64, log=True)
    thinned = levels_of("x", distribution, 7)
    assert [thinned.value(k) for k in range(thinned.count)] == [1, 2, 4, 8, 16, 32, 64]
    assert levels_of("x", distribution, None).count == 64


def test_a_range_without_levels_is_refused() -> None:
    study = optuna.create_study(sampler=DsiceSampler())
    with pytest.raises(dsice.InvalidInput, match=r"'lr' has no levels.*step=.*levels=25"):
        study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=1)
    with pytest.raises(dsice.InvalidInput, match=r"'lr' has no levels.*levels=25") as told:
        study.optimize(lambda trial: trial.suggest_float("lr", 1e-5, 1, log=True), n_trials=1)
    assert "step" not in str(told.value)  # which Optuna refuses together with log
    with pytest.raises(
        dsice.InvalidInput, match=r"more than 1,000,000 levels.* step, or say how many .*levels=25"
    ):
        study.optimize(lambda trial: trial.suggest_int("n", 0, 10**7), n_trials=1)
    with pytest.raises(dsice.InvalidInput, match=r"more than 1,000,000 levels.*levels=25") as told:
        study.optimize(lambda trial: trial.suggest_int("n", 1, 2**20, log=True), n_trials=1)
    assert "step" not in str(told.value)


@pytest.mark.parametrize(
    "distribution",
    [
        IntDistribution(0, 10**7),
        IntDistribution(1, 2**20, log=True),
        FloatDistribution(0, 1, step=1e-8),
    ],
    ids=["int", "log", "float"],
)
def test_a_huge_range_has_as_many_levels_as_asked_for(distribution: BaseDistribution) -> None:
    levels = levels_of("n", distribution, 11)
    values = [levels.value(k) for k in range(levels.count)]
    assert levels.count == 11
    assert all(distribution._contains(distribution.to_internal_repr(each)) for each in values)
    assert (values[0], values[-1]) == (distribution.low, distribution.high)
    assert [levels.index(each) for each in values] == list(range(11))


def test_a_range_within_reach_keeps_all_its_steps() -> None:
    assert levels_of("n", IntDistribution(0, 999_999), 11).count == 1_000_000


def test_a_grid_with_a_rule_and_ratios() -> None:
    space = dsice.Grid(
        [dsice.Axis("w_a", [0, 1, 2, 4]), dsice.Axis("w_b", [1, 2, 4]), dsice.Axis("n", [1, 2])],
        allowed="w_a + n < 6",
        only_ratios_of=["w_a", "w_b"],
    )

    def weights(trial: optuna.Trial) -> float:
        a = trial.suggest_categorical("w_a", [0, 1, 2, 4])
        b = trial.suggest_int("w_b", 1, 4)
        return float(a / b + trial.suggest_int("n", 1, 2) + trial.suggest_int("other", 0, 9) / 10)

    study = optuna.create_study(sampler=DsiceSampler(search_space=space, seed=0))
    distinct = space.counts().distinct
    assert distinct is not None
    study.optimize(weights, n_trials=distinct)
    placed = [space.point({n: t.params[n] for n in space.names}) for t in study.trials]
    assert all(space.allows(point) for point in placed)
    assert len({space.program(point) for point in placed}) == distinct


def test_a_level_that_the_program_does_not_ask_for_is_named() -> None:
    space = dsice.Grid([dsice.Axis("tile", [128])])
    study = optuna.create_study(sampler=DsiceSampler(search_space=space))
    with pytest.raises(dsice.InvalidInput, match="'tile' has the level 128 in search_space"):
        study.optimize(lambda trial: trial.suggest_int("tile", 1, 64), n_trials=1)
    with pytest.raises(dsice.InvalidInput, match="'tile' has the level 128 in search_space"):
        study.optimize(lambda trial: trial.suggest_categorical("tile", [1, 2]), n_trials=1)


def test_conditional_parameters_are_drawn_evenly() -> None:
    def conditional(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("method", ["a", "b"]) == "a":
            return float(trial.suggest_int("x", 0, 9))
        return float(trial.suggest_int("y", 0, 9))

    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    study.optimize(conditional, n_trials=20)
    assert len(study.trials) == len({tuple(trial.params.items()) for trial in study.trials}) == 20


def test_a_hyperband_study() -> None:
    def curve(trial: optuna.Trial) -> float:
        for step in range(1, 10):
            trial.report(objective(trial) + 1 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return objective(trial)

    study = optuna.create_study(
        sampler=DsiceSampler(search_space=SPACE, seed=0), pruner=optuna.pruners.HyperbandPruner()
    )
    study.optimize(curve, n_trials=40)
    assert len(set(points(study))) == 40
    assert TrialState.PRUNED in {trial.state for trial in study.trials}


# -- mistakes --------------------------------------------------------------------------------------


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
