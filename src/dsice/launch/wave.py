"""A wave: the batch of jobs in one submission to a batch system, on disk.

DIR/batch/NAME/           one folder per wave: submitit's files, and
    submitted.json            its id, once the batch system has given one
DIR/trials/.../attempt-1/
    wave.json                 of each of its jobs: which wave, and which batch job in it

A batch job runs one job or, one after another, several. The name of a wave is unique, and is the
batch jobs' name in the queue. Jobs of a driver that was killed during a submission are found by
this name, all others by their ids.
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
        batches: the jobs of each batch job, in order; empty for a wave that was looked up for one
            of its jobs.
        limit: seconds that each of several jobs of a batch job may take, if it has no time limit
            of its own.
    """

    system: str
    folder: Path
    batches: tuple[tuple[JobFolder, ...], ...] = ()
    limit: float | None = None

    @classmethod
    def create(
        cls,
        system: str,
        folder: Path,
        batches: Sequence[Sequence[JobFolder]],
        length: int,
        limit: float | None = None,
    ) -> Wave:
        """Create a wave, and record it in the folders of its jobs.

        Args:
            system: the batch system.
            folder: of all waves.
            batches: one or more batch jobs of one or more jobs each.
            length: maximum number of characters of a name.
            limit: see `Wave`.
        """
        token = secrets.token_hex(4)
        head = re.sub(r"[^A-Za-z0-9_.-]", "_", batches[0][0].spec().name)
        head = head[: length - len(token) - 1]
        wave = cls(system, folder / f"{head}-{token}", tuple(map(tuple, batches)), limit)
        make_folder(wave.folder, private=True)
        for index, batch in enumerate(wave.batches):
            facts = {"system": system, "folder": str(wave.folder), "index": index}
            facts |= {"shared": True} if len(batch) > 1 else {}
            for job in batch:
                write_atomically(job.wave_file, json.dumps(facts), durably=False)
        return wave

    @classmethod
    def of(cls, job: JobFolder) -> Submitted | None:
        """A job's last submission; None if there is none."""
        try:
            data = json.loads(read_regular(job.wave_file, SMALL))
            wave = cls(data["system"], Path(data["folder"]))
            return Submitted(wave, data["index"], data.get("shared", False))
        except (OSError, ValueError, KeyError, TypeError):  # missing, or truncated by a crash
            return None

    @property
    def jobs(self) -> list[JobFolder]:
        """All its jobs."""
        return [job for batch in self.batches for job in batch]

    @property
    def name(self) -> str:
        """The jobs' name in the queue."""
        return self.folder.name

    def keep_ids(self, ids: Sequence[str]) -> None:
        """Record the ids that the batch system gave to the batch jobs, in their order."""
        write_once(self._ids, list(ids))

    def ids(self) -> list[str]:
        """The batch jobs' ids; empty if the submission was interrupted before."""
        try:
            found: list[str] = json.loads(read_regular(self._ids, SMALL))
        except (OSError, ValueError):
            return []
        return found

    @property
    def _ids(self) -> Path:
        return self.folder / "submitted.json"


@dataclass(frozen=True, slots=True)
class Submitted:
    """How a job was submitted.

    Attributes:
        wave: with which wave.
        index: of its batch job there.
        shared: whether this batch job runs other jobs, too.
    """

    wave: Wave
    index: int
    shared: bool
