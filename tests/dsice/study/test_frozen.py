"""The frozen study file: a study keeps its levels, whatever levels a later version would choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dsice
from dsice.errors import DamagedStudy
from dsice.study.frozen import load_for
from dsice.study.known import Result, add_known
from dsice.study.state import Study
from tests.conftest import Dsice, StudyFile

GRID = "a = { range = [0, 1] }\nb = { log = [0.001, 1], expect = 0.1 }"
FEW = {"a": [0, 0.3, 0.7, 1], "b": [0.001, 0.01, 0.1, 1]}
PROGRAM = '#!/bin/sh\necho "{\\"y\\": $1}"\n'


def few(
    name: str, first: float, last: float, levels: int | None, *, log: bool
) -> list[int | float]:
    """Another version's rule."""
    return list(FEW["b" if log else "a"])


@pytest.fixture
def begun(tmp_path: Path, study_file: StudyFile, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study in ``out`` that an earlier version began, with other levels, and its file."""
    path = study_file(grid=GRID, program=PROGRAM, run="trials = 4")
    with monkeypatch.context() as earlier:
        earlier.setattr("dsice.axis.continuous", few)
        config, directory = load_for(path, tmp_path / "out")
        add_known(config, directory, [Result((1, 2), {"y": 0.3}, "", "line 1")], "elsewhere")
    return path


def levels(study: Study) -> dict[str, list[Any]]:
    return {axis.name: list(axis.levels) for axis in study.config.grid.axes}


def test_a_study_resumes_on_the_levels_with_which_it_began(
    begun: Path, dsice: Dsice, tmp_path: Path
) -> None:
    done = dsice("run", begun, "--in", "out", "--first", "a=0.6,b=0.02")
    assert done.returncode == 0, done.stderr
    study = Study.open(tmp_path / "out")
    assert levels(study) == FEW
    assert not study.changes
    assert len(study.trials) == 4
    assert study.trials[0].params == {"a": 0.7, "b": 0.01}  # the nearest of its own levels
    assert list(study.config.beliefs["b"]) == FEW["b"]
    (tmp_path / "more.csv").write_text("a,b,y\n0,0.001,0\n")
    assert dsice("import", begun, "more.csv", "--in", "out").returncode == 0
    assert Study.open(tmp_path / "out").known[-1].params == {"a": 0, "b": 0.001}


def test_a_range_that_changes_has_the_levels_of_now(
    begun: Path, dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(grid=GRID.replace("[0, 1]", "[0, 2]"), program=PROGRAM, run="trials = 2")
    assert dsice("run", begun, "--in", "out").returncode == 0
    study = Study.open(tmp_path / "out")
    assert levels(study)["b"] == FEW["b"]
    assert levels(study)["a"][:4] == [0, 0.1, 0.2, 0.3]
    assert study.config.grid.axes[0].retired == ()  # the one with a result is among them
    assert study.known[0].params == {"a": 0.3, "b": 0.1}


def test_a_study_from_python_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tuned(trials: int) -> Study:
        return dsice.tune(
            lambda params: {"y": params["a"] * params["b"]},
            {"a": {"range": [0, 1]}, "b": {"log": [0.001, 1]}},
            "y",
            directory=tmp_path / "out",
            trials=trials,
            isolate=False,
            progress=False,
        )

    with monkeypatch.context() as earlier:
        earlier.setattr("dsice.axis.continuous", few)
        tuned(2)
    study = tuned(5)
    assert levels(study) == FEW
    assert study.changes == []
    assert len(study.trials) == 5


def test_a_study_that_was_frozen_without_levels_opens_by_the_rule(
    study_file: StudyFile, dsice: Dsice, tmp_path: Path
) -> None:
    study_file(grid=GRID, program=PROGRAM, run="trials = 1")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    source = tmp_path / "out" / "source.json"
    frozen = json.loads(source.read_text())
    assert set(frozen.pop("levels")) == {"a", "b"}
    source.write_text(json.dumps(frozen))
    assert len(Study.open(tmp_path / "out").trials) == 1
    assert dsice("run", "study.toml", "--in", "out", "--trials", 2).returncode == 0
    assert set(json.loads(source.read_text())["levels"]) == {"a", "b"}


@pytest.mark.parametrize("changed", ["range = [0, 2]", "range = [0, 1], levels = 5"])
def test_kept_levels_hide_no_change_of_the_frozen_file(
    begun: Path, tmp_path: Path, changed: str
) -> None:
    file = tmp_path / "out" / "study.toml"
    file.write_text(file.read_text().replace("range = [0, 1]", changed))
    with pytest.raises(DamagedStudy):
        Study.open(tmp_path / "out")
