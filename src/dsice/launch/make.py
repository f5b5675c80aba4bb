"""Creating launchers by their names in a study file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.errors import InvalidInput
from dsice.launch.base import Launcher
from dsice.launch.names import ALLOCATION, LOCAL
from dsice.launch.settings import (
    AllocationSettings,
    BatchSettings,
    PbsSettings,
    PjmSettings,
    SlurmSettings,
)

if TYPE_CHECKING:
    from dsice.launch.scheduler import Scheduler

SETTINGS: Final[dict[str, type[BatchSettings]]] = {
    kind.SYSTEM: kind for kind in (SlurmSettings, PjmSettings, PbsSettings)
}
"""The batch systems, and what a study file may say of each."""
# Imported where needed, so that reading a study does not load submitit.


def make_launcher(
    system: str, settings: BatchSettings | AllocationSettings | None, folder: Path
) -> Launcher:
    """The launcher called ``system``.

    Args:
        system: one of `dsice.launch.names.NAMES`.
        settings: of a batch system or of an allocation's steps, its defaults if None.
        folder: for the launcher's own files; the nodes of a batch system must see it.

    Raises:
        InvalidInput: job scripts cannot name the folder.
    """
    if system == LOCAL:
        from dsice.launch.local import LocalLauncher

        return LocalLauncher()
    if system == ALLOCATION:
        from dsice.launch.allocation import AllocationLauncher

        own = settings if isinstance(settings, AllocationSettings) else AllocationSettings()
        return AllocationLauncher(own)
    from dsice.launch.batch import BatchLauncher

    if odd := re.search(r"[^\w./+@:,=~-]", str(folder)):
        raise InvalidInput(
            f"{str(folder.parent)!r}: job scripts of batch systems cannot name a folder with "
            f"{odd[0]!r}; choose another with --in"
        )
    if not isinstance(settings, BatchSettings):
        settings = SETTINGS[system]()
    return BatchLauncher(make_scheduler(settings), settings, folder)


def make_scheduler(settings: BatchSettings) -> Scheduler:
    """The batch system that has these settings."""
    match settings:
        case SlurmSettings():
            from dsice.launch.slurm import Slurm

            return Slurm(settings.arrays)
        case PjmSettings():
            from dsice.launch.pjm import Pjm

            return Pjm()
        case _:
            from dsice.launch.pbs import Pbs

            return Pbs()
