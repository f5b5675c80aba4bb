"""A broken program or machine, as a user meets it: little is lost, and it is said what to do."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import dsice as package
from dsice.errors import GaveUp
from tests.conftest import PROGRAM, Dsice, StudyFile

SCRIPT = "import json, sys\nprint(json.dumps({'y': abs(int(sys.argv[1]) - 3)}))\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('["true"]', ["it wrote no metrics", "must print its metrics as a JSON object on a line"]),
        ('["echo", "loss = 0.{a}"]', ["no JSON object of metrics; its last line is: loss = 0."]),
        (
            '["python3", "t.py", "{a}"]',
            ["can't open file", "write {study}/t.py instead of t.py.", "exit code 2: "],
        ),
        ('["sh", "-c", "exit 3"]', ["exit code 3", "(no output)"]),
    ],
)
def test_a_study_file_that_is_not_right_yet(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path, command: str, said: list[str]
) -> None:
    (tmp_path / "t.py").write_text(SCRIPT)
    study_file(command=command, run="trials = 12")
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 1
    assert "dsice: 5 trials in a row failed alike: " in done.stderr
    assert "They do not count: mend what is wrong and run the same command again" in done.stderr
    assert "  the end of " in done.stderr
    for words in said:
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    status = json.loads(dsice("status", "out", "--json").stdout)
    assert status["failures"] == {}
    assert (status["trials"]["waiting"], status["trials"]["failed"]) == (5, 0)
    assert status["driver"]["ended"].startswith("5 trials in a row failed alike: ")
    study_file(command='["python3", "{study}/t.py", "{a}"]', run="trials = 12")
    done = dsice("run", "study.toml", "--in", "out")
    assert (done.returncode, "12/12" in done.stderr) == (0, True)
    assert json.loads(dsice("status", "out", "--json").stdout)["trials"]["done"] == 12


def test_a_program_that_disappears(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    gone = PROGRAM + 'test $(wc -l < "$(dirname "$0")/calls") != 5 || mv "$0" "$0.gone"\n'
    study_file(program=gone, run="trials = 25")
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 1
    assert "5 trials in a row failed alike: cannot start '" in done.stderr
    for command in (
        ("status", "out"),
        ("best", "out"),
        ("report", "out"),
        ("explain", "out"),
        ("explain", "out", "7"),
        ("export", "out", "--csv", "trials.csv"),
        ("repair", "out"),
    ):
        told = dsice(*command)
        assert (told.returncode, told.stderr) == (0, ""), command
    assert "failed" not in (tmp_path / "trials.csv").read_text()
    study_file(run="trials = 25")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    trials = json.loads(dsice("status", "out", "--json").stdout)["trials"]
    assert (trials["done"], trials["failed"]) == (25, 0)
    assert len(list((tmp_path / "out" / "trials").iterdir())) == 25


def test_an_export_that_has_what_came_to_count_no_more(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    study_file(command='["sh", "-c", "exit 3"]', run="trials = 1")
    assert dsice("run", "study.toml", "--in", "out").returncode == 1
    assert dsice("export", "out", "--optuna", "sqlite:///o.db").returncode == 0
    assert dsice("run", "study.toml", "--in", "out", "--trials", "9").returncode == 1
    told = dsice("export", "out", "--optuna", "sqlite:///o.db")
    assert told.returncode == 0
    assert "1 that ended there does not count here any more: give --name" in told.stdout
    with sqlite3.connect(tmp_path / "o.db") as base:
        states = [state for (state,) in base.execute("select state from trials order by number")]
    assert states == ["FAIL", *["WAITING"] * 4]


def test_a_function_that_returns_nothing(tmp_path: Path) -> None:
    grid = package.Grid([package.Axis.integers("a", 0, 9)])
    goal = package.Goal(minimize="y")
    more: dict[str, Any] = {"directory": tmp_path / "x", "progress": False}
    with pytest.raises(GaveUp, match=r"5 trials in a row failed alike: .*returned None"):
        package.tune(lambda params: None, grid, goal, **more)  # type: ignore[arg-type,return-value]
    study = package.tune(lambda params: {"y": params["a"]}, grid, goal, **more)
    assert study.best.params == {"a": 0}
    assert not [trial for trial in study.trials if trial.reason]


@pytest.mark.parametrize("isolate", [True, False])
def test_a_function_of_one_parameters_value_is_told_what_it_gets(
    tmp_path: Path, isolate: bool
) -> None:
    grid = package.Grid([package.Axis.integers("a", 0, 9), package.Axis("b", [1, 2])])
    more: dict[str, Any] = {"directory": tmp_path / "x", "progress": False, "isolate": isolate}
    hint = r"Is 'a' in <lambda>\(a\) meant .* dict of all parameters: the value is a\['a'\]\."
    with pytest.raises(GaveUp, match=hint):
        package.tune(lambda a: {"y": a**2}, grid, "y", **more)  # type: ignore[operator]
    more["directory"] = tmp_path / "y"
    with pytest.raises(GaveUp) as other:
        package.tune(lambda p: {"y": p**2}, grid, "y", **more)  # type: ignore[operator]
    assert "meant" not in str(other.value)


def test_how_many_in_a_row_is_a_number(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(run="max_consecutive_failures = -1")
    done = dsice("run", "study.toml")
    assert done.returncode == 2
    assert "max_consecutive_failures" in done.stderr
