"""Creating launchers by their names in a study file."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dsice.errors import InvalidInput
from dsice.launch.base import Launcher
from dsice.launch.names import ALLOCATION, GROUP, LOCAL, installed
from dsice.launch.settings import (
    AllocationSettings,
    BatchSettings,
    LsfSettings,
    PbsSettings,
    PjmSettings,
    SlurmSettings,
)

if TYPE_CHECKING:
    from dsice.launch.scheduler import Scheduler

# The batch systems of this package: one line each. The class is imported where needed, so that
# reading a study does not load submitit.
_SYSTEMS: Final[Mapping[type[BatchSettings], str]] = {
    SlurmSettings: "dsice.launch.slurm:Slurm",
    PjmSettings: "dsice.launch.pjm:Pjm",
    PbsSettings: "dsice.launch.pbs:Pbs",
    LsfSettings: "dsice.launch.lsf:Lsf",
}

SETTINGS: Final[Mapping[str, type[BatchSettings]]] = {kind.SYSTEM: kind for kind in _SYSTEMS}
"""The batch systems of this package, and what a study file may say of each."""


def settings_of(system: str) -> type[BatchSettings]:
    """The settings of a batch system, which may be one of another package.

    Raises:
        InvalidInput: the other package cannot be used.
    """
    return SETTINGS[system] if system in SETTINGS else _further(system).SETTINGS


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
        from dsice.launch.nodes import Nodes, NodesLauncher

        own = settings if isinstance(settings, AllocationSettings) else AllocationSettings()
        nodes = Nodes.own()
        return AllocationLauncher(own) if nodes is None else NodesLauncher(own, nodes, folder)
    from dsice.launch.batch import BatchLauncher

    if odd := odd_in(str(folder)):
        raise InvalidInput(
            f"{str(folder.parent)!r}: job scripts of batch systems cannot name a folder with "
            f"{odd!r}; choose another with --in"
        )
    if not isinstance(settings, BatchSettings):
        settings = settings_of(system)()
    return BatchLauncher(make_scheduler(settings), settings, folder)


def odd_in(path: str) -> str:
    """The first character of a path that a job script or a remote shell cannot name, or nothing."""
    found = re.search(r"[^\w./+@:,=~-]", path)
    return found[0] if found else ""


def make_scheduler(settings: BatchSettings) -> Scheduler:
    """The batch system that has these settings."""
    if type(settings) not in _SYSTEMS:
        return _further(settings.SYSTEM).of(settings)
    module, _, name = _SYSTEMS[type(settings)].partition(":")
    kind: type[Scheduler] = getattr(importlib.import_module(module), name)
    return kind.of(settings)


def _further(system: str) -> type[Scheduler]:
    """The batch system of another package.

    Raises:
        InvalidInput: it cannot be imported, or is not one.
    """
    from dsice.launch.scheduler import Scheduler

    entry = installed()[system]
    where = f"launcher {system!r} (entry point {entry.value!r} in group {GROUP!r})"
    try:
        kind = entry.load()
    except Exception as error:  # whatever a package does at its import
        what = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"{where} cannot be imported: {what}") from error
    if not (isinstance(kind, type) and issubclass(kind, Scheduler)):
        raise InvalidInput(f"{where} is no subclass of dsice.launch.scheduler.Scheduler")
    settings = getattr(kind, "SETTINGS", None)
    if not (isinstance(settings, type) and issubclass(settings, BatchSettings)):
        raise InvalidInput(f"{where}: its SETTINGS are no subclass of BatchSettings")
    if getattr(settings, "SYSTEM", None) != system:
        raise InvalidInput(f"{where}: its SETTINGS.SYSTEM must be {system!r}")
    return kind
