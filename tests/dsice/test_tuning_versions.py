"""Results of another version of a function are refused unless they are accepted."""

from __future__ import annotations

import json
import operator
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dsice
from tests.dsice.tuned import GOAL, GRID, tune

SCRIPT = """
import sys
import dsice

OFFSET = 3

def function(params):
    return (params["a"] - OFFSET) ** 2

if __name__ == "__main__":
    study = dsice.tune(
        function,
        dsice.Grid([dsice.Axis.integers("a", 0, 9)]),
        dsice.Goal(minimize="y"),
        trials=int(sys.argv[1]),
        directory="study",
        progress=False,
        **dict(each.split("=") for each in sys.argv[2:]),
    )
    print(len(study.trials))
"""


def run_script(folder: Path, text: str, *arguments: str, name: str = "mine.py") -> str:
    """The last line of what a script of this text prints."""
    (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, name, *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return (done.stdout if done.returncode == 0 else done.stderr).splitlines()[-1]


def test_results_of_another_version_are_refused_unless_accepted(tmp_path: Path) -> None:
    assert run_script(tmp_path, SCRIPT, "2") == "2"
    moved = SCRIPT.replace("def function", "# Moved.\n\n\ndef function")
    assert run_script(tmp_path, moved, "3", name="renamed.py") == "3"
    changed = SCRIPT.replace("** 2", "** 4")
    before = (tmp_path / "study" / "journal.jsonl").read_bytes()
    pickled = (tmp_path / "study" / "function.pkl").read_bytes()
    refusal = run_script(tmp_path, changed, "4")
    assert "OtherStudy" in refusal
    assert f"{tmp_path / 'study'} holds results of another version of the function" in refusal
    assert "its code has changed" in refusal
    assert "another directory, or" in refusal
    assert "changed='accept'" in refusal
    assert (tmp_path / "study" / "journal.jsonl").read_bytes() == before
    assert (tmp_path / "study" / "function.pkl").read_bytes() == pickled
    other = run_script(tmp_path, SCRIPT.replace("OFFSET = 3", "OFFSET = 4"), "4")
    assert "its variable 'OFFSET' has changed" in other
    assert run_script(tmp_path, changed, "4", "changed=accept") == "4"
    assert run_script(tmp_path, changed, "5") == "5"  # accepted once is accepted
    assert "its code has changed" in run_script(tmp_path, SCRIPT, "6")
    versions = json.loads((tmp_path / "study" / "function.json").read_text())
    assert [each["trials_before"] for each in versions] == [0, 3]


def test_lambdas_and_rules_that_have_changed(tmp_path: Path) -> None:
    def rule(params: dict[str, Any]) -> bool:
        return bool(params["a"] < 8)

    grid = dsice.Grid(GRID.axes, allowed=rule)
    more: dict[str, Any] = {"directory": tmp_path / "x", "progress": False}
    dsice.tune(lambda p: {"y": p["a"], "z": 0}, grid, GOAL, trials=1, **more)
    dsice.tune(lambda p: {"y": p["a"], "z": 0}, grid, GOAL, trials=2, **more)
    with pytest.raises(dsice.InvalidInput, match="its code has changed"):
        dsice.tune(lambda p: {"y": p["a"], "z": 1}, grid, GOAL, trials=2, **more)
    grid = dsice.Grid(GRID.axes, allowed=lambda params: params["a"] < 7)
    with pytest.raises(dsice.InvalidInput, match="its rule's code has changed"):
        dsice.tune(lambda p: {"y": p["a"], "z": 0}, grid, GOAL, trials=2, **more)


def test_a_function_may_change_while_it_has_no_results(tmp_path: Path) -> None:
    goal = dsice.Goal(minimize="y")
    with pytest.raises(dsice.InvalidInput, match="metric 'y' is not in its result; found: w"):
        dsice.tune(lambda p: {"w": 1}, GRID, goal, directory=tmp_path / "x", progress=False)
    study = dsice.tune(
        lambda p: {"y": 1}, GRID, goal, trials=1, directory=tmp_path / "x", progress=False
    )
    assert study.best.metrics == {"y": 1}


@pytest.mark.parametrize("kept", [None, "{", "[1]"], ids=["missing", "damaged", "strange"])
def test_where_a_change_cannot_be_told_it_is_said(tmp_path: Path, kept: str | None) -> None:
    def function(params: dict[str, Any]) -> dict[str, float]:
        return {"y": 1.0, "z": 1.0}

    tune(function, tmp_path, trials=1)
    versions = tmp_path / "x" / "function.json"
    versions.unlink() if kept is None else versions.write_text(kept)
    with pytest.warns(UserWarning, match="whether the function has changed since cannot be told"):
        tune(function, tmp_path, trials=1)
    tune(function, tmp_path, trials=1)  # from now on it can
    with pytest.warns(UserWarning, match="cannot be told"):
        tune(operator.itemgetter("a"), tmp_path, trials=1)
