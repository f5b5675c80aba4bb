"""The pruner: hopeless trials of a study end early, by what its storage says and nothing else."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import BasicSamplerTestCase
from optuna.trial import FrozenTrial, TrialState

import dsice
from dsice.optuna import DsicePruner, DsiceSampler
from dsice.optuna.pruner import JUDGED

STEPS = 27


def last(params: dict[str, Any]) -> float:
    """The value at the end, best where a is 12 and b is 5."""
    return float((params["a"] - 12) ** 2 / 50 + (params["b"] - 5) ** 2 / 40)


def on_the_way(params: dict[str, Any], step: int) -> float:
    return last(params) + 3 * math.exp(-step / 8)


def trained(trial: optuna.Trial, sign: float = 1.0) -> float:
    """A training: it reports at each step, and ends when it should."""
    params = {"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)}
    for step in range(STEPS):
        trial.report(sign * on_the_way(params, step), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return sign * last(params)


def new_study(seed: int = 0, storage: Any = None, **options: Any) -> optuna.Study:
    return optuna.create_study(
        sampler=DsiceSampler(seed=seed), pruner=DsicePruner(**options), storage=storage
    )


def of_state(study: optuna.Study, state: TrialState) -> list[FrozenTrial]:
    return [trial for trial in study.trials if trial.state == state]


def seen(trial: FrozenTrial) -> tuple[Any, ...]:
    judged = trial.system_attrs.get(JUDGED)
    return trial.params, trial.state, trial.values, trial.intermediate_values, judged


# -- which trials end ------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_hopeless_trials_end_early_and_the_best_does_not(sign: float) -> None:
    study = optuna.create_study(
        direction="minimize" if sign > 0 else "maximize",
        sampler=DsiceSampler(seed=1),
        pruner=DsicePruner(),
    )
    study.optimize(lambda trial: trained(trial, sign), n_trials=40)
    complete, pruned = (of_state(study, s) for s in (TrialState.COMPLETE, TrialState.PRUNED))
    assert len(complete) + len(pruned) == 40
    assert len(pruned) > 10
    best = min(study.trials, key=lambda trial: last(trial.params))
    assert best.state == TrialState.COMPLETE
    assert study.best_params == best.params
    assert last(best.params) < 0.1
    steps = sum(len(trial.intermediate_values) for trial in study.trials)
    assert steps < 0.8 * 40 * STEPS
    for trial in pruned:
        judged = trial.system_attrs[JUDGED]
        assert judged["ends"] is True
        assert judged["chance"] < 0.02
        assert judged["done"] == len(trial.intermediate_values) >= STEPS / 9
    # One in ten runs to its end in any case: it teaches what a step tells.
    assert {9, 19, 29, 39} <= {trial.number for trial in complete}
    points = {tuple(trial.params.values()) for trial in study.trials}
    assert len(points) == 40


def test_nothing_ends_before_three_trials_that_reported_are_complete() -> None:
    study = new_study()

    def silent(trial: optuna.Trial) -> float:
        return last({"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)})

    study.optimize(silent, n_trials=10)
    study.enqueue_trial({"a": 11, "b": 5})
    study.enqueue_trial({"a": 0, "b": 19})
    study.enqueue_trial({"a": 0, "b": 18})
    study.enqueue_trial({"a": 1, "b": 19})
    study.enqueue_trial({"a": 1, "b": 18})
    study.enqueue_trial({"a": 2, "b": 19})
    study.optimize(trained, n_trials=6)
    states = [trial.state for trial in study.trials]
    assert states[:13] == [TrialState.COMPLETE] * 13
    assert TrialState.PRUNED in states[13:]


def test_nothing_ends_below_a_probability_of_zero() -> None:
    study = new_study(end_below=0)
    study.optimize(trained, n_trials=15)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert not any(JUDGED in trial.system_attrs for trial in study.trials)


def test_steps_may_be_said_and_are_those_of_the_reports() -> None:
    learned, said = new_study(), new_study(steps=range(STEPS))
    for study in (learned, said):
        study.optimize(trained, n_trials=14)
    assert [trial.state for trial in said.trials].count(TrialState.PRUNED) > 0
    ended = {trial.system_attrs[JUDGED]["done"] for trial in of_state(said, TrialState.PRUNED)}
    assert ended <= set(range(math.ceil(STEPS / 9), STEPS))
    assert list(map(seen, learned.trials)) == list(map(seen, said.trials))
    # A whole trial is said to be twice as long: then nothing ends so soon.
    longer = new_study(steps=range(2 * STEPS))
    longer.optimize(trained, n_trials=14)
    ended = {trial.system_attrs[JUDGED]["done"] for trial in of_state(longer, TrialState.PRUNED)}
    assert min(ended, default=STEPS) >= 2 * STEPS / 9


def test_a_trial_that_is_asked_again_answers_the_same() -> None:
    study = new_study()
    study.optimize(trained, n_trials=8)
    study.enqueue_trial({"a": 0, "b": 19})
    trial = study.ask()
    params = {"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)}
    for step in range(STEPS):
        trial.report(on_the_way(params, step), step)
        if trial.should_prune():
            break
    assert len(study.trials[8].intermediate_values) < STEPS
    study.optimize(trained, n_trials=3)
    assert trial.should_prune()


def test_a_training_that_comes_to_nan_ends_and_infinite_values_are_very_bad() -> None:
    study = new_study()
    study.optimize(trained, n_trials=20)
    ended = []
    for value in (math.nan, math.inf, math.inf):
        trial = study.ask()
        assert {"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)}
        for step in range(STEPS):
            trial.report(value, step)
            if trial.should_prune():
                break
        ended.append(step < STEPS - 1)
        study.tell(trial, state=TrialState.PRUNED)
    assert ended[0]
    assert any(ended[1:])
    study.optimize(trained, n_trials=5)
    assert last(study.best_params) < 0.1


def test_bounds_that_are_known_at_the_end_only() -> None:
    def bounded(trial: optuna.Trial) -> float:
        found = trained(trial)
        trial.set_user_attr("limit", trial.params["a"] - 9)
        return found

    study = optuna.create_study(
        sampler=DsiceSampler(seed=0, constraints_func=lambda t: [t.user_attrs.get("limit", 0)]),
        pruner=DsicePruner(),
    )
    study.optimize(bounded, n_trials=40)
    assert of_state(study, TrialState.PRUNED)
    feasible = [t for t in of_state(study, TrialState.COMPLETE) if t.params["a"] <= 9]
    best = min(feasible, key=lambda trial: last(trial.params))
    assert last(best.params) < 0.3  # 0.18 is the best there is


def test_conditional_parameters_and_a_grid_of_the_users_own() -> None:
    def conditional(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["one", "two"])
        at = trial.suggest_int("a", 0, 19) if kind == "one" else 25 - trial.suggest_int("c", 0, 9)
        for step in range(STEPS):
            trial.report(on_the_way({"a": at, "b": 5}, step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return last({"a": at, "b": 5})

    study = new_study()
    study.optimize(conditional, n_trials=60)
    assert of_state(study, TrialState.PRUNED)
    assert len(study.trials) == 30  # all programs once: ended ones are not begun again
    assert study.best_value == 0

    grid = dsice.Grid(
        [dsice.Axis.integers("a", 0, 19), dsice.Axis.integers("b", 0, 19)], allowed="a > b"
    )
    study = optuna.create_study(
        sampler=DsiceSampler(search_space=grid, seed=0), pruner=DsicePruner()
    )
    study.optimize(trained, n_trials=25)
    assert of_state(study, TrialState.PRUNED)
    assert all(trial.params["a"] > trial.params["b"] for trial in study.trials)


def test_every_point_is_begun_once_and_the_study_ends() -> None:
    def small(trial: optuna.Trial) -> float:
        at = trial.suggest_int("a", 0, 19)
        for step in range(STEPS):
            trial.report(on_the_way({"a": at, "b": 5}, step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return last({"a": at, "b": 5})

    study = new_study()
    study.optimize(small, n_trials=100)
    assert sorted(trial.params["a"] for trial in study.trials) == list(range(20))
    assert of_state(study, TrialState.PRUNED)


def test_the_search_hears_reports_and_ended_trials_as_such() -> None:
    axes = [dsice.Axis.integers("a", 0, 19), dsice.Axis.integers("b", 0, 19)]
    grid, steps = dsice.Grid(axes), range(STEPS)
    study = optuna.create_study(
        sampler=DsiceSampler(search_space=grid, seed=2), pruner=DsicePruner(steps=steps)
    )
    study.optimize(trained, n_trials=25)
    goal = dsice.Goal(minimize="value")
    search = dsice.make_search("dsice", grid, goal, seed=2, steps=[step + 1 for step in steps])
    for trial in study.trials:
        (point,) = search.ask()
        assert search.grid.params(point) == trial.params
        for step, value in trial.intermediate_values.items():
            search.report(point, step + 1, {"value": value})
        if trial.state == TrialState.PRUNED:
            search.end(point)
        else:
            search.tell(point, {"value": trial.value})
    assert len(search.history) == len(of_state(study, TrialState.COMPLETE)) < 25


# -- the storage says all --------------------------------------------------------------------------


def storage_of(kind: str, folder: Path) -> Any:
    if kind == "memory":
        return InMemoryStorage()
    return JournalStorage(JournalFileBackend(str(folder / "study")))


@pytest.mark.parametrize("kind", ["memory", "journal"])
def test_the_same_seed_gives_the_same_study_in_any_storage(kind: str, tmp_path: Path) -> None:
    expected, study = new_study(3), new_study(3, storage_of(kind, tmp_path))
    for each in (expected, study):
        each.optimize(trained, n_trials=9)
    assert list(map(seen, study.trials)) == list(map(seen, expected.trials))
    assert of_state(study, TrialState.PRUNED)


def test_who_comes_new_to_a_study_answers_as_who_has_run_it(tmp_path: Path) -> None:
    storage = storage_of("journal", tmp_path)
    study = new_study(3, storage)
    study.optimize(trained, n_trials=12)
    for a, b in ((0, 19), (12, 6), (5, 5)):
        study.enqueue_trial({"a": a, "b": b})
        trial = study.ask()
        params = {"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)}
        for step in range(STEPS // 3):
            trial.report(on_the_way(params, step), step)
        (frozen,) = (each for each in study.trials if each.number == trial.number)
        again = optuna.load_study(
            study_name=study.study_name,
            storage=storage_of("journal", tmp_path),
            sampler=DsiceSampler(seed=3),
            pruner=DsicePruner(),
        )
        answer = again.pruner.prune(again, frozen)
        written = again.trials[frozen.number].system_attrs[JUDGED]
        # The frozen trial has no answer written yet, so that this one is worked out anew.
        assert study.pruner.prune(study, frozen) == answer
        assert study.trials[frozen.number].system_attrs[JUDGED] == written


WORKER = """
import math, sys
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from dsice.optuna import DsicePruner, DsiceSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.load_study(
    study_name="s", storage=JournalStorage(JournalFileBackend(sys.argv[1])),
    sampler=DsiceSampler(seed=0), pruner=DsicePruner(),
)

