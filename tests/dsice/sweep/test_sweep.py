"""``dsice sweep`` and fronts of several objectives, with real processes and files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import dsice as package
from dsice.study.state import Study

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
Calls = Callable[[], list[str]]

# y = (a - 3)^2 + (b - 6)^2 under a bound on z = a: the front is b = 6. Waits while it is shut.
GATED = """#!/bin/sh
echo "$1 $2" >> "$(dirname "$0")/calls"
while [ -e "$(dirname "$0")/shut" ]; do sleep 0.05; done
y=$((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))
echo "{\\"y\\": $y, \\"z\\": $1}"
"""
TRIALS = 20


@pytest.fixture
def measured(dsice: Dsice, study_file: StudyFile) -> None:
    """A study of which 20 trials are measured, for a bound that hardly binds."""
    study_file(
        top='minimize = "y"\nsubject_to = ["z <= 8"]',
        program=GATED,
        run=f"parallel = 4\ntrials = {TRIALS}",
    )
    done = dsice("run", "study.toml")
    assert done.returncode == 0, done.stderr


def files(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def sweep(dsice: Dsice, *more: object) -> subprocess.CompletedProcess[str]:
    return dsice("sweep", "runs/small", "--bound", "z", "0:3", *more)


@pytest.mark.usefixtures("measured")
def test_a_sweep_only_reads(dsice: Dsice, tmp_path: Path) -> None:
    before = files(tmp_path)
    said = sweep(dsice, "--json", "--at", "0,1,2,3")
    assert said.returncode == 0, said.stderr
    assert sweep(dsice).returncode == 0
    assert files(tmp_path) == before
    answer = json.loads(said.stdout)
    trials = Study.open(tmp_path / "runs/small").trials
    for row in answer["bounds"]:
        kept = [t for t in trials if t.metrics["z"] <= row["limit"]]
        best = min((t.metrics["y"] for t in kept), default=None)
        assert row["objective"] == best
        assert (row["trial"] is None) == (best is None)
        asked = dsice("best", "runs/small", "--json", "--subject-to", row["bound"])
        found = json.loads(asked.stdout)
        assert (found and found["trial"]) == row["trial"]
    assert [entry["metrics"]["z"] for entry in answer["front"]] == sorted(
        entry["metrics"]["z"] for entry in answer["front"]
    )


@pytest.mark.usefixtures("measured")
def test_further_trials_go_where_it_is_thin(
    dsice: Dsice, tmp_path: Path, program_calls: Calls
) -> None:
    before = json.loads(sweep(dsice, "--json").stdout)
    said = sweep(dsice, "--trials", 8, "--json")
    assert said.returncode == 0, said.stderr
    assert len(set(program_calls())) == len(program_calls()) == TRIALS + 8
    study = Study.open(tmp_path / "runs/small")
    further = [trial for trial in study.trials if trial.sweep == 1]
    assert [trial.number for trial in further] == list(range(TRIALS + 1, TRIALS + 9))
    # 40 % of the grid answers a bound of the range, and the single bound's best is at its edge.
    assert sum(trial.metrics["z"] <= 3 for trial in further) >= 6
    after = json.loads(said.stdout)
    assert after["hypervolume"] >= before["hypervolume"]
    assert dsice("explain", "runs/small", TRIALS + 5).returncode == 0
    # The study itself goes on as before.
    assert dsice("run", "study.toml", "--trials", TRIALS + 10).returncode == 0
    assert len(set(program_calls())) == len(program_calls()) == TRIALS + 10


@pytest.mark.usefixtures("measured")
def test_a_killed_sweep_goes_on_and_measures_no_more_than_asked(
    dsice: Dsice, tmp_path: Path, program_calls: Calls
) -> None:
    (tmp_path / "shut").touch()
    arguments = ["sweep", "runs/small", "--bound", "z", "0:3", "--trials", "6", "--parallel", "2"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "dsice.cli", *arguments],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while len(program_calls()) < TRIALS + 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(program_calls()) == TRIALS + 2
    finally:
        driver.kill()
        driver.wait()
        (tmp_path / "shut").unlink()
    done = dsice(*arguments)
    assert done.returncode == 0, done.stderr
    assert len(set(program_calls())) == len(program_calls()) == TRIALS + 6
    study = Study.open(tmp_path / "runs/small")
    assert [(each.proposed, each.ended) for each in study.sweeps] == [(6, True)]
    # Asked again after its end, it is another sweep.
    assert dsice(*arguments).returncode == 0
    assert len(set(program_calls())) == TRIALS + 12


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bound", "y", "0:3"], "'y' is the objective"),
        (["--bound", "q", "0:3"], "'q' is in no result: there are y, z"),
        (["--bound", "z", "3:3"], "is empty"),
        (["--bound", "z", "3:0"], "write z 0:3"),
        (["--bound", "z", "0:x"], "'x' is no finite number"),
        (["--bound", "z", "0:3", "--at", "5"], "not within the range"),
        (["--bound", "z", "0:3", "--parallel", "2"], "needs --trials"),
        (["--bound", "z", "0:3", "--trials", "0"], "--trials 0"),
    ],
)
def test_mistakes_get_one_line(
    dsice: Dsice, tmp_path: Path, arguments: list[str], words: str
) -> None:
    before = files(tmp_path)
    said = dsice("sweep", "runs/small", *arguments)
    assert said.returncode == 2
    assert said.stderr.startswith("dsice: ")
    assert said.stderr.count("\n") == 1
    assert words in said.stderr
    assert files(tmp_path) == before


@pytest.mark.usefixtures("measured")
def test_a_range_that_nothing_keeps(dsice: Dsice) -> None:
    said = dsice("sweep", "runs/small", "--bound", "z -5:-1")
    assert said.returncode == 1
    assert "no trial keeps the bounds anywhere" in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_study_with_two_objectives(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(top='minimize = ["y", "z"]', run="parallel = 2\ntrials = 16")
    assert dsice("run", "study.toml").returncode == 0
    study = Study.open(tmp_path / "runs/small")
    pairs = {(t.metrics["y"], t.metrics["z"]) for t in study.trials}
    best = {p for p in pairs if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in pairs)}
    assert [(t.metrics["y"], t.metrics["z"]) for t in study.front] == sorted(
        best, key=lambda pair: pair[1]
    )
    answer = json.loads(dsice("best", "runs/small", "--json").stdout)
    assert [entry["trial"] for entry in answer["front"]] == [t.number for t in study.front]
    bounds = ["--subject-to", "z <= 2", "--subject-to", "y <= 5"]
    some = json.loads(dsice("best", "runs/small", "--json", *bounds).stdout)["front"]
    assert {(e["metrics"]["y"], e["metrics"]["z"]) for e in some} == {
        pair for pair in best if pair[0] <= 5 and pair[1] <= 2
    }
    said = dsice("best", "runs/small")
    assert said.returncode == 0
    assert "Hypervolume" in said.stdout


def test_published_forms_take_one_objective(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(top='minimize = ["y", "z"]\nsearch = "dsice-2024"')
    said = dsice("run", "study.toml")
    assert said.returncode == 2
    assert "key 'search'" in said.stderr


def test_tune_with_two_objectives(tmp_path: Path) -> None:
    grid = package.Grid([package.Axis("x", range(12))])
    study = package.tune(
        lambda params: {"cost": (params["x"] - 8) ** 2, "gain": -params["x"]},
        grid,
        package.Goal(minimize=["cost"], maximize=["gain"]),
        trials=12,
        parallel=2,
        directory=tmp_path / "both",
        progress=False,
    )
    assert [trial.params["x"] for trial in study.front] == list(range(9))
    assert [t.number for t in Study.open(tmp_path / "both").front] == [
        t.number for t in study.front
    ]
