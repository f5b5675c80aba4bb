"""Kills of the driver with -9 at random moments, and Ctrl-C: nothing lost, nothing run twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dsice.search import make_search
from dsice.study.state import Study

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
Calls = Callable[[], list[str]]
Start = Callable[..., subprocess.Popen[str]]

KILLS = 12
# Long enough that kills find trials running, short enough for a test.
SLOW = """#!/bin/sh
echo "$1 $2" >> "$(dirname "$0")/calls"
sleep 0.3
echo "{\\"y\\": $((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))}"
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dsice.cli", *map(str, arguments)],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def measured(dsice: Dsice, directory: str, tmp_path: Path) -> dict[Any, Any]:
    """Point and result of every trial, by point."""
    lines = (tmp_path / directory / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    points = {e["trial"]: tuple(e["params"].values()) for e in events if e["event"] == "trial"}
    ends = {
        points[e["trial"]]: (e["verdict"], e["metrics"])
        for e in events
        if e["event"] == "ended" and e["verdict"] != "again"
    }
    assert len(ends) == len(points)
    return ends


@pytest.mark.parametrize("search", ["dsice", "dsice-2024"])
def test_many_kills(
    dsice: Dsice,
    study_file: StudyFile,
    program_calls: Calls,
    start: Start,
    tmp_path: Path,
    search: str,
) -> None:
    chance = random.Random(0)
    study_file(
        top=f'minimize = "y"\nsearch = "{search}"',
        grid="a = { integers = [0, 9] }\nb = { integers = [0, 9] }\nc = { integers = [0, 9] }",
        command='["{study}/program.sh", "{a}", "{b}", "{c}"]',
        run="parallel = 4\ntrials = 60",
        program=SLOW.replace('"$1 $2"', '"$1 $2 $3"'),
    )
    for _ in range(KILLS):
        driver = start("run", "study.toml", "--in", "killed")
        time.sleep(chance.uniform(0.2, 1.1))  # the random moment
        driver.kill()
        driver.wait()
    done = dsice("run", "study.toml", "--in", "killed")
    assert done.returncode == 0, done.stderr
    made = program_calls()
    assert len(made) == 60
    assert len(set(made)) == 60
    assert_the_search_went_on_as_if_nothing_had_happened(tmp_path / "killed")

    if search == "dsice-2024":  # its proposals do not depend on which result comes first
        (tmp_path / "calls").unlink()
        assert dsice("run", "study.toml", "--in", "unbroken").returncode == 0
        assert sorted(program_calls()) == sorted(made)
        assert measured(dsice, "killed", tmp_path) == measured(dsice, "unbroken", tmp_path)
        best = [json.loads(dsice("best", d, "--json").stdout) for d in ("killed", "unbroken")]
        assert best[0]["params"] == best[1]["params"]


def assert_the_search_went_on_as_if_nothing_had_happened(directory: Path) -> None:
    """One search that lives from the first trial to the last would have asked for the same."""
    study = Study.open(directory)
    search = make_search(study.config.search, study.config.grid, study.goal, capacity=4)
    for trial, ended in study.history:
        if ended:
            search.tell(trial.point, trial.metrics)
        else:
            assert search.ask() == [trial.point]


GATED = """#!/bin/sh
echo "$1 $2" >> "$(dirname "$0")/calls"
while [ ! -e "$(dirname "$0")/gate" ]; do sleep 0.05; done
echo "{\\"y\\": $1}"
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def stopped_once(
    study_file: StudyFile, program_calls: Calls, start: Start, tmp_path: Path
) -> subprocess.Popen[str]:
    """A driver whose two running trials wait for ``gate``, after a first Ctrl-C."""
    study_file(run="parallel = 2\ntrials = 6", program=GATED)
    driver = start("run", "study.toml", "--in", "out", "--parallel", 2)
    wait_for(lambda: (tmp_path / "calls").exists() and len(program_calls()) == 2)
    driver.send_signal(signal.SIGINT)
    assert driver.stderr is not None
    while "waiting for 2 running" not in driver.stderr.readline():
        pass
    return driver


def test_ctrl_c_waits_for_what_runs(
    dsice: Dsice,
    study_file: StudyFile,
    program_calls: Calls,
    stopped_once: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "gate").touch()
    _, err = stopped_once.communicate(timeout=60)
    assert stopped_once.returncode == 130
    assert "Traceback" not in err
    assert "Resume with: dsice run study.toml --in out --parallel 2" in err
    assert len(program_calls()) == 2
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert len(set(program_calls())) == len(program_calls()) == 6


def test_ctrl_c_twice_ends_what_runs(
    dsice: Dsice, study_file: StudyFile, stopped_once: subprocess.Popen[str], tmp_path: Path
) -> None:
    stopped_once.send_signal(signal.SIGINT)
    _, err = stopped_once.communicate(timeout=60)
    assert stopped_once.returncode == 130
    assert "begins again on resumption" in err
    assert json.loads(dsice("status", "out", "--json").stdout)["trials"]["running"] == 0
    (tmp_path / "gate").touch()
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert json.loads(dsice("status", "out", "--json").stdout)["trials"]["done"] == 6
