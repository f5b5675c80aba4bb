"""Folders of trials that are missing in a study's journal.

An event is written before its folder, so there are none unless the journal is older than the
folders: restored from a backup, copied while a driver was running, or truncated by hand. New trials
must not find the results of old ones, so a driver refuses to continue; `dsice.repair` adopts the
folders or moves them aside.
"""

from __future__ import annotations

from pathlib import Path

from dsice.errors import DamagedStudy
from dsice.study.state import Study
from dsice.study.task import Status, Task


def unknown_folders(study: Study) -> list[Path]:
    """The folders of trials and attempts that are missing in the journal of a study."""
    place = study.directory
    known = len(study.trials)
    found = [place.trial(n).path for n in numbers_in(place.path / "trials", "") if n > known]
    tasks: list[Task] = [study.stage(name) for name in study.config.stages]
    tasks += [t for t in study.trials if t.status in (Status.WAITING, Status.RUNNING)]
    tasks += study.finalists.values()
    for task in tasks:
        if task.status is not Status.DONE:
            numbers = numbers_in(task.folder.path, "attempt-")
            found += [task.folder.job(n).path for n in numbers if n > len(task.attempts)]
    return found


def require_known(study: Study) -> None:
    """Check that the journal has all trials and attempts with a folder.

    Raises:
        DamagedStudy: some are missing; the message names them and says what to do.
    """
    if not (unknown := unknown_folders(study)):
        return
    place = study.directory.path
    names = [str(path.relative_to(place)) for path in unknown]
    some = ", ".join(names[:3]) + (f", ... {names[-1]}" if len(names) > 3 else "")
    raise DamagedStudy(
        f"{place}: {len(names)} folders are not in its journal: {some}. Was the journal restored "
        f"from a backup, or copied while a driver was at work? 'dsice repair {place}' shows what "
        "they hold and how to adopt them or set them aside"
    )


def numbers_in(folder: Path, prefix: str) -> list[int]:
    """The numbers in the names of the folders in ``folder`` that begin with ``prefix``."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    texts = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return sorted(int(text) for text in texts if text.isdecimal() and text.isascii())
