"""Tables on disk, and the store of finished runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare.measure import Plan, measure
from benchmarks.compare.problems import from_file, load
from benchmarks.compare.simulate import Run
from benchmarks.compare.store import Key, Store
from tests.benchmarks.problems import small, versions


def test_tables_on_disk_are_read_as_they_were(tmp_path: Path) -> None:
    problem = small()
    assert isinstance(problem.costs, np.ndarray)
    assert problem.allowed is not None
    assert problem.second is not None
    np.savez(
        tmp_path / "one.npz",
        name="small",
        group="hpo",
        kind="table",
        names=["a", "b", "c"],
        types=["ord", "ord", "cat"],
        levels_0=range(5),
        levels_1=range(4),
        levels_2=range(3),
        table=problem.costs,
        allowed=problem.allowed,
        metric2=problem.second,
        metric2_limit=problem.limit,
    )
    assert from_file(tmp_path / "one.npz").digest == problem.digest
    free, bounded = load(tmp_path)
    assert (free.name, bounded.name) == ("small", "small+bound")
    assert bounded.optimum >= free.optimum


def test_the_store_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    problem = small()
    digests = {problem.name: problem.digest}
    store = Store(tmp_path, versions("random"), digests)
    plan = Plan(["random"], [problem], [1, 4], [10, 30], 2)
    keys = list(plan)
    assert [key.budget for key in keys] == [30] * 4  # the smaller budget is a beginning
    for key in keys:
        run = measure(key, problem)
        assert isinstance(run, Run)
        store.add(key, run)
    file = tmp_path / "random.jsonl"
    file.write_text(file.read_text()[:-40])  # as a kill in the middle of writing leaves it
    again = Store(tmp_path, versions("random"), digests)
    assert [key for key in keys if key not in again] == keys[-1:]
    again.add(keys[-1], store.run(keys[-1]))
    full = Store(tmp_path, versions("random"), digests)
    for key in keys:
        stored, original = full.run(key), store.run(key)
        assert stored.costs == pytest.approx(original.costs)
        assert stored.ends == pytest.approx(original.ends, abs=1e-3)
    full.forget("random")
    assert not list(full)
    assert not file.exists()


def test_the_store_forgets_other_versions_and_changed_problems(tmp_path: Path) -> None:
    problem = small()
    key = Key("random", problem.name, 1, 10, 0)
    run = measure(key, problem)
    assert isinstance(run, Run)
    Store(tmp_path, versions("random"), {problem.name: problem.digest}).add(key, run)
    assert key not in Store(tmp_path, {"random": "2"}, {problem.name: problem.digest})
    changed = replace(problem, limit=0.5)
    assert key not in Store(tmp_path, versions("random"), {problem.name: changed.digest})
