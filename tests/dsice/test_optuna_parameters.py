"""Parameters of Optuna: their levels, grids in their place, and conditional ones."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

import dsice
from dsice.optuna import DsiceSampler
from dsice.optuna.levels import levels_of
from tests.dsice.optuna_studies import (
    SPACE,
    objective,
    points,
)

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
