"""Tuning a Python function."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import dsice
from dsice.study.state import Status, Study

GRID = dsice.Grid([dsice.Axis.integers("a", 0, 9), dsice.Axis.choice("mode", ["slow", "fast"])])
GOAL = dsice.Goal(minimize="y", subject_to=["z <= 8"])


def tune(function: Any, tmp_path: Path, **more: Any) -> Any:
    return dsice.tune(function, GRID, GOAL, directory=tmp_path / "x", progress=False, **more)


def test_a_function(tmp_path: Path) -> None:
    offset = 3

    def function(params: dict[str, Any]) -> dict[str, float]:
        import numpy as np

        penalty = 0 if params["mode"] == "fast" else 1
        return {"y": np.float64((params["a"] - offset) ** 2 + penalty), "z": params["a"]}

    study = tune(function, tmp_path, trials=9, parallel=2)
    assert study.best.params == {"a": 3, "mode": "fast"}
    assert study.best.metrics == {"y": 0.0, "z": 3.0}
    more = tune(function, tmp_path, trials=11, parallel=2)
    assert len(more.trials) == 11
    assert [t.point for t in more.trials[:9]] == [t.point for t in study.trials]
    with pytest.raises(dsice.InvalidInput, match="another seed"):
        tune(function, tmp_path, trials=11, seed=1)


def test_a_rule_that_is_a_function(tmp_path: Path) -> None:
    grid = dsice.Grid(GRID.axes, allowed=lambda params: params["a"] % 2 == 1)
    study = dsice.tune(
        lambda params: {"y": params["a"], "z": 0},
        grid,
        GOAL,
        directory=tmp_path / "x",
        search="random",
        progress=False,
    )
    assert sorted(trial.params["a"] for trial in study.trials) == [1, 1, 3, 3, 5, 5, 7, 7, 9, 9]


def test_ratios_and_more_trials_than_there_are_programs(tmp_path: Path) -> None:
    axes = [dsice.Axis("a", [1, 2, 4]), dsice.Axis("b", [0, 0.1, 0.2])]
    grid = dsice.Grid(axes, only_ratios_of=["a", "b"])

    def begin(trials: int, grid: dsice.Grid = grid) -> Any:
        return dsice.tune(
            lambda params: {"y": abs(params["b"] / params["a"] - 0.05), "z": 0.0},
            grid,
            GOAL,
            directory=tmp_path / "x",
            trials=trials,
            progress=False,
        )

    assert len(begin(2).trials) == 2
    study = begin(30)
    programs = [grid.program(trial.point) for trial in study.trials]
    assert len(programs) == len(set(programs)) == 5  # b / a is 0, 0.025, 0.05, 0.1 or 0.2
    assert study.best.metrics["y"] == 0
    assert study.sessions[-1].why == "every allowed point is measured"
    assert Study.open(tmp_path / "x").config.grid == grid
    with pytest.raises(dsice.InvalidInput, match="another 'only_ratios_of'"):
        begin(30, dsice.Grid(axes))


def test_functions_that_fail(tmp_path: Path) -> None:
    def function(params: dict[str, Any]) -> Any:
        if params["a"] > 6:
            raise RuntimeError("too far")
        return {"y": 1.0, "z": 1.0} if params["a"] != 5 else [1]

    study = tune(function, tmp_path, search="random")
    failed = study.with_status(Status.FAILED)
    assert {trial.params["a"] for trial in failed} == {5, 7, 8, 9}
    assert "exit code 1: RuntimeError: too far" in {trial.reason for trial in failed}
    assert any("it must return a dict of metrics" in trial.reason for trial in failed)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"parallel": 0}, r"dsice\.tune: key 'run\.parallel' = 0"),
        ({"search": "magic"}, "'magic': accepted are"),
        ({"timeout": -1}, "is no duration"),
        ({"trials": "ten"}, r"key 'run\.trials'"),
    ],
)
def test_bad_arguments(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(dsice.InvalidInput, match=message):
        tune(lambda params: {"y": 1}, tmp_path, **more)
    assert not (tmp_path / "x").exists()


def test_a_module_that_tunes_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import dsice\n"
        "def function(params): return {'y': 1, 'z': 1}\n"
        "grid = dsice.Grid([dsice.Axis('a', [1, 2])])\n"
        "dsice.tune(function, grid, dsice.Goal(minimize='y'), directory='x', progress=False)\n"
    )
    run = [sys.executable, "-c", "import mine"]
    subprocess.run(run, cwd=tmp_path, check=True, timeout=120)
    reasons = {trial.reason for trial in Study.open(tmp_path / "x").trials}
    assert len(reasons) == 1
    assert "put the call under if __name__ == '__main__':" in reasons.pop()


def test_an_end_without_metrics_is_a_failure(tmp_path: Path) -> None:
    def function(params: dict[str, Any]) -> Any:
        print('{"y": 77, "z": 1}', flush=True)
        raise SystemExit(0)

    study = tune(function, tmp_path, trials=1)
    assert study.trials[0].reason == "exit code 1: the function called sys.exit(0)"


def test_what_cannot_be_pickled(tmp_path: Path) -> None:
    lock = threading.Lock()
    with pytest.raises(dsice.InvalidInput, match="the function cannot be pickled"):
        tune(lambda params: {"y": lock.locked()}, tmp_path)
    with pytest.raises(dsice.InvalidInput, match="give a directory"):
        dsice.tune(lambda params: {"y": 1}, GRID, GOAL)


def test_not_a_function(tmp_path: Path) -> None:
    with pytest.raises(dsice.InvalidInput, match="function must be callable"):
        tune("f", tmp_path)
