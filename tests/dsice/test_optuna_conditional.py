"""Conditional parameters under Optuna: each program once, and all of them before any repeat."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import dsice
from dsice.optuna import DsiceSampler

SVM_OR_TREE: dict[str, BaseDistribution] = {
    "m": CategoricalDistribution(["svm", "tree"]),
    "kernel": CategoricalDistribution(["linear", "poly", "rbf"]),
    "depth": IntDistribution(1, 9),
}
PROGRAMS = 12  # three kernels and nine depths


def svm_or_tree(trial: optuna.Trial) -> float:
    if trial.suggest_categorical("m", ["svm", "tree"]) == "svm":
        return float(len(trial.suggest_categorical("kernel", ["linear", "poly", "rbf"])))
    return float(abs(trial.suggest_int("depth", 1, 9) - 6.5))


def params(study: optuna.Study) -> list[frozenset[tuple[str, Any]]]:
    return [frozenset(trial.params.items()) for trial in study.trials]


@pytest.mark.parametrize("space", [None, SVM_OR_TREE], ids=["learned", "given"])
@pytest.mark.parametrize("seed", range(3))
def test_twelve_trials_run_on_twelve_points_and_then_the_study_ends(space: Any, seed: int) -> None:
    study = optuna.create_study(sampler=DsiceSampler(search_space=space, seed=seed))
    study.optimize(svm_or_tree, n_trials=40)
    assert len(study.trials) == len(set(params(study))) == PROGRAMS
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("rule", [None, "depth != 5"])
def test_a_grid_of_the_users_own(rule: str | None) -> None:
    axes = [
        dsice.Axis.choice("m", ["svm", "tree"]),
        dsice.Axis.choice("kernel", ["linear", "poly", "rbf"]),
        dsice.Axis.integers("depth", 1, 9),
    ]
    sampler = DsiceSampler(search_space=dsice.Grid(axes, allowed=rule), seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(svm_or_tree, n_trials=40)
    assert len(study.trials) == len(set(params(study))) == PROGRAMS - (rule is not None)


@pytest.mark.parametrize("space", [None, SVM_OR_TREE], ids=["learned", "given"])
def test_asked_for_more_the_best_is_measured_again(space: Any) -> None:
    sampler = DsiceSampler(search_space=space, exhausted="repeat", seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(svm_or_tree, n_trials=PROGRAMS + 2)
    assert len(set(params(study)[:PROGRAMS])) == PROGRAMS
    assert {trial.value for trial in study.trials[PROGRAMS:]} == {0.5}


def test_the_search_works_in_the_branch_that_is_good() -> None:
    """Far fewer points than there are suffice to find the best of one branch."""

    def program(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("m", ["svm", "tree"]) == "svm":
            c = trial.suggest_float("c", 1e-3, 1e3, log=True)
            return float(3 + abs(c - 1) / 1000)
        x, y = trial.suggest_int("x", 0, 30), trial.suggest_int("y", 0, 30)
        return float((x - 22) ** 2 + (y - 9) ** 2) / 100

    study = optuna.create_study(sampler=DsiceSampler(levels=31, seed=0))
    study.optimize(program, n_trials=60)
    assert len(set(params(study))) == 60
    assert study.best_value <= 0.02  # of 961 + 31 points at most five are that good
    later = [trial.params["m"] for trial in study.trials[20:]]
    assert later.count("tree") > 30


def test_a_parameter_that_one_value_alone_brings_out_is_found_before_the_end() -> None:
    def program(trial: optuna.Trial) -> float:
        x = trial.suggest_int("x", 0, 5)
        return float(trial.suggest_int("y", 1, 4) if x == 4 else x)

    study = optuna.create_study(sampler=DsiceSampler(seed=1))
    study.optimize(program, n_trials=40)
    assert len(study.trials) == len(set(params(study))) == 5 + 4


def test_a_trial_that_was_pruned_early_does_not_hide_what_follows() -> None:
    def program(trial: optuna.Trial) -> float:
        m = trial.suggest_categorical("m", ["svm", "tree"])
        if trial.number == 5:
            raise optuna.TrialPruned
        return float(trial.suggest_int("depth", 1, 6) + (m == "svm"))

    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    study.optimize(program, n_trials=40)
    completed = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert len({tuple(t.params.items()) for t in completed}) == len(completed) >= 11


def test_a_failed_branch_is_avoided_and_the_others_are_not() -> None:
    def program(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("m", ["svm", "tree"]) == "svm":
            trial.suggest_categorical("kernel", ["linear", "poly", "rbf"])
            raise MemoryError
        return float(trial.suggest_int("depth", 1, 9))

    study = optuna.create_study(sampler=DsiceSampler(seed=0))
    study.optimize(program, n_trials=PROGRAMS, catch=MemoryError)
    assert len(set(params(study))) == PROGRAMS


# -- any program -----------------------------------------------------------------------------------

Node = tuple[str, dict[Any, Any]] | None  # what is asked for, and what follows from each answer


@dataclass
class Program:
    """A random program: what it asks for next depends on what it was given."""

    distributions: dict[str, BaseDistribution]
    root: Node

    @classmethod
    def random(cls, seed: int) -> Program:
        draw = random.Random(seed)
        distributions: dict[str, BaseDistribution] = {}
        for k in range(8):
            if draw.random() < 0.5:
                distributions[f"p{k}"] = IntDistribution(0, draw.randint(1, 4))
            else:
                distributions[f"p{k}"] = CategoricalDistribution(list("abcd")[: draw.randint(2, 4)])

        def node(depth: int, used: frozenset[str]) -> Node:
            left = [name for name in distributions if name not in used]
            if not depth:
                return None
            name = draw.choice(left)
            used = used | {name}
            common = node(depth - 1, used) if draw.random() < 0.6 else None
            after: dict[Any, Node] = {}
            for value in _values(distributions[name]):
                other = node(depth - 1, used) if draw.random() < 0.7 else None
                after[value] = common if draw.random() < 0.6 else other
            return name, after

        while True:
            program = cls(distributions, node(4, frozenset()))
            if 10 <= len(program.paths()) <= 60:
                return program

    def paths(self) -> set[frozenset[tuple[str, Any]]]:
        """All programs there are."""

        def walk(node: Node, path: frozenset[tuple[str, Any]]) -> Iterator[Any]:
            if node is None:
                yield path
            else:
                for value, after in node[1].items():
                    yield from walk(after, path | {(node[0], value)})

        return set(walk(self.root, frozenset()))

    def __call__(self, trial: optuna.Trial) -> float:
        node, total = self.root, 0.0
        while node is not None:
            name, after = node
            distribution = self.distributions[name]
            if isinstance(distribution, IntDistribution):
                value: Any = trial.suggest_int(name, distribution.low, distribution.high)
            else:
                value = trial.suggest_categorical(name, distribution.choices)
            total += value if isinstance(value, int) else "dbca".index(value)
            node = after[value]
        return total


def _values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1))
    return list(distribution.choices)


@pytest.mark.parametrize("given", [True, False], ids=["given", "learned"])
@pytest.mark.parametrize("seed", range(6))
def test_every_program_of_any_conditional_space_once(seed: int, given: bool) -> None:
    program = Program.random(seed)
    space = program.distributions if given else None
    study = optuna.create_study(sampler=DsiceSampler(search_space=space, seed=seed))
    study.optimize(program, n_trials=200)
    assert len(study.trials) == len(set(params(study)))
    assert set(params(study)) == program.paths()


@pytest.mark.parametrize("kind", ["memory", "journal"])
@pytest.mark.parametrize("space", [None, SVM_OR_TREE], ids=["learned", "given"])
def test_threads_repeat_nothing_once_it_is_known_what_goes_together(
    kind: str, space: Any, tmp_path: Path
) -> None:
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "s"))) if kind == "journal" else None
    sampler = DsiceSampler(search_space=space, seed=0)
    study = optuna.create_study(storage=storage, sampler=sampler)
    for method in ("svm", "tree"):
        study.enqueue_trial({"m": method})
    study.optimize(svm_or_tree, n_trials=2)
    study.optimize(svm_or_tree, n_trials=PROGRAMS - 2, n_jobs=5)
    assert len(study.trials) == len(set(params(study))) == PROGRAMS
