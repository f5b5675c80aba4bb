"""A wave: the jobs that one submission hands to a batch system, on disk.

DIR/batch/NAME/           one folder per wave: submitit's files, and
    submitted.json            its id, once the batch system has given one
DIR/trials/.../attempt-1/
    wave.json                 of each of its jobs: which wave, and which place in it

The name is unique and is the jobs' name in the queue. So what a driver that was killed in the
middle of a submission left behind is found by its name; all else is found by its id.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dsice.files import SMALL, make_folder, read_regular, write_atomically, write_once
from dsice.launch.job import JobFolder


@dataclass(frozen=True, slots=True)
class Wave:
    """One submission.

    Attributes:
        system: the batch system.
        folder: of submitit's files; its name is that of the wave.
        jobs: in their order; empty for a wave that was looked up for one of its jobs.
    """

    system: str
    folder: Path
    jobs: tuple[JobFolder, ...] = ()

    @classmethod
    def create(cls, system: str, folder: Path, jobs: Sequence[JobFolder], length: int) -> Wave:
        """A new wave of ``jobs``, which know of it from now on.

        Args:
            system: the batch system.
            folder: of all waves.
            jobs: one or more.
            length: most characters of a name.
        """
        token = secrets.token_hex(4)
        head = re.sub(r"[^A-Za-z0-9_.-]", "_", jobs[0].spec().name)[: length - len(token) - 1]
        wave = cls(system, folder / f"{head}-{token}", tuple(jobs))
        make_folder(wave.folder, private=True)
        for index, job in enumerate(jobs):
            text = json.dumps({"system": system, "folder": str(wave.folder), "index": index})
            write_atomically(job.wave_file, text, durably=False)
        return wave

    @classmethod
    def of(cls, job: JobFolder) -> tuple[Wave, int] | None:
        """The wave in which a job was submitted last, and its place there; None if it never was."""
        try:
            data = json.loads(read_regular(job.wave_file, SMALL))
            return cls(data["system"], Path(data["folder"])), data["index"]
        except (OSError, ValueError, KeyError, TypeError):  # not there, or cut short by a crash
            return None

    @property
    def name(self) -> str:
        """The jobs' name in the queue."""
        return self.folder.name

    def keep_ids(self, ids: Sequence[str]) -> None:
        """Note the ids that the batch system gave to the jobs, in their order."""
        write_once(self._ids, list(ids))

    def ids(self) -> list[str]:
        """The jobs' ids; empty if the submission did not come so far."""
        try:
            found: list[str] = json.loads(read_regular(self._ids, SMALL))
        except (OSError, ValueError):
            return []
        return found

    @property
    def _ids(self) -> Path:
        return self.folder / "submitted.json"
