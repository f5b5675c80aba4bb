"""What the stand-ins for other schedulers' commands share: the real Slurm that they run on."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path


class SlurmError(Exception):
    """A command of Slurm failed; the message is what it printed."""


@dataclass(frozen=True)
class Job:
    """One job as Slurm sees it, for as long as it remembers (MinJobAge)."""

    id: str
    state: str
    reason: str
    user: str
    exit_code: int
    signal: int
    restarts: int
    started: bool  # whether it got a node, in this run of it
    partition: str
    name: str


# Slurm's states of jobs that will not run any more.
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


def slurm(*command: str, text: str | None = None) -> str:
    """Run a command of Slurm and return what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SlurmError(done.stderr.strip())
    return done.stdout


def jobs() -> dict[str, Job]:
    """All jobs that Slurm knows, ended ones too, by id."""
    # The name comes last since it may contain the separator. Without a width, Slurm cuts at 20.
    columns = (
        "JobID:20|,State:20|,Reason:40|,UserName:40|,exit_code:20|,RestartCnt:20|,"
        "NodeList:1000|,Partition:40|,Name:1000"
    )
    found = {}
    for line in slurm("squeue", "--noheader", "--states=all", "-O", columns).splitlines():
        cells = [cell.strip() for cell in line.split("|", 8)]
        number, state, reason, user, status, restarts, nodes, partition, name = cells
        found[number] = Job(
            id=number,
            state=state,
            reason=reason,
            user=user,
            exit_code=int(status) >> 8,
            signal=int(status) & 127,
            restarts=int(restarts),
            started=nodes != "",
            partition=partition,
            name=name,
        )
    return found


def directives(script: str, prefix: str) -> list[str]:
    """The words of all lines ``#PJM -L gpu=1`` (for the prefix ``#PJM``) of a script."""
    words: list[str] = []
    for line in script.splitlines():
        if match := re.match(rf"{prefix}\s+(.*)", line):
            words += shlex.split(match[1], comments=True)
    return words


def minutes(clock: str) -> int:
    """``[[H:]MM:]SS`` in minutes, rounded up: Slurm's time limits have no finer grain."""
    seconds = 0
    for part in clock.split(":"):
        seconds = 60 * seconds + int(part)
    return max(1, -(-seconds // 60))


def sbatch(script: str, setup: str, *options: str) -> str:
    """Submit a shell script that first runs ``setup``, without the caller's environment.

    Returns the job's id.
    """
    first, _, rest = script.partition("\n")
    if not first.startswith("#!"):
        first, rest = "#!/bin/sh", script
    # NONE still passes SLURM_*, such as SLURM_CONF, and gives a login shell's PATH and HOME.
    command = ("sbatch", "--parsable", "--export=NONE", *options)
    return slurm(*command, text=f"{first}\n{setup}\n{rest}").strip()


def read_script(path: str) -> str:
    """The text of a job's script."""
    return Path(path).read_text(encoding="utf-8")
