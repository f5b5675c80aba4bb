"""A wave: the batch of jobs in one submission to a batch system, on disk.

DIR/batch/NAME/           one folder per wave: submitit's files, and
    submitted.json            its id, once the batch system has given one
DIR/trials/.../attempt-1/
    wave.json                 of each of its jobs: which wave, and which place in it

The name is unique, and is the jobs' name in the queue. Jobs of a driver that was killed during a
submission are found by this name, all others by their ids.
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
        jobs: in order; empty for a wave that was looked up for one of its jobs.
    """

    system: str
    folder: Path
    jobs: tuple[JobFolder, ...] = ()

    @classmethod
    def create(cls, system: str, folder: Path, jobs: Sequence[JobFolder], length: int) -> Wave:
        """Create a wave of ``jobs``, and record it in their folders.

        Args:
            system: the batch system.
            folder: of all waves.
            jobs: one or more.
            length: maximum number of characters of a name.
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
        """The wave of a job's last submission, and its place there; None if there is none."""
        try:
            data = json.loads(read_regular(job.wave_file, SMALL))
            return cls(data["system"], Path(data["folder"])), data["index"]
        except (OSError, ValueError, KeyError, TypeError):  # missing, or truncated by a crash
            return None

    @property
    def name(self) -> str:
        """The jobs' name in the queue."""
        return self.folder.name

    def keep_ids(self, ids: Sequence[str]) -> None:
        """Record the ids that the batch system gave to the jobs, in their order."""
        write_once(self._ids, list(ids))

    def ids(self) -> list[str]:
        """The jobs' ids; empty if the submission was interrupted before."""
        try:
            found: list[str] = json.loads(read_regular(self._ids, SMALL))
        except (OSError, ValueError):
            return []
        return found

    @property
    def _ids(self) -> Path:
        return self.folder / "submitted.json"
