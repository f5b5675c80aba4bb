"""The program of a step in an allocation: ``python -m dsice.launch.step FOLDER``.

On a node without Slurm's step manager, ``--on-node ENVIRONMENT STEP FOLDER`` runs a job, and
``--alive FOLDER...`` prints the ids of the steps that live there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from dsice.files import read_regular
from dsice.launch.job import JobFolder
from dsice.launch.shim import Cancellation, run_once
from dsice.text import say

_OF_THE_NODE: Final = ("HOME", "HOSTNAME", "OLDPWD", "PWD", "SHLVL", "TMPDIR", "_")
_LARGEST: Final = 10_000_000  # bytes of an environment


def main() -> None:
    """Run a job, or say which live."""
    match sys.argv[1:]:
        case ["--alive", *folders]:
            _say_alive(folders)
        case ["--on-node", environment, step, folder]:
            theirs = json.loads(read_regular(Path(environment), _LARGEST))
            os.environ.update({k: v for k, v in theirs.items() if k not in _OF_THE_NODE})
            run_once(JobFolder(folder), step, None, Cancellation(), watches=True)
        case [folder]:
            step = f"{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}"
            run_once(JobFolder(folder), step, None, Cancellation())


def _say_alive(folders: Sequence[str]) -> None:
    for job in map(JobFolder, folders):
        if (owner := job.claimant()) is None:
            continue
        words: list[bytes] = []
        with suppress(OSError):  # it has ended
            words = Path(f"/proc/{owner.pid}/cmdline").read_bytes().split(b"\0")
        # Some file systems of clusters have no locks.
        if job.is_alive() or owner.batch_id.encode() in words:
            say(owner.batch_id)


if __name__ == "__main__":
    main()
