"""What Optuna itself says of a study that was exported, and what of its own studies is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.distributions import distribution_of
from dsice.exchange.match import match
from dsice.exchange.optuna_study import constraints, read, write
from dsice.goal import Goal
from dsice.grid import Axis
from dsice.study.config import parse
from dsice.study.task import Status
from tests.dsice.stories import DEMO, Story, demo_story

optuna = pytest.importorskip("optuna")


def loaded(place: Path, name: str) -> Any:
    storage = optuna.storages.RDBStorage(f"sqlite:///{place}")
    return optuna.load_study(study_name=name, storage=storage)


def test_optuna_sees_the_study_as_it_is(tmp_path: Path) -> None:
    study = demo_story(tmp_path / "study").study
    write(study, str(tmp_path / "x.db"))
    seen = loaded(tmp_path / "x.db", "demo")
    assert seen.best_trial.number == study.best.number - 1  # which heeds the bounds
    assert seen.best_value == study.best.metrics["niqe"]
    assert seen.metric_names == ["niqe"]
    assert seen.direction == optuna.study.StudyDirection.MINIMIZE
    about = seen.user_attrs
    assert about["best"].startswith(f"number {study.best.number - 1}: niqe ")
    assert about["goal"] == str(study.goal)
    assert about["directory"] == str(study.directory.path)
    assert len(seen.trials) == len(study.trials)
    for ours, theirs in zip(study.trials, seen.trials, strict=True):
        assert theirs.params == ours.params
        if ours.status is Status.FAILED:
            assert theirs.state == optuna.trial.TrialState.FAIL
            assert theirs.user_attrs["reason"] == ours.reason
            continue
        assert theirs.values == [ours.metrics["niqe"]]
        assert {name: theirs.user_attrs[name] for name in ours.metrics} == ours.metrics
        assert theirs.duration.total_seconds() == pytest.approx(ours.seconds, abs=1e-3)
        assert theirs.datetime_start.timestamp() == pytest.approx(ours.attempts[-1].started)
        feasible = study.goal.feasible(ours.metrics)
        # As Optuna 5 reads it, and as optuna-dashboard 0.21 does.
        assert all(value <= 0 for value in theirs.constraints.values()) == feasible
        assert str(study.goal.bounds[0]) in theirs.constraints
        assert all(value <= 0 for value in theirs._system_attrs["constraints"]) == feasible


@pytest.mark.parametrize("relation", ["<=", "<", ">=", ">"])
@pytest.mark.parametrize("value", [-1e300, 0.3, math.nextafter(0.5, 0), 0.5, 0.6, 1e300])
def test_constraints_agree_with_bounds(relation: str, value: float) -> None:
    goal = Goal(minimize="a", subject_to=[f"b {relation} 0.5", "c <= 1"])
    metrics = {"a": 1.0, "b": value, "c": 0.0}
    first, second = constraints(goal, metrics)["constraints"]
    assert (first <= 0) == goal.feasible(metrics)
    assert second == -1.0


def test_several_objectives(tmp_path: Path) -> None:
    text = DEMO.replace('minimize = "niqe"', 'minimize = ["niqe", "rmse"]\nmaximize = ["psnr"]')
    study = demo_story(tmp_path / "study", text, trials=12).study
    write(study, str(tmp_path / "x.db"))
    seen = loaded(tmp_path / "x.db", "demo")
    assert [d.name for d in seen.directions] == ["MINIMIZE", "MINIMIZE", "MAXIMIZE"]
    assert seen.metric_names == ["niqe", "rmse", "psnr"]
    found = match(read(str(tmp_path / "x.db"), study.config), study.config.grid, study.config.goal)
    assert [r.metrics for r in found.results] == [
        t.metrics if t.status is Status.DONE else None for t in study.trials
    ]


def test_an_export_follows_a_running_study(tmp_path: Path) -> None:
    story = Story(DEMO, tmp_path / "study")
    place = tmp_path / "x.db"
    states = []

    def export() -> None:
        write(story.study, str(place))
        states.append([t.state.name for t in loaded(place, "demo").trials])

    story.session()
    story.stage("pretrain", 5, {"rmse": 12.0})
    export()
    first, second, third = (story.propose((k, 0, 0, 0)) for k in range(3))
    started = [story.begin(first), story.begin(second)]
    export()
    story.now += 30
    story.begin(third)
    story.end(first, started[0], {"niqe": 5.0, "rmse": 13.0})
    story.end(second, started[1], verdict="failed", kind="exit code", reason="exit code 1")
    export()
    export()
    assert states[:2] == [[], ["RUNNING", "RUNNING", "WAITING"]]
    assert states[2:] == [["COMPLETE", "FAIL", "RUNNING"]] * 2
    seen = loaded(place, "demo").trials
    assert seen[0].values == [5.0]
    assert seen[0].constraints["rmse <= 12.18"] == pytest.approx(0.82)
    assert seen[0].user_attrs["rmse"] == 13.0
    assert seen[1].user_attrs["reason"] == "exit code 1"


def test_other_studies_are_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "x.db"
    story = demo_story(tmp_path / "a", trials=4)
    write(story.study, str(place))
    other = demo_story(tmp_path / "b", trials=6)
    with pytest.raises(InvalidInput, match="holds another study 'demo': give --name NAME"):
        write(other.study, str(place))
    assert len(loaded(place, "demo").trials) == 4
    write(other.study, str(place), "beside")
    assert len(loaded(place, "beside").trials) == 6
    storage = f"sqlite:///{place}"
    optuna.create_study(storage=storage, study_name="theirs").enqueue_trial({"x": 1})
    with pytest.raises(InvalidInput, match="another study 'theirs'"):
        write(story.study, str(place), "theirs")
    config = story.study.config
    with pytest.raises(InvalidInput, match="several studies: give --study "):
        read(str(place), config)
    with pytest.raises(InvalidInput, match="no study 'none': there is demo, beside, theirs"):
        read(str(place), config, "none")
    assert len(read(storage, config, "beside").rows) == 6


def test_an_export_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    story = demo_story(tmp_path / "a", trials=8)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'x.db'}")
    storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "demo")
    write(story.study, str(tmp_path / "x.db"))  # cut short right after the study was made
    whole = story.study.trials
    for kept in (0, 3, 8):
        place = tmp_path / f"{kept}.db"
        story.study.trials = whole[:kept]
        write(story.study, str(place))
        story.study.trials = whole
        write(story.study, str(place))
        found = [t.user_attrs["trial"] for t in loaded(place, "demo").trials]
        assert found == list(range(1, 9))


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        (Axis.integers("x", 1, 9), "IntDistribution(high=9, log=False, low=1, step=1)"),
        (Axis("x", [64, 32, 96]), "IntDistribution(high=96, log=False, low=32, step=32)"),
        (Axis.geometric("x", 1, 64, step=2), "IntDistribution(high=64, log=True, low=1, step=1)"),
        (Axis("x", [1, 2, 9]), "IntDistribution(high=9, log=False, low=1, step=1)"),
        (Axis("x", [7]), "IntDistribution(high=7, log=False, low=7, step=1)"),
        (
            Axis.linear("x", 0, 1.5, step=0.1),
            "FloatDistribution(high=1.5, log=False, low=0.0, step=0.1)",
        ),
        (
            Axis.geometric("x", 1e-4, 1, 5),
            "FloatDistribution(high=1.0, log=True, low=0.0001, step=None)",
        ),
        (Axis("x", [0, 0.5, 3]), "FloatDistribution(high=3.0, log=False, low=0.0, step=None)"),
        (Axis.choice("x", [2, 1]), "CategoricalDistribution(choices=(2, 1))"),
        (Axis("x", ["a", 1]), "CategoricalDistribution(choices=('a', 1))"),
    ],
    ids=str,
)
def test_axes_become_distributions(axis: Axis, text: str) -> None:
    made = distribution_of(optuna, axis)
    assert str(made) == text
    assert all(made._contains(made.to_internal_repr(level)) for level in axis.levels)


def test_a_study_that_optuna_made(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'own.db'}"
    study = optuna.create_study(storage=storage, study_name="own")

    def objective(trial: Any) -> Any:
        x = trial.suggest_float("x", 0, 1, step=0.1)
        how = trial.suggest_categorical("how", ["a", "b"])
        trial.set_user_attr("size", 10 * x)
        trial.set_user_attr("note", "text")
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError("broke")
        return x + (how == "a")

    for k in (3, 7, 1, 5, 6):
        study.enqueue_trial({"x": k * 0.1, "how": "ab"[k % 2]})
    study.optimize(objective, n_trials=5, catch=(ValueError,))
    study.enqueue_trial({"x": 0.9, "how": "a"})
    text = """
