"""Kills of the driver with -9 while it ends trials early: no step is run twice, nothing is lost."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.study.state import Study
from dsice.study.task import Status
from tests.dsice.test_crash import Start, start

__all__ = ["start"]

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

KILLS = 20
TRIALS = 48  # all points of the grid, so that most are hopeless, whatever is tried first
# Trains from its checkpoint on. Told to end, it finishes its step.
TRAINING = """#!/bin/sh
trap 'stop=1' TERM
epoch=$(cat checkpoint 2>/dev/null || echo 0)
while [ "$epoch" -lt 16 ]; do
  [ -z "$stop" ] || exit 143
  sleep 0.05
  epoch=$((epoch + 1))
  echo "$1 $2 $epoch" >> "$(dirname "$0")/calls"
  echo $epoch > checkpoint.new && mv checkpoint.new checkpoint
  loss=$((100 * ($1 - 3) * ($1 - 3) + 100 * ($2 - 6) * ($2 - 6) + 800 / epoch))
  echo "{\\"epoch\\": $epoch, \\"loss\\": $loss}" >> "$DSICE_PROGRESS"
done
echo "{\\"loss\\": $((100 * ($1 - 3) * ($1 - 3) + 100 * ($2 - 6) * ($2 - 6)))}"
"""


@pytest.mark.parametrize("pause", ["true", "false"])
def test_twenty_kills(
    dsice: Dsice, study_file: StudyFile, start: Start, tmp_path: Path, pause: str
) -> None:
    chance = random.Random(1)
    study_file(
        top='minimize = "loss"',
        grid="a = { integers = [0, 15] }\nb = { integers = [5, 7] }",
        command='["{study}/program.sh", "{a}", "{b}"]',
        run=f"parallel = 4\ntrials = {TRIALS}",
        program=TRAINING,
    )
    path = tmp_path / "study.toml"
    table = f'[trial.progress]\nstep = "epoch"\nfull = 16\nend_below = 0.05\npause = {pause}\n[run]'
    path.write_text(path.read_text().replace("[run]", table))
    for _ in range(KILLS if pause == "true" else KILLS // 2):
        driver = start("run", "study.toml", "--in", "killed")
        time.sleep(chance.uniform(0.4, 1.4))  # the random moment
        driver.kill()
        driver.wait()
    done = dsice("run", "study.toml", "--in", "killed")
    assert done.returncode == 0, done.stderr

    epochs: dict[tuple[str, str], list[int]] = {}
    for line in (tmp_path / "calls").read_text().splitlines():
        a, b, epoch = line.split()
        epochs.setdefault((a, b), []).append(int(epoch))
    study = Study.open(tmp_path / "killed")
    assert len(epochs) == len(study.trials) == TRIALS
    for trial in study.trials:
        ran = epochs[str(trial.params["a"]), str(trial.params["b"])]
        assert ran == list(range(1, len(ran) + 1)), "a step was run twice, or left out"
        assert trial.status in (Status.DONE, Status.STOPPED)
        assert len(ran) == 16 or trial.status is Status.STOPPED
    assert len(study.with_status(Status.STOPPED)) >= TRIALS // (4 if pause == "true" else 2)
    facts = json.loads(dsice("status", "killed", "--json").stdout)
    assert facts["trials"]["stopped"] == len(facts["ended_early"])
    assert facts["trials"]["failed"] == 0
    best = json.loads(dsice("best", "killed", "--json").stdout)
    assert best["metrics"]["loss"] == min(t.metrics["loss"] for t in study.with_status(Status.DONE))
