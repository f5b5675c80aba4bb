"""Functions that are called in the driver's own process: the same study, without a job a call."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dsice
from dsice.cli import main
from dsice.launch.job import Kind
from dsice.study.task import Status

GRID = {"a": list(range(10)), "b": list(range(10))}


def tune(function: Any, directory: Path, **more: Any) -> Any:
    return dsice.tune(function, GRID, "y", directory=directory, progress=False, **more)


def square(params: dict[str, Any]) -> dict[str, float]:
    return {"y": (params["a"] - 3) ** 2 + (params["b"] - 6) ** 2}


@pytest.mark.parametrize("search", ["random", "dsice", "dsice-2024"])
def test_it_is_the_same_study(tmp_path: Path, search: str) -> None:
    here = tune(square, tmp_path / "here", trials=12, search=search, isolate=False)
    apart = tune(square, tmp_path / "apart", trials=12, search=search)
    found = [[(t.number, t.params, t.metrics) for t in study.trials] for study in (here, apart)]
    assert found[0] == found[1]
    assert not (tmp_path / "here" / "trials").exists()  # no files for a call
    assert [t.why_json for t in here.trials] == [t.why_json for t in apart.trials]
    again = tune(square, tmp_path / "here", trials=15, search=search, isolate=False)
    assert len(again.finished) == 15
    assert [t.params for t in again.trials[:12]] == [t.params for t in here.trials]


def test_a_study_may_go_on_in_processes_of_its_own_and_back(tmp_path: Path) -> None:
    for trials, isolate in ((4, False), (8, True), (12, False)):
        study = tune(square, tmp_path, trials=trials, isolate=isolate)
        assert len(study.with_status(Status.DONE)) == trials
    assert len({t.point for t in study.trials}) == 12


def test_what_a_call_raises_is_its_failure(tmp_path: Path) -> None:
    def function(params: dict[str, Any]) -> Any:
        params["a"] += 1  # its own copy
        match params["a"] % 4:
            case 0:
                raise ValueError("four\nlines")
            case 1:
                sys.exit("no")
            case 2:
                return "text"
        return {"y": np.float64(params["b"]), "device": "cpu"}

    study = tune(function, tmp_path, trials=40, isolate=False, max_consecutive_failures=0)
    reasons = {trial.params["a"] % 4: trial.reason for trial in study.trials}
    assert reasons[3].startswith("ValueError: four")
    assert reasons[0] == "SystemExit: no"
    assert "must return a dict of metrics" in reasons[1]
    assert reasons[2] == ""
    failed = next(trial for trial in study.trials if trial.params["a"] % 4 == 3)
    assert failed.attempts[-1].kind is Kind.EXIT
    assert 'raise ValueError("four' in failed.job.stderr.read_text()


def test_views_bear_trials_without_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(square, tmp_path / "x", trials=12, isolate=False)
    place = str(tmp_path / "x")
    for command in (["status"], ["best"], ["report"], ["explain"], ["repair"]):
        assert main([*command, place]) == 0, command
    assert main(["explain", place, "3"]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"timeout": 5.0}, r"timeout = 5\.0: not with isolate=False"),
        ({"parallel": 2}, "parallel = 2: not with"),
        ({"gpus": "all"}, "gpus = 'all': not with"),
    ],
)
def test_what_one_process_cannot_give_is_refused(
    tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(dsice.InvalidInput, match=words):
        tune(square, tmp_path, isolate=False, trials=1, **given)


def test_what_cannot_be_pickled_can_be_called(tmp_path: Path) -> None:
    lock = threading.Lock()

    def function(params: dict[str, Any]) -> float:
        with lock:
            return float(params["a"])

    for trials in (3, 6):
        study = tune(function, tmp_path, trials=trials, isolate=False)
    assert len(study.finished) == 6


SCRIPT = """
import os, sys, time
import dsice

def function(params):
    with open("calls", "a") as file:
        file.write(f"{params['a']} {params['b']}\\n")
    time.sleep(float(os.environ["LONG"]))
    return {"y": (params["a"] - 3) ** 2 + (params["b"] - 6) ** 2}

grid = {"a": list(range(50)), "b": list(range(50))}
dsice.tune(function, grid, "y", trials=400, directory="x", isolate=False, progress=False,
           search="random")
"""


def start(tmp_path: Path, long: str) -> subprocess.Popen[bytes]:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"LONG": long}
    return subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE
    )


def test_kills_lose_nothing_and_repeat_only_what_they_cut_short(tmp_path: Path) -> None:
    chance = random.Random(0)
    kills = 5
    for _ in range(kills):
        with start(tmp_path, "0.01") as driver:
            time.sleep(chance.uniform(0.5, 1.5))  # the random moment
            driver.kill()
    with start(tmp_path, "0") as driver:
        _, said = driver.communicate()
        assert driver.returncode == 0, said
    study = dsice.load(tmp_path / "x")
    assert len(study.with_status(Status.DONE)) == 400
    for trial in study.trials:
        assert trial.metrics == square(trial.params)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(set(calls)) == 400
    assert len(calls) <= 400 + kills


def test_ctrl_c_twice_breaks_a_call_off(tmp_path: Path) -> None:
    with start(tmp_path, "1000") as driver:
        while not (tmp_path / "calls").exists():
            time.sleep(0.01)
        journal = tmp_path / "x" / "journal.jsonl"
        driver.send_signal(signal.SIGINT)
        driver.send_signal(signal.SIGINT)
        while driver.poll() is None:
            driver.send_signal(signal.SIGINT)  # two that come together are one
            time.sleep(0.1)
        assert b"stopped on request" in driver.stderr.read() if driver.stderr else b""
    study = dsice.load(tmp_path / "x")
    assert study.trials[0].status in (Status.WAITING, Status.RUNNING)
    assert journal.exists()
