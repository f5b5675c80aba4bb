"""Threads and processes on one Optuna study: no point is measured twice while there is another."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from dsice.optuna import DsiceSampler

SPACE = {
    "a": IntDistribution(0, 4),
    "b": IntDistribution(0, 3),
    "c": CategoricalDistribution(["x", "y", "z", "w"]),
}
POINTS = 80

# A worker: says that it is ready, and starts when it is told to.
WORKER = """
import sys, warnings
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import event
from sqlalchemy.engine import Engine
from dsice.optuna import DsiceSampler

@event.listens_for(Engine, "connect")
def do_not_wait_for_the_disk(connection, record):
    connection.execute("pragma synchronous = off")

kind, path, given, trials, jobs = sys.argv[1:]
optuna.logging.set_verbosity(optuna.logging.WARNING)
if kind == "journal":
    storage = JournalStorage(JournalFileBackend(path))
else:
    storage = RDBStorage("sqlite:///" + path, engine_kwargs={"connect_args": {"timeout": 300}})
space = {
    "a": IntDistribution(0, 4),
    "b": IntDistribution(0, 3),
    "c": CategoricalDistribution(["x", "y", "z", "w"]),
}
sampler = DsiceSampler(search_space=space if given == "given" else None, seed=0)
study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)

def objective(trial):
    a, b = trial.suggest_int("a", 0, 4), trial.suggest_int("b", 0, 3)
    return (a - 3) ** 2 + (b - 2) ** 2 + "xyzw".index(trial.suggest_categorical("c", list("xyzw")))

print("ready", flush=True)
sys.stdin.readline()
study.optimize(objective, n_trials=int(trials), n_jobs=int(jobs))
"""


def make_storage(kind: str, folder: Path) -> Any:
    if kind == "memory":
        return InMemoryStorage()
    if kind == "journal":
        return JournalStorage(JournalFileBackend(str(folder / "study")))
    return RDBStorage(f"sqlite:///{folder / 'study'}")


def work(storage: Any, kind: str, folder: Path, given: str, trials: int, jobs: int) -> list[Any]:
    """The trials of four processes that begin at the same moment."""
    optuna.create_study(study_name="s", storage=storage)
    arguments = [kind, folder / "study", given, trials, jobs]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", worker.communicate()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors
    return list(optuna.load_study(study_name="s", storage=storage).trials)


def points(trials: list[Any]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(trial.params.values()) for trial in trials if trial.params)


def test_four_processes_of_ten_threads_measure_every_point_once(tmp_path: Path) -> None:
    trials = work(make_storage("journal", tmp_path), "journal", tmp_path, "given", 1000, 10)
    done = points(trials)
    assert len(done) == POINTS
    assert set(done.values()) == {1}
    # Trials that had begun when no point was left ended without asking for a parameter.
    surplus = [trial for trial in trials if not trial.params]
    assert {trial.state for trial in surplus} <= {TrialState.PRUNED}


@pytest.mark.parametrize(("kind", "given"), [("sqlite", "given"), ("journal", "learned")])
def test_four_processes_repeat_nothing(kind: str, given: str, tmp_path: Path) -> None:
    trials = work(make_storage(kind, tmp_path), kind, tmp_path, given, 6, 3)
    assert set(points(trials).values()) == {1}
    assert len(points(trials)) == 24
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("kind", ["memory", "journal"])
@pytest.mark.parametrize("given", [True, False])
def test_forty_threads_repeat_nothing(kind: str, given: bool, tmp_path: Path) -> None:
    sampler = DsiceSampler(search_space=SPACE if given else None, seed=0)
    study = optuna.create_study(storage=make_storage(kind, tmp_path), sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        values = [trial.suggest_int("a", 0, 4), trial.suggest_int("b", 0, 3)]
        return float(sum(values) + len(trial.suggest_categorical("c", ["x", "y", "z", "w"])))

    study.optimize(objective, n_trials=60, n_jobs=40)
    assert set(points(study.trials).values()) == {1}
    assert len(points(study.trials)) == 60
