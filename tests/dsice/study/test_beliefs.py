"""``expect`` and ``weights`` in a study file, with real processes and files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dsice as package
from dsice.errors import InvalidInput
from dsice.search import make_search
from dsice.search.why import Role
from dsice.study.config import StudyConfig, parse
from dsice.study.frozen import fingerprints
from dsice.study.state import Study
from tests.conftest import Dsice, StudyFile

PROGRAM = """#!/bin/sh
echo "{\\"y\\": $((($1 - 6) * ($1 - 6) + ($2 - 2) * ($2 - 2)))}"
"""
SLOW = PROGRAM.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 0.2\n")
GRID = """a = { integers = [0, 9], expect = 7 }
b = { values = [0, 1, 2, 3, 4], weights = [0, 1, 5, 1, 0] }"""
PLAIN = "a = { integers = [0, 9] }\nb = [0, 1, 2, 3, 4]"


def config_of(grid: str, top: str = "") -> StudyConfig:
    text = f'name = "s"\nminimize = "y"\n{top}\n[grid]\n{grid}\n[trial]\ncommand = ["true"]\n'
    return parse(text, Path("/"))


def believed(entry: str) -> list[float]:
    found: list[float] = config_of(f"x = {entry}").told["beliefs"]["x"]
    return found


@pytest.mark.parametrize(
    ("entry", "peak", "levels"),
    [
        ("{ values = [8, 16, 32, 64, 128], expect = 64 }", 3, 5),
        ("{ linear = [0, 1], levels = 5, expect = 0.25 }", 1, 5),
        ("{ geometric = [1, 64], step = 2, expect = 64 }", 6, 7),
        ("{ integers = [0, 9], expect = 0 }", 0, 10),
        ("{ log = [1e-5, 1e-1], expect = 1e-3 }", 8, 17),
        ("{ log = [1e-5, 1e-1], expect = 1.1e-3 }", 8, 17),
        ("{ range = [0, 1], expect = 0.5 }", 10, 21),
        ('{ choice = ["x", "y", "z"], expect = "y" }', 1, 3),
        ('{ flag = "--fast", expect = true }', 1, 2),
    ],
)
def test_an_expected_value_has_the_largest_weight(entry: str, peak: int, levels: int) -> None:
    weights = believed(entry)
    assert len(weights) == levels
    assert min(weights) > 0
    assert weights.index(max(weights)) == peak
    assert weights.count(max(weights)) == 1
    assert sorted(weights[: peak + 1]) == weights[: peak + 1]
    assert sorted(weights[peak:], reverse=True) == weights[peak:]


def test_weights_are_taken_as_they_are() -> None:
    assert believed("{ values = [8, 16, 32, 64, 128], weights = [1, 2, 8, 2, 1] }") == [
        1,
        2,
        8,
        2,
        1,
    ]
    assert believed('{ choice = ["x", "y", "z"], weights = [0.5, 0, 3] }') == [0.5, 0, 3]
    assert "beliefs" not in config_of("x = [1, 2]").told


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{ values = [8, 16], expect = 12 }", "expect: x = 12 is no level; the nearest is 8$"),
        ('{ choice = ["u", "v"], expect = "w" }', "expect: x = 'w' is no level: u, v"),
        ("{ log = [1e-5, 1e-1], expect = 2 }", "outside its range, 1e-05 to 0.1"),
        ("{ values = [8, 16], weights = [1] }", "there are 1, and 2 levels"),
        ("{ values = [8, 16], weights = [0, 0] }", "all are 0"),
        (
            "{ values = [8, 16], weights = [1, -1] }",
            "item 2 = -1: accepted is a number of 0 or more",
        ),
        (
            "{ values = [8, 16], weights = [1, nan] }",
            "item 2 = nan: accepted is a number of 0 or more",
        ),
        ("{ values = [8, 16], weights = [1, 2], expect = 8 }", "expect or weights, not both"),
    ],
)
def test_what_cannot_be_expected_is_refused(entry: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        config_of(f"x = {entry}")
    assert "grid.x" in str(refused.value)


def test_other_searches_and_the_table_of_search_have_none() -> None:
    with pytest.raises(InvalidInput, match=r"'grid.a': the search 'random'"):
        config_of(GRID, 'search = "random"')
    with pytest.raises(InvalidInput, match=r"'search.beliefs': a study file has them in \[grid\]"):
        config_of(PLAIN, 'search = { name = "dsice", beliefs = { a = [1] } }')


def test_they_are_no_part_of_the_grid() -> None:
    plain, believed = config_of(PLAIN), config_of(GRID)
    assert plain.grid == believed.grid
    before, after = fingerprints(plain), fingerprints(believed)
    assert "beliefs" not in before
    assert {what: digest for what, digest in after.items() if what != "beliefs"} == before


def test_a_study_goes_on_after_kills_as_if_nothing_had_been(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top='minimize = "y"', grid=GRID, run="parallel = 4\ntrials = 24", program=SLOW)
    journal = tmp_path / "out" / "journal.jsonl"
    command = [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out"]
    for ends in (2, 9):
        driver = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not journal.exists() or journal.read_text().count('"event":"ended"') < ends:
            assert driver.poll() is None
        driver.kill()
        driver.wait()
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    study = Study.open(journal.parent)
    assert len(study.finished) == 24
    search = make_search("dsice", study.config.grid, study.goal, capacity=4, **study.config.told)
    for trial, ended in study.history:
        if ended:
            search.tell(trial.point, trial.metrics)
        else:
            assert search.ask() == [trial.point]


def test_the_first_trial_is_the_expected_one_and_says_so(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top='minimize = "y"', grid=GRID, run="parallel = 4\ntrials = 10", program=PROGRAM)
    planned = dsice("run", "study.toml", "--in", "out", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    # Commands that are longer than a line go on after a backslash.
    assert "program.sh 7 2" in " ".join(planned.stdout.replace("\\\n", " ").split())
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    first, *_ = Study.open(tmp_path / "out").trials
    assert first.params == {"a": 7, "b": 2}
    assert first.why is not None
    assert first.why.role is Role.BELIEF
    said = " ".join(dsice("explain", "out", "1").stdout.split())
    assert "Trial 1 was one of the first points, drawn from what the user expects" in said
    assert "drawn from beliefs" in dsice("explain", "out").stdout
    simulated = dsice("simulate", "study.toml", "--history", "out", "--trials", "8")
    assert simulated.returncode == 0, simulated.stderr


def test_beliefs_change_with_results_and_levels(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    def run(grid: str, trials: int) -> Study:
        study_file(top='minimize = "y"', grid=grid, run=f"trials = {trials}", program=PROGRAM)
        done = dsice("run", "study.toml", "--in", "out")
        assert done.returncode == 0, done.stderr
        return Study.open(tmp_path / "out")

    run(PLAIN, 6)
    expected = ("what is expected of the parameters",)
    assert [what for _, what in run(GRID, 8).changes] == [expected]
    # A level is removed that was measured: weights of the others stay with them.
    study = run(
        GRID.replace("[0, 1, 2, 3, 4]", "[0, 1, 3, 4]").replace("[0, 1, 5, 1, 0]", "[0, 1, 1, 0]"),
        10,
    )
    assert len(study.changes) == 2
    axis = study.config.grid.axes[1]
    assert axis.retired == (2,)
    assert study.config.told["beliefs"]["b"] == [0, 1, 0, 1, 0]
    assert [what for _, what in run(PLAIN, 12).changes][2][-1:] == expected
    assert len(run(PLAIN, 13).changes) == 3


def test_a_grid_of_python_has_the_same_keys(tmp_path: Path) -> None:
    study = package.tune(
        lambda params: float((params["a"] - 6) ** 2),
        {"a": {"integers": [0, 9], "expect": 8}, "b": {"choice": ["x", "y"], "weights": [1, 9]}},
        "y",
        trials=6,
        directory=tmp_path / "out",
        progress=False,
        isolate=False,
    )
    assert study.trials[0].params == {"a": 8, "b": "y"}
