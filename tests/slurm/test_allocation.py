"""Trials as steps inside a real Slurm allocation of four nodes, across kills and allocations."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dsice.study.state import Study
from dsice.study.task import Status

pytestmark = pytest.mark.slurm

TRIALS, KILLS = 120, 3
PROGRAM = """#!/bin/sh
log="$(dirname "$0")/log"
echo "+ $1 $2 $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-none}" >> "$log"
while [ -e "$(dirname "$0")/gate" ]; do sleep 0.1; done
sleep 0.2
echo "{\\"y\\": $((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))}" > "$DSICE_RESULT"
echo "- $1 $2 $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-none}" >> "$log"
"""
STUDY = """
name = "steps"
minimize = "y"
search = "random"
[grid]
a = {{ integers = [0, 99] }}
b = {{ integers = [0, 99] }}
[trial]
command = ["{{study}}/program.sh", "{{a}}", "{{b}}"]
[run]
on = "allocation"
trials = {trials}
{run}
[run.allocation]
poll = "1 s"
grace = "1 s"
{steps}
"""


class Allocation:
    """An allocation of four nodes, and drivers in it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        done = subprocess.run(
            ["salloc", "--no-shell", "-N4", "-J", f"a{os.getpid()}", "--mem=1000", *options],
            capture_output=True,
            text=True,
            check=True,
        )
        self.id = next(word for word in done.stderr.split() if word.isdigit())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out", *arguments],
            cwd=self.folder,
            env=os.environ | {"SLURM_JOB_ID": self.id, "SLURM_JOB_CPUS_PER_NODE": "10(x4)"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> None:
        subprocess.run(["scancel", self.id], check=True)
        until(lambda: not asked("squeue", "-h", "-j", self.id).strip(), "the allocation's end")


def asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture
def allocations(tmp_path: Path) -> Iterator[Any]:
    made: list[Allocation] = []

    def make(*options: str) -> Allocation:
        made.append(Allocation(tmp_path, *options))
        return made[-1]

    yield make
    for allocation in made:
        subprocess.run(["scancel", allocation.id])


def write(folder: Path, trials: int, run: str = "", steps: str = "") -> None:
    (folder / "program.sh").write_text(PROGRAM)
    (folder / "program.sh").chmod(0o755)
    (folder / "study.toml").write_text(STUDY.format(trials=trials, run=run, steps=steps))


def log(folder: Path) -> list[list[str]]:
    try:
        return [line.split() for line in (folder / "log").read_text().splitlines()]
    except FileNotFoundError:
        return []


def test_forty_slots_on_four_nodes_across_kills(allocations: Any, tmp_path: Path) -> None:
    chance = random.Random(0)
    write(tmp_path, TRIALS)
    allocation = allocations("--ntasks-per-node=10")
    for _ in range(KILLS):
        driver = allocation.start()
        time.sleep(chance.uniform(1.0, 4.0))  # the random moment
        driver.kill()
        driver.communicate()
    driver = allocation.start()
    said, _ = driver.communicate()
    assert driver.returncode == 0, said
    study = Study.open(tmp_path / "out")
    assert len(study.with_status(Status.DONE)) == TRIALS
    lines = log(tmp_path)
    begun = [(a, b) for sign, a, b, *_ in lines if sign == "+"]
    assert len(begun) == len(set(begun)) == TRIALS
    assert {node for _, _, _, node, _ in lines} == {"n1", "n2", "n3", "n4"}
    assert study.sessions[-1].parallel == 40
    running: Counter[str] = Counter()
    for sign, _, _, node, _ in lines:
        running[node] += 1 if sign == "+" else -1
        assert running[node] <= 10


def test_each_step_has_gpus_of_its_own(allocations: Any, tmp_path: Path) -> None:
    write(tmp_path, 16, "parallel = 8", "gpus = 1")
    driver = allocations("--ntasks-per-node=2", "--gres=gpu:2").start()
    said, _ = driver.communicate()
    assert driver.returncode == 0, said
    running: Counter[tuple[str, str]] = Counter()
    for sign, _, _, node, gpu in log(tmp_path):
        assert gpu.isdigit()
        running[node, gpu] += 1 if sign == "+" else -1
        assert running[node, gpu] in (0, 1)


def test_the_next_allocation_goes_on(allocations: Any, tmp_path: Path) -> None:
    write(tmp_path, 12, "parallel = 4")
    (tmp_path / "gate").touch()
    first = allocations("--ntasks-per-node=1")
    driver = first.start("--stop-after", "12 s")  # enough for a busy machine to begin trials
    until(lambda: len(log(tmp_path)) == 4, "four programs")
    said, _ = driver.communicate()
    assert driver.returncode == 75, said
    until(lambda: not asked("squeue", "-h", "-s", "-j", first.id).strip(), "the steps' ends")
    # Now without leaving in time: driver and allocation go together.
    driver = first.start()
    until(lambda: len(log(tmp_path)) == 8, "the same trials again")
    driver.kill()
    driver.communicate()
    first.end()
    (tmp_path / "gate").unlink()
    driver = allocations("--ntasks-per-node=1").start()
    said, _ = driver.communicate()
    assert driver.returncode == 0, said
    study = Study.open(tmp_path / "out")
    assert len(study.with_status(Status.DONE)) == 12
    kinds = [str(attempt.kind) for attempt in study.trials[0].attempts]
    assert kinds == ["cancelled", "preempted", "ok"]


def test_ctrl_c_twice_ends_steps(allocations: Any, tmp_path: Path) -> None:
    write(tmp_path, 12, "parallel = 4")
    (tmp_path / "gate").touch()
    allocation = allocations("--ntasks-per-node=1")
    driver = allocation.start()
    until(lambda: len(log(tmp_path)) == 4, "four programs")
    done = subprocess.run(
        [sys.executable, "-m", "dsice.cli", "stop", "out", "--cancel"], cwd=tmp_path
    )
    assert done.returncode == 0
    said, _ = driver.communicate()
    assert driver.returncode == 130, said
    events = map(json.loads, (tmp_path / "out" / "journal.jsonl").read_text().splitlines())
    kinds = [event["kind"] for event in events if event["event"] == "ended"]
    assert kinds == ["cancelled"] * 4
