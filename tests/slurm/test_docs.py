"""A newcomer follows docs/cluster.md by copy and paste: so does this test, on a real Slurm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Blocks marked ``sh`` are run as they stand; tmux, installing and the like are ``bash``."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run(script: str, folder: Path) -> str:
    # As in an activated environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(folder: Path) -> dict[str, dict[str, int]]:
    found = json.loads(run("dsice status runs/first --json", folder))
    assert isinstance(found, dict)
    return found


def test_five_minutes_on_slurm(tmp_path: Path) -> None:
    files, begin, watch, resume = blocks("sh")
    run(files, tmp_path)
    run(begin, tmp_path)
    assert status(tmp_path)["trials"]["done"] == 120
    assert "GPU-hours used" in run(watch, tmp_path)
    run(resume, tmp_path)
    assert status(tmp_path)["trials"]["done"] == 130


def test_a_driver_that_submits_itself_again(tmp_path: Path) -> None:
    """With the least time limit that Slurm knows, after half of which it leaves."""
    files = blocks("sh")[0].replace("time.sleep(5)", "time.sleep(15)")
    run(
        files.replace("parallel = 40", "parallel = 20").replace("trials = 120", "trials = 60"),
        tmp_path,
    )
    script = next(block for block in blocks("slurm") if "driver.sh" in block)
    (tmp_path / "driver.sh").write_text(script.replace("24:00:00", "00:01:00"))
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    run(next(block for block in blocks("bash") if block.startswith("sbatch")), tmp_path)
    deadline = time.monotonic() + 240
    while len(list(tmp_path.glob("driver-*.log"))) < 2 or status(tmp_path)["trials"]["done"] < 60:
        assert time.monotonic() < deadline, [p.read_text() for p in tmp_path.glob("driver-*")]
        time.sleep(1)
    assert status(tmp_path)["trials"]["failed"] == 0
    first = sorted(tmp_path.glob("driver-*.log"))[0].read_text()
    assert "jobs go on and are taken up again on resumption" in first
    journal = (tmp_path / "runs" / "first" / "journal.jsonl").read_text()
    assert '"why":"its own time is over;' in journal


def test_modules_and_setup_reach_the_program(tmp_path: Path) -> None:
    """Also where a batch system takes nothing of the environment along."""
    tool = tmp_path / "tools" / "a-tool"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "{\\"y\\": $1}"\n')
    tool.chmod(0o755)
    (tmp_path / "study.toml").write_text(
        'name = "first"\nminimize = "y"\n[grid]\na = [1, 2]\n'
        '[trial]\ncommand = ["sh", "-c", "a-tool {a}"]\n[run]\nparallel = 2\ntrials = 2\n'
        '[run.slurm]\ntime = "5 min"\nmemory = "100 MB"\n'
        f'setup = ["export PATH={tool.parent}:$PATH"]\n'
    )
    run("dsice run study.toml --on slurm", tmp_path)
    assert status(tmp_path)["trials"]["done"] == 2
