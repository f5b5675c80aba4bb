"""Trials on the GPUs and cores of one machine, as their programs see it, across kills with -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.testing.jobs import is_running, until
from tests.forked import Forked

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

KILLS, TRIALS = 20, 200
FOUR_GPUS = os.environ | {"CUDA_VISIBLE_DEVICES": "0,1,GPU-two,3", "COLUMNS": "200"}
LOGGING = """#!/bin/sh
log="$(dirname "$0")/log"
echo "+ $CUDA_VISIBLE_DEVICES $DSICE_SLOT $3" >> "$log"
sleep 0.3$4
echo "{\\"y\\": $((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))}" > "$DSICE_RESULT"
echo "- $CUDA_VISIBLE_DEVICES $DSICE_SLOT $3" >> "$log"
"""


@pytest.fixture
def dsice(tmp_path: Path, forked: Forked) -> Dsice:
    """``dsice`` on a machine with four pretended GPUs."""

    return lambda *arguments: forked.run(
        list(map(str, arguments)), cwd=tmp_path, env=FOUR_GPUS, timeout=300
    )


def kill(pid: int, folder: Path, chance: random.Random) -> None:
    """Kill a driver at a random moment, mostly after it has begun or ended some trials."""
    wanted = log_length(folder) + chance.randrange(12)
    until(lambda: log_length(folder) >= wanted, "trials")
    time.sleep(chance.uniform(0.0, 0.05))  # the random moment
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(pid), "the driver's end")


def log_length(folder: Path) -> int:
    try:
        return len((folder / "log").read_text().splitlines())
    except FileNotFoundError:
        return 0


def test_each_gpu_has_two_trials_at_any_time_across_kills(
    dsice: Dsice, forked: Forked, study_file: StudyFile, tmp_path: Path
) -> None:
    chance = random.Random(0)
    study_file(
        top='minimize = "y"\nsearch = "random"',
        grid="a = { integers = [0, 29] }\nb = { integers = [0, 9] }",
        command='["{study}/program.sh", "{a}", "{b}", "{slot}", "{b}"]',
        run=f'gpus = "all"\ngpus_per_trial = 0.5\ntrials = {TRIALS}',
        program=LOGGING,
    )
    for _ in range(KILLS):
        driver = forked.start(["run", "study.toml", "--in", "out"], tmp_path, FOUR_GPUS)
        kill(driver, tmp_path, chance)
    assert log_length(tmp_path) < 2 * TRIALS  # each kill met a driver at work
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    on_gpu: Counter[str] = Counter()
    in_slot: Counter[str] = Counter()
    full = 0
    for line in (tmp_path / "log").read_text().splitlines():
        sign, gpu, slot, field = line.split()
        assert slot == field
        change = 1 if sign == "+" else -1
        on_gpu[gpu] += change
        in_slot[slot] += change
        assert in_slot[slot] in (0, 1)
        assert on_gpu[gpu] in (0, 1, 2)
        if on_gpu.total() == 8:
            assert set(on_gpu.values()) == {2}
            full += 1
    assert set(on_gpu) == {"0", "1", "GPU-two", "3"}
    assert full > 0
    assert on_gpu.total() == 0
    assert log_length(tmp_path) == 2 * TRIALS


def test_stages_have_all_gpus(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    seen = "env | grep -c ^DSICE_SLOT; echo $CUDA_VISIBLE_DEVICES"
    study_file(
        more=f'[stage.all]\ncommand = ["sh", "-c", "{seen}"]\n'
        f'[stage.two]\ncommand = ["sh", "-c", "{seen}"]\nresources = {{ gpus = 2 }}\n',
        run="gpus = [3]\ntrials = 1",
    )
    refused = dsice("run", "study.toml", "--in", "out")
    assert refused.returncode == 2
    assert "[stage.two] resources: gpus = 2, and [run] gpus gives 1" in refused.stderr
    text = (tmp_path / "study.toml").read_text().replace("gpus = [3]", "gpus = [3, 1]")
    (tmp_path / "study.toml").write_text(text.replace("gpus = 2", "gpus = 1"))
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    stages = tmp_path / "out" / "stages"
    assert (stages / "all/attempt-1/stdout.txt").read_text() == "0\n3,1\n"
    assert (stages / "two/attempt-1/stdout.txt").read_text() == "0\n3\n"


def test_pinned_trials_have_cores_of_their_own(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    own = sorted(os.sched_getaffinity(0))
    code = (
        "import json, os; own = os.sched_getaffinity(0); "
        "print(json.dumps({'y': min(own), 'n': len(own)}))"
    )
    study_file(
        command=json.dumps([sys.executable, "-c", code.replace("{", "{{").replace("}", "}}")]),
        run=f'cores = "pinned"\nparallel = {len(own)}\ntrials = 8',
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, (tmp_path / "out/journal.jsonl").read_text().splitlines())
    ends = [event["metrics"] for event in lines if event["event"] == "ended"]
    assert {end["n"] for end in ends} == {1.0}
    assert {int(end["y"]) for end in ends} == set(own)


@pytest.mark.parametrize(
    ("trial", "run", "words"),
    [
        ("resources = { gpus = 1 }", "", "[trial] resources: gpus = 1: on this machine, say which"),
        ("resources = { cpus = 2 }", "", "cores = 'pinned' under [run] gives each trial its own"),
        ("resources = { nodes = 2 }", "", "nodes = 2, and this is one machine"),
        ('resources = { memory = "1 GB" }', "", "'memory' is given by batch systems"),
        ('resources = { time = "1 h" }', "", "'timeout' is the program's limit"),
        ("", "gpus = 9", "key 'run.gpus' = 9: this process may use 4"),
        ("", "gpus = [0, 2]", "key 'run.gpus': no GPU '2'"),
        ("", "gpus = 0", "run.gpus"),
        ("", 'gpus = "some"', "run.gpus"),
        ("", 'cores = "mine"', "run.cores"),
        ("resources = { gpus = 2 }", "gpus = 4\ngpus_per_trial = 0.5", "give one of them"),
        ("", 'gpus = 2\non = "slurm"\n[run.slurm]\ntime = "1 h"', "what a job gets is said in"),
    ],
)
def test_what_this_machine_cannot_give_is_one_clear_line(
    dsice: Dsice, study_file: StudyFile, trial: str, run: str, words: str
) -> None:
    study_file(trial=trial, run=f"trials = 1\n{run}")
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_a_dry_run_says_of_gpus(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(run="gpus = 4\ngpus_per_trial = 2\ntrials = 4")
    said = dsice("run", "study.toml", "--dry-run").stdout
    assert "GPUs 0, 1, GPU-two, 3, 2 for each trial" in said
    assert "2 at once" in said
    study_file(run="gpus = 5\ntrials = 4")
    assert (
        "'run.gpus' = 5: this process may use 4" in dsice("run", "study.toml", "--dry-run").stdout
    )
