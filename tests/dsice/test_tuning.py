"""Tuning a Python function."""

from __future__ import annotations

import subprocess
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import dsice
from dsice.study.call import metrics_of
from dsice.study.state import Study
from dsice.study.task import Status
from tests.dsice.tuned import GOAL, GRID, tune


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
    assert {trial.reason for trial in failed} == {
        "exit code 1: RuntimeError: too far",
        "exit code 1: the function returned a list: it must return a dict of metrics, "
        "{'y': ..., 'z': ...}",
    }


@pytest.mark.parametrize("function", [lambda a, mode: 1.0, lambda: 1.0, lambda *, a: 1.0])
def test_a_function_of_other_arguments_is_refused_before_anything_runs(
    tmp_path: Path, function: Any
) -> None:
    with pytest.raises(dsice.InvalidInput, match="with the dict of all parameters"):
        tune(function, tmp_path)
    assert not (tmp_path / "x").exists()


def test_a_number_is_the_metric_of_a_goal_that_reads_one(tmp_path: Path) -> None:
    grid, goal = dsice.Grid([dsice.Axis("a", [1.5, 2.5])]), dsice.Goal(maximize="score")
    study = dsice.tune(
        lambda params: params["a"], grid, goal, directory=tmp_path / "x", progress=False
    )
    assert {t.params["a"]: t.metrics["score"] for t in study.trials} == {1.5: 1.5, 2.5: 2.5}


