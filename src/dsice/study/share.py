"""Read permissions of a study: those of its directory apply to all files in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

Share = Literal["group", "all"]
"""Who may read a study besides its owner, who alone may write in it."""

_READERS: Final[dict[Share | None, int]] = {None: 0o000, "group": 0o050, "all": 0o055}


def begin(directory: Path, share: Share | None) -> None:
    """Set the permissions of the still empty directory of a new study."""
    with suppress(OSError):  # of another user, or on a file system without permissions
        special = directory.stat().st_mode & 0o7000
        directory.chmod(special | 0o700 | _READERS[share])


def widen(directory: Path, share: Share | None) -> None:
    """Let others read the existing files of a study, if its study file now says so.

    Excludes submissions to a batch system, which only its jobs read.
    """
    readers = _READERS[share]
    if directory.stat().st_mode & readers == readers:
        return
    for name, folders, files in os.walk(directory):
        folder = Path(name)
        with suppress(OSError):
            folder.chmod(folder.stat().st_mode | readers)
        if folder == directory / "batch":
            folders.clear()
        for path in (folder / file for file in files):
            if not path.is_symlink():
                with suppress(OSError):
                    path.chmod(path.stat().st_mode | readers & 0o044)