name = "own"
minimize = "y"
subject_to = ["size <= 9"]
[grid]
x = { linear = [0, 1], step = 0.1 }
how = { choice = ["a", "b"] }
[trial]
command = ["run"]
"""
    config = parse(text, tmp_path)
    found = match(read(storage, config), config.grid, config.goal)
    assert [(r.point, r.metrics) for r in found.results] == [
        ((3, 1), {"y": 0.1 * 3, "size": 10 * (0.1 * 3)}),
        ((7, 1), {"y": 0.1 * 7, "size": 10 * (0.1 * 7)}),
        ((1, 1), {"y": 0.1, "size": 1.0}),
        ((6, 0), None),
    ]
    assert found.left_out == {
        "it was pruned": (1, "trial 3"),
        "it has not ended": (1, "trial 5"),
    }
    maximizing = parse(text.replace("minimize", "maximize"), tmp_path)
    with pytest.raises(InvalidInput, match="is to minimize and this study to maximize 'y': give"):
        match(read(storage, maximizing), config.grid, maximizing.goal)


def test_none_is_a_level_and_what_was_not_drawn_is_none_of_them(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'none.db'}"
    study = optuna.create_study(storage=storage)

    def objective(trial: Any) -> Any:
        how = trial.suggest_categorical("how", ["svm", None])
        kernel = trial.suggest_categorical("kernel", ["rbf", None]) if how == "svm" else "none"
        return (how is None) + 0.5 * (kernel is None)

    for how, kernel in (("svm", "rbf"), ("svm", None), (None, None)):
        study.enqueue_trial({"how": how, "kernel": kernel})
    study.optimize(objective, n_trials=3)
    text = """
name = "none"
minimize = "y"
[grid]
how = { choice = ["svm", "None"] }
kernel = { choice = ["None", "rbf"] }
[trial]
command = ["run"]
"""
    config = parse(text, tmp_path)
    found = match(read(storage, config), config.grid, config.goal)
    assert [(r.point, r.metrics) for r in found.results] == [
        ((0, 1), {"y": 0}),
        ((0, 0), {"y": 0.5}),
    ]
    assert found.left_out == {"parameter 'kernel' is missing": (1, "trial 2")}
