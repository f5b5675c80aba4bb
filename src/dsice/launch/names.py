"""The names of all launchers, as study files and commands spell them.

Batch systems may also come from other packages, by entry points in the group `GROUP`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LOCAL: Final = "local"
ALLOCATION: Final = "allocation"
SLURM: Final = "slurm"
PJM: Final = "pjm"
PBS: Final = "pbs"
LSF: Final = "lsf"

TITLES: Final[Mapping[str, str]] = {SLURM: "Slurm", PJM: "Fujitsu TCS", PBS: "PBS", LSF: "LSF"}
"""The batch systems of this package, and their names in messages."""

OWN: Final = (LOCAL, *TITLES, ALLOCATION)
"""The launchers of this package."""

GROUP: Final = "dsice.launchers"
"""The group of entry points by which other packages provide batch systems.

An entry's name is the value of ``on``, and its object a subclass of
`dsice.launch.scheduler.Scheduler`.
"""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@cache
def installed() -> Mapping[str, EntryPoint]:
    """The batch systems of other installed packages, by name; those of this package win."""
    from importlib.metadata import entry_points  # slow, and rarely needed

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {
        name: found[name] for name in sorted(found) if _NAME.fullmatch(name) and name not in OWN
    }


class _Names(Collection[str]):
    """All names; other packages are looked up only for what is not of this one."""

    def __contains__(self, name: object) -> bool:
        return name in OWN or name in installed()

    def __iter__(self) -> Iterator[str]:
        yield from (*OWN, *installed())

    def __len__(self) -> int:
        return len(OWN) + len(installed())


NAMES: Final[Collection[str]] = _Names()
"""The values of ``on``."""
