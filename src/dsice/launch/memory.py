"""Detecting kills by the kernel for lack of memory, which look like any other SIGKILL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dsice.launch.output import lines

_KILLS: Final = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_ROOT: Final = Path("/sys/fs/cgroup")


class MemoryWatch:
    """Counts out-of-memory kills in this process's control groups since its creation.

    Without control groups, or if they cannot be read, it reports none.

    Args:
        membership: the file that names the control groups of this process.
        root: where control groups are mounted.
    """

    def __init__(self, membership: Path = Path("/proc/self/cgroup"), root: Path = _ROOT) -> None:
        self._files = _counters(membership, root)
        self._before = self._count()

    def was_exceeded(self) -> bool:
        """Whether there was a kill since."""
        return self._count() > self._before

    def _count(self) -> int:
        return sum(_kills(file) for file in self._files)


def _counters(membership: Path, root: Path) -> list[Path]:
    """The files with the counters of kills in this process's groups."""
    try:
        names = lines(membership.read_text())
    except OSError:
        return []
    files = []
    for line in filter(None, names):
        _, controllers, path = line.split(":", 2)
        group = Path(path.lstrip("/"))
        if not controllers:  # version 2: a group counts the kills below it, so one is enough
            files.append(root / group / "memory.events")
        elif "memory" in controllers.split(","):
            files.append(root / "memory" / group / "memory.oom_control")
    return files


def _kills(file: Path) -> int:
    try:
        found = _KILLS.search(file.read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0
