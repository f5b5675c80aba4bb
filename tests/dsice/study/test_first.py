"""Settings that the user knows to work: measured first, and what the best is compared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dsice
from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid
from dsice.search.why import Role
from dsice.study.baseline import Baseline, gain
from dsice.study.facts import Trial
from dsice.study.first import points_of, setting_of
from dsice.study.state import Study
from tests.conftest import Dsice, StudyFile

GRID = Grid(
    [
        Axis.geometric("lr", 1e-4, 1e-1, 4),
        Axis("n", [1, 2, 4]),
        Axis.choice("layout", ["aos", "soa"]),
        Axis("fast", [False, True]),
    ],
    allowed="n * lr < 0.4",
)
GOOD: dict[str, Any] = {"lr": 1e-3, "n": 2, "layout": "soa", "fast": True}


def test_settings_become_points() -> None:
    other = GOOD | {"fast": False}
    texts = setting_of("lr=1e-3, n=2,layout=soa,fast=false")
    assert points_of(GRID, [GOOD, other]) == ((1, 1, 1, 1), (1, 1, 1, 0))
    assert points_of(GRID, [texts]) == ((1, 1, 1, 0),)
    assert points_of(GRID, [GOOD | {"lr": 2e-3, "n": 3.4}], nearest=True) == ((1, 2, 1, 1),)


def test_a_number_within_a_continuous_range_finds_its_nearest_level() -> None:
    grid = Grid([Axis.log("lr", 1e-5, 1e-1), Axis.range("m", 0, 1), Axis("n", [1, 2])])
    told: list[str] = []
    points = points_of(grid, [{"lr": "3e-4", "m": 0.52, "n": 1}], tell=told.append)
    assert [grid.params(point) for point in points] == [{"lr": 3.2e-4, "m": 0.5, "n": 1}]
    assert told == [
        "first setting 1: lr = 3e-4 is no level; 0.00032 is taken",
        "first setting 1: m = 0.52 is no level; 0.5 is taken",
    ]
    # Between 1.8e-5 and 3.2e-5 the nearer one changes where their ratio is halved.
    assert points_of(grid, [{"lr": 2.45e-5, "m": 1, "n": 1}]) == ((2, 20, 0),)
    assert points_of(grid, [{"lr": 2.35e-5, "m": 1, "n": 1}]) == ((1, 20, 0),)
    for beyond in (0.2, 0.0, -1.0):
        with pytest.raises(InvalidInput, match=r"lr = .* is outside its range, 1e-05 to 0\.1"):
            points_of(grid, [{"lr": beyond, "m": 1, "n": 1}])
    with pytest.raises(InvalidInput, match=r"n = 1\.4 is no level; the nearest is 1"):
        points_of(grid, [{"lr": 0.1, "m": 1, "n": 1.4}])


def test_what_is_taken_instead_is_said(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    program = '#!/bin/sh\necho "$1 $2" >> calls\necho "{\\"y\\": $1}"\n'
    study_file(grid="a = { log = [1, 10] }\nb = [1, 2]", program=program, run="trials = 1")
    done = dsice("run", "study.toml", "--in", "out", "--first", "a=3,b=1")
    assert done.returncode == 0, done.stderr
    assert "dsice: first setting 1: a = 3 is no level; 3.2 is taken" in done.stderr
    assert Study.open(tmp_path / "out").trials[0].params == {"a": 3.2, "b": 1}
    planned = dsice("run", "study.toml", "--in", "new", "--first", "a=3,b=1", "--dry-run")
    assert "a = 3 is no level; 3.2 is taken" in planned.stdout
    assert "The first is a = 3.2, b = 1" in planned.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([{"lr": 1e-3}], "setting 1: 'n' is missing"),
        ([GOOD, GOOD | {"m": 1}], "setting 2: there is no parameter 'm'"),
        ([GOOD | {"lr": 2e-3}], "lr = 0.002 is no level; the nearest is 0.001"),
        ([GOOD | {"layout": "x"}], "layout = 'x' is no level: aos, soa"),
        ([GOOD | {"fast": 1}], "fast = 1 is no level"),
        ([GOOD | {"lr": 0.1, "n": 4}], "the rule 'allowed' excludes it"),
        ([GOOD, dict(GOOD)], "setting 2: it is there twice"),
        ([GOOD | {"n": None}], "n = None is no level"),
    ],
)
def test_what_is_no_point_is_said(settings: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        points_of(GRID, settings)


@pytest.mark.parametrize("text", ["", "lr", "lr=", "=1", "lr=1,lr=2"])
def test_what_is_no_setting_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="write NAME=VALUE"):
        setting_of(text)


@pytest.mark.parametrize("search", ["dsice", "dsice-2018", "random"])
def test_they_are_measured_first_and_once(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path, search: str
) -> None:
    top = f'minimize = "y"\nsearch = "{search}"\nfirst = [{{ a = 9, b = 9 }}, {{ a = 3, b = 5 }}]'
    study_file(top=top, run="trials = 4\nparallel = 2")
    arguments = ("run", "study.toml", "--in", "out")
    first = dsice(*arguments, "--trials", 1)
    assert first.returncode == 0, first.stderr
    assert "Baseline (trial 1): nothing better has been found" in first.stdout
    done = dsice(*arguments, "--first", "a=4,b=6")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "9 9"
    assert len(set(calls)) == 4
    study = Study.open(tmp_path / "out")
    assert [tuple(t.params.values()) for t in study.trials[:3]] == [(9, 9), (4, 6), (3, 5)]
    assert [t.why.role for t in study.trials[:3] if t.why] == [Role.GIVEN] * 3
    assert study.trials[3].why is not None
    assert study.trials[3].why.role is not Role.GIVEN
    # (9, 9) has 45 and (4, 6) and (3, 5) have 1.
    line = "Baseline (trial 1): the best has y 97.8 % lower (by a factor of 45)"
    assert line in done.stdout
    assert line in dsice("status", "out").stdout
    told = json.loads(dsice("status", "out", "--json").stdout)["baseline"]
    assert (told["trial"], told["measured"]) == (1, 1)
    assert told["best_to_baseline"] == pytest.approx(1 / 45)
    assert dsice("report", "out").returncode == 0
    assert "97.8 % lower" in (tmp_path / "out" / "report.html").read_text()
    assert "given by the user, to be measured first" in dsice("explain", "out", 1).stdout


def test_bad_settings_stop_before_anything_runs(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top='minimize = "y"\nfirst = [{ a = 99, b = 1 }]')
    refused = dsice("run", "study.toml", "--in", "out")
    assert refused.returncode == 2
    assert "a = 99 is no level; the nearest is 9" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_from_python(tmp_path: Path) -> None:
    study = dsice.tune(
        lambda params: {"y": float(params["a"])},
        dsice.Grid([dsice.Axis("a", [1, 2, 3, 4])]),
        dsice.Goal(minimize="y"),
        trials=2,
        first=[{"a": 4}],
        directory=tmp_path / "out",
        progress=False,
    )
    assert study.trials[0].params == {"a": 4}
    assert Baseline.of(study) is not None


@pytest.mark.parametrize(
    ("goal", "ours", "theirs", "words"),
    [
        (Goal(minimize="y"), 1.0, 1.83, "y 45.4 % lower (by a factor of 1.83)"),
        (Goal(minimize="y"), 9.0, 10.0, "y 10 % lower"),
        (Goal(maximize="y"), 3.0, 1.5, "y 100 % higher (by a factor of 2)"),
        (Goal(minimize="y"), -2.0, 1.0, "y 3 lower"),
        (Goal(maximize="y"), 0.5, 0.0, "y 0.5 higher"),
    ],
)
def test_the_gain_in_words(
    goal: Goal, ours: float, theirs: float, words: str, tmp_path: Path
) -> None:
    def trial(value: float) -> Trial:
        return Trial(study=None, metrics={"y": value})  # type: ignore[arg-type]

    assert gain(goal, trial(ours), trial(theirs)) == words
