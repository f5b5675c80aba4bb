"""Studies on a real Slurm of one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Enough trials that each of ten kills finds some waiting, some queued and some running.
PROGRAM = """#!/bin/sh
echo "$1 $2 $3" >> "$(dirname "$0")/calls"
while [ -e "$(dirname "$0")/gate" ]; do sleep 0.2; done
sleep 0.5
echo "{\\"y\\": $((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))}"
"""
STUDY = """
name = "{name}"
minimize = "y"
search = "random"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
c = {{ integers = [0, 9] }}
[trial]
command = ["{{study}}/program.sh", "{{a}}", "{{b}}", "{{c}}"]
{trial}
[run]
on = "slurm"
{run}
[run.slurm]
time = "10 min"
memory = "50 MB"
poll = "0.5 s"
grace = "1 s"
submit_rate = 20
{slurm}
"""


class Cluster:
    """A folder with a study on Slurm, and the commands that a user has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"t{os.getpid()}-{folder.name}"[:60]
        self.drivers: list[subprocess.Popen[bytes]] = []

    def write(
        self,
        run: str = "parallel = 40\ntrials = 80",
        trial: str = "",
        slurm: str = "",
        program: str = PROGRAM,
    ) -> None:
        (self.folder / "program.sh").write_text(program)
        (self.folder / "program.sh").chmod(0o755)
        text = STUDY.format(name=self.name, run=run, trial=trial, slurm=slurm)
        (self.folder / "study.toml").write_text(text)

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"driver-{len(self.drivers)}.log").open("wb") as log:
            driver = subprocess.Popen(
                [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out"],
                cwd=self.folder,
                env=os.environ | env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.drivers.append(driver)
        return driver

    def end(self, driver: subprocess.Popen[bytes], code: int = 0) -> str:
        """Wait for a driver's end; what it said."""
        driver.wait(timeout=280)
        text = (self.folder / f"driver-{self.drivers.index(driver)}.log").read_text()
        assert driver.returncode == code, text
        assert "Traceback" not in text
        return text

    def run(self) -> str:
        return self.end(self.start())

    def dsice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dsice.cli", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def status(self) -> Any:
        return json.loads(self.dsice("status", "out", "--json").stdout)

    def calls(self) -> list[str]:
        try:
            return (self.folder / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []

    def queue(self) -> list[list[str]]:
        """Id and state of each of the study's jobs in the queue."""
        found = slurm("squeue", "-h", "-r", "-o", "%i|%T|%j").splitlines()
        jobs = [line.split("|", 2) for line in found]
        return [[job, state] for job, state, name in jobs if name.startswith(self.name)]

    def claims(self) -> Iterator[tuple[Path, Any]]:
        """The claims of jobs, with their folders."""
        for claim in sorted((self.folder / "out" / "trials").glob("*/*/claim.json")):
            yield claim.parent, json.loads(claim.read_text())

    def shims(self) -> list[int]:
        """The process ids of the shims that run."""
        claims = [claim for job, claim in self.claims() if not (job / "outcome.json").exists()]
        pids = [claim["pid"] for claim in claims if claim["by"] == "job"]
        return [pid for pid in pids if Path(f"/proc/{pid}").exists()]

    def batch_jobs(self) -> list[str]:
        """The id of the batch job that ran each trial."""
        return [claim["batch_id"] for _, claim in self.claims()]

    def events(self) -> list[Any]:
        lines = (self.folder / "out" / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Poll until ``condition``; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