def objective(trial):
    a, b = trial.suggest_int("a", 0, 19), trial.suggest_int("b", 0, 19)
    last = (a - 12) ** 2 / 50 + (b - 5) ** 2 / 40
    for step in range(27):
        trial.report(last + 3 * math.exp(-step / 8), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return last

study.optimize(objective, n_trials=15, n_jobs=2)
"""


def test_processes_of_threads_on_one_storage(tmp_path: Path) -> None:
    storage = storage_of("journal", tmp_path)
    study = optuna.create_study(study_name="s", storage=storage)
    command = [sys.executable, "-W", "error", "-c", WORKER, str(tmp_path / "study")]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(study.trials) == 30
    for trial in of_state(study, TrialState.PRUNED):
        assert trial.system_attrs[JUDGED]["ends"] is True
    best = min(study.trials, key=lambda trial: last(trial.params))
    assert best.state == TrialState.COMPLETE


# -- as before -------------------------------------------------------------------------------------


def test_without_reports_the_study_is_as_without_the_pruner() -> None:
    def silent(trial: optuna.Trial) -> float:
        return last({"a": trial.suggest_int("a", 0, 19), "b": trial.suggest_int("b", 0, 19)})

    plain, study = optuna.create_study(sampler=DsiceSampler(seed=5)), new_study(5)
    for each in (plain, study):
        each.optimize(silent, n_trials=25)
    assert list(map(seen, study.trials)) == list(map(seen, plain.trials))


class TestBasicBesideThePruner(BasicSamplerTestCase):  # type: ignore[misc]
    """Optuna's own tests of samplers, with ours as the pruner that a study has by default."""

    @pytest.fixture
    def sampler(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], BaseSampler]:
        monkeypatch.setattr("optuna.study.study.pruners.MedianPruner", DsicePruner)
        assert isinstance(optuna.create_study().pruner, DsicePruner)
        return lambda: DsiceSampler(levels=25, exhausted="repeat", seed=0)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"end_below": 1}, "end_below = 1: a number from 0 to below 1"),
        ({"end_below": True}, "end_below = True"),
        ({"steps": []}, "rising integers"),
        ({"steps": [3, 2]}, r"steps = \[3, 2\]: rising integers"),
        ({"steps": [-1, 2]}, "0 or more"),
        ({"steps": [0.5, 2]}, "rising integers"),
        ({"steps": 27}, "steps = 27: rising integers"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(dsice.InvalidInput, match=message):
        DsicePruner(**arguments)


def test_another_sampler_is_refused() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(), pruner=DsicePruner())
    with pytest.raises(dsice.InvalidInput, match=r"DsiceSampler only.*RandomSampler"):
        study.optimize(trained, n_trials=1)
