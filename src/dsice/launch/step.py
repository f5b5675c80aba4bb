"""The program of a step in a Slurm allocation: ``python -m dsice.launch.step FOLDER``."""

from __future__ import annotations

import os
import sys

from dsice.launch.shim import run_step


def main() -> None:
    """Run the job in a folder; its id is that of the step, ``123.7``."""
    run_step(sys.argv[1], f"{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}")


if __name__ == "__main__":
    main()
