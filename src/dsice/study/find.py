"""Finding studies: all below a folder, or the only one if the user names none."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.study.directory import StudyDirectory

_DEPTH: Final = 6  # depth of the search in folders
_MANY: Final = 20_000  # maximum number of folders that are searched
_NAMED: Final = 6  # studies that a message lists


def is_study(path: Path) -> bool:
    """Whether a study was begun in a folder."""
    place = StudyDirectory(path)
    try:
        return place.journal.is_file() and place.study_file.is_file()
    except OSError:  # a folder without permission to read
        return False


def studies_below(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """The studies in a folder and below it, in the order of their paths.

    Hidden folders, links and the studies' own folders are not entered.

    Raises:
        InvalidInput: it is not a folder.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder")
    found, left, looked = [], [(folder, depth)], 0
    while left and looked < _MANY:
        path, more = left.pop()
        looked += 1
        if is_study(path):
            found.append(path)
        elif more:
            try:
                with os.scandir(path) as entries:
                    inside = [entry.path for entry in entries if _may_be_entered(entry)]
            except OSError:
                continue
            left += [(Path(each), more - 1) for each in inside]
    return sorted(found)


def _may_be_entered(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def the_study(folder: Path = Path()) -> Path:
    """The default study: the only one here or in ``runs``.

    Raises:
        InvalidInput: there is none, or there are several; the message names them.
    """
    if is_study(folder):
        return folder
    found = studies_below(folder, 1)
    if (runs := folder / "runs").is_dir():
        found += [path for path in studies_below(runs, 2) if path not in found]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidInput("there is no study here or in runs/: name the directory of one")
    names = [shlex.quote(str(path)) for path in found[:_NAMED]]
    more = ", ..." if len(found) > _NAMED else ""
    raise InvalidInput(f"there are {len(found)} studies, name one: {', '.join(names)}{more}")