class Tensor:
    """As far as NumPy's arrays and PyTorch's tensors are alike."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = numbers
        self.shape = (len(numbers),) if len(numbers) > 1 else ()

    def item(self) -> float:
        (number,) = self.numbers
        return number


@pytest.mark.parametrize(
    ("returned", "needed", "metrics"),
    [
        (0.5, ("y",), {"y": 0.5}),
        (np.float32(0.5), ("y",), {"y": 0.5}),
        (np.array(3), ("y",), {"y": 3}),
        (Tensor(0.5), ("y",), {"y": 0.5}),
        (Fraction(1, 2), ("y",), {"y": 0.5}),
        (Decimal("0.5"), ("y",), {"y": 0.5}),
        ({"y": Tensor(1.0), "z": np.int64(2)}, ("y", "z"), {"y": 1.0, "z": 2}),
        (np.ones((1, 1)), ("y",), {"y": 1.0}),
        ({"y": np.ones(1), "note": "fine"}, ("y",), {"y": 1.0, "note": "fine"}),
        (MappingProxyType({"y": 1}), ("y",), {"y": 1}),
    ],
)
def test_what_a_function_may_return(returned: Any, needed: Any, metrics: Any) -> None:
    found = metrics_of(returned, needed)
    assert found == metrics
    assert all(type(each) in (int, float, str) for each in found.values())


@pytest.mark.parametrize(
    ("returned", "needed", "message"),
    [
        (None, ("y",), r"returned None, not \{'y': ...\}: has it a return statement"),
        ([0.5], ("y",), r"returned a list: it must return a dict of metrics, \{'y': ...\}"),
        ((0.5, 1), ("y", "z"), r"returned a tuple: it must .*, \{'y': ..., 'z': ...\}"),
        (0.5, ("y", "z"), r"returned one number, and the goal reads 2 metrics: it must return"),
        ("0.5", ("y",), "returned a str: it must return a dict"),
        (True, ("y",), "returned a bool: it must return a dict"),
        (np.ones(3), ("y",), "returned a ndarray: it must return a dict"),
        ({"y": np.ones((2, 3))}, ("y",), "metric 'y' is a ndarray of 2x3 numbers: it must be one"),
        ({"y": Tensor(1.0, 2.0)}, ("y",), "metric 'y' is a Tensor of 2 numbers: it must be one"),
    ],
)
def test_what_a_function_may_not_return(returned: Any, needed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics_of(returned, needed)


def test_a_study_without_results_has_no_best(tmp_path: Path) -> None:
    def function(params: dict[str, Any]) -> dict[str, float]:
        return {"y": float("nan"), "z": 1.0}

    study = tune(function, tmp_path, trials=2)
    with pytest.raises(dsice.NoResult, match=r"all 2 failed; the last, .*: metric 'y' is NaN, not"):
        _ = study.best
    with pytest.raises(ValueError, match=str(tmp_path / "x")):  # as Optuna's best_trial
        _ = study.best
    other = dsice.tune(
        lambda params: {"y": 1.0, "z": 9.0},
        GRID,
        GOAL,
        directory=tmp_path / "bounds",
        trials=2,
        progress=False,
    )
    with pytest.raises(dsice.NoResult, match="none of 2 that were measured keeps the bounds"):
        _ = other.best


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"parallel": 0}, r"dsice\.tune: key 'run\.parallel' = 0"),
        ({"search": "magic"}, '"magic": accepted are'),
        ({"timeout": -1}, "is no duration"),
        ({"trials": "ten"}, r"key 'run\.trials'"),
        ({"changed": "yes"}, "changed = 'yes': accepted are 'refuse' and 'accept'"),
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
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "GaveUp: 2 trials in a row failed alike: exit code 1: dsice.errors.InvalidInput" in (
        done.stderr
    )
    assert "put the call under if __name__ == '__main__':" in done.stderr


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


def test_not_a_function(tmp_path: Path) -> None:
    with pytest.raises(dsice.InvalidInput, match="function must be callable"):
        tune("f", tmp_path)


# -- in fewer words --------------------------------------------------------------------------------


def test_a_grid_as_a_dict_and_a_goal_as_a_name(tmp_path: Path) -> None:
    levels = {
        "a": range(3),
        "lr": {"geometric": [1e-3, 1e-1], "levels": 3},
        "b": np.linspace(0, 1, 3),
        "mode": {"choice": ("slow", "fast")},
        "strange name": [1],
    }
    more: dict[str, Any] = {"directory": tmp_path / "x", "trials": 2, "progress": False}
    with pytest.raises(dsice.InvalidInput, match="'strange name'"):
        dsice.tune(lambda p: p["a"], levels, "loss", **more)
    del levels["strange name"]
    study = dsice.tune(lambda p: p["a"] + p["lr"], levels, "loss", **more)
    assert study.config.grid.axes == (
        dsice.Axis("a", [0, 1, 2]),
        dsice.Axis.geometric("lr", 1e-3, 1e-1, 3),
        dsice.Axis("b", [0.0, 0.5, 1.0]),
        dsice.Axis.choice("mode", ["slow", "fast"]),
    )
    assert str(study.goal) == str(dsice.Goal(minimize="loss"))
    loaded = dsice.load(tmp_path / "x")
    assert loaded.config.grid.axes == study.config.grid.axes
    assert loaded.best.params == study.best.params
    with pytest.raises(dsice.InvalidInput, match="holds no study"):
        dsice.load(tmp_path)


@pytest.mark.parametrize(
    ("grid", "goal", "message"),
    [
        ({}, "y", "grid"),
        ({"a": 3}, "y", r"grid\.a"),
        ({"a": {"linaer": [1, 2]}}, "y", r"unknown key 'grid\.a\.linaer': did you mean 'linear'"),
        ([1, 2], "y", r"a dsice\.Grid, or a dict of levels by name, is needed"),
        ({"a": [1, 2]}, None, r"goal = None: a dsice\.Goal, or the name of a metric, is needed"),
        ({"a": [1, object()]}, "y", "is no number, text or truth value"),
    ],
)
def test_what_is_neither_grid_nor_goal(tmp_path: Path, grid: Any, goal: Any, message: str) -> None:
    with pytest.raises(dsice.InvalidInput, match=message):
        dsice.tune(lambda p: 1, grid, goal, directory=tmp_path / "x", progress=False)
    assert not (tmp_path / "x").exists()


def test_hooks_are_functions_or_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[dict[str, Any]] = []

    def fails(facts: dict[str, Any]) -> None:
        raise RuntimeError("no network")

    study = tune(
        lambda params: {"y": params["a"], "z": params["a"]},
        tmp_path,
        trials=8,
        isolate=False,
        on_best=heard.append,
        on_end=["sh", "-c", 'echo "$1" > end', "sh", "{text}"],
    )
    values = [facts["trial"]["metrics"]["y"] for facts in heard]
    assert values == sorted(set(values), reverse=True)
    assert heard[-1]["trial"]["params"] == study.best.params
    assert {facts["event"] for facts in heard} == {"on_best"}
    end = (study.directory.path / "end").read_text()
    assert end == "x has ended: the budget of 8 trials is used\n"

    more = {"trials": 9, "isolate": False, "on_end": fails, "changed": "accept"}
    assert len(tune(lambda params: {"y": 1.0, "z": 1.0}, tmp_path, **more).trials) == 9
    assert "hook on_end: RuntimeError: no network" in capsys.readouterr().err
    with pytest.raises(dsice.InvalidInput, match="on_best = 'mail': a function, or a list"):
        tune(lambda params: 1.0, tmp_path / "other", on_best="mail")


def test_beliefs_of_a_grid(tmp_path: Path) -> None:
    def metrics(params: dict[str, Any]) -> dict[str, float]:
        return {"y": 1.0, "z": 1.0}

    weights = {"a": np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 0])}
    study = tune(metrics, tmp_path, trials=3, isolate=False, beliefs=weights)
    assert study.config.beliefs["a"][5] == 1
    assert [trial.params["a"] for trial in study.trials[:2]] == [5, 5]
    assert Study.open(tmp_path / "x").config.beliefs == study.config.beliefs
    with pytest.raises(dsice.InvalidInput, match="there is no parameter 'c': a, mode"):
        tune(metrics, tmp_path / "other", beliefs={"c": [1]})
    with pytest.raises(dsice.InvalidInput, match="there are 1, and 10 levels"):
        tune(metrics, tmp_path / "other", beliefs={"a": [1]})
    with pytest.raises(dsice.InvalidInput, match=r"a dict of levels says them itself"):
        dsice.tune(metrics, {"a": [1, 2]}, "y", beliefs={"a": [1, 2]}, progress=False)
