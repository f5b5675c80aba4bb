"""The names of all launchers, as study files and commands spell them."""

from __future__ import annotations

from typing import Final

LOCAL: Final = "local"
SLURM: Final = "slurm"
PJM: Final = "pjm"
PBS: Final = "pbs"
ALLOCATION: Final = "allocation"

NAMES: Final = (LOCAL, SLURM, PJM, PBS, ALLOCATION)
"""The values of ``on``."""
