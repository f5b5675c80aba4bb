"""The files of a study: all its state is in files at the paths defined here.

DIR/study.toml            the study file, frozen
DIR/learned.json          results of earlier studies that it learns from
DIR/journal.jsonl         the journal, one event per line
DIR/lock                  held by the running driver, see `dsice.study.lock`
DIR/stop                  the request of ``dsice stop``
DIR/requests/             other requests of users, see `dsice.study.requests`
DIR/function.pkl          the function of a study started from Python, and
DIR/function.json             its versions so far, see `dsice.study.function`
DIR/batch/                submissions to a batch system, see `dsice.launch.wave`
DIR/stages/NAME/          one folder per stage, and
DIR/trials/00012/         one per trial, each with
    work/                     the program's own folder and working directory
    params.json               the parameters (trials only)
    attempt-1/                one job: see `dsice.launch.job`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dsice.errors import InvalidInput
from dsice.files import write_atomically
from dsice.launch.job import JobFolder
from dsice.study.lock import DriverLock


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """The folder of a trial or a stage."""

    path: Path

    @property
    def work(self) -> Path:
        """The program's own folder: the field ``{dir}``, and ``{stage.NAME}`` for a stage."""
        return self.path / "work"

    @property
    def params(self) -> Path:
        """The parameters of a trial as JSON: the field ``{params}``."""
        return self.path / "params.json"

    def job(self, attempt: int) -> JobFolder:
        """The job of one attempt, counted from 1."""
        return JobFolder(self.path / f"attempt-{attempt}")


@dataclass(frozen=True, slots=True)
class StudyDirectory:
    """The directory of a study; ``path`` is absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path | str) -> StudyDirectory:
        """The directory at ``path``, which need not exist."""
        return cls(Path(path).resolve())

    def __fspath__(self) -> str:
        """Its path, so that it stands for it wherever a path is accepted."""
        return str(self.path)

    @property
    def study_file(self) -> Path:
        """The frozen study file."""
        return self.path / "study.toml"

    @property
    def source_file(self) -> Path:
        """The original folder of the study file, the field ``{study}``, as JSON text."""
        return self.path / "source.json"

    @property
    def learned(self) -> Path:
        """The results that the study learns from, see `dsice.study.learned`."""
        return self.path / "learned.json"

    @property
    def next_file(self) -> Path:
        """A changed study file whose event may not be in the journal yet, as JSON."""
        return self.path / "next.json"

    @property
    def journal(self) -> Path:
        """The journal, one JSON event per line."""
        return self.path / "journal.jsonl"

    @property
    def function(self) -> Path:
        """The pickled function of a study started from Python."""
        return self.path / "function.pkl"

    @property
    def function_versions(self) -> Path:
        """The versions of that function, oldest first, as JSON: see `dsice.study.function`."""
        return self.path / "function.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def stage(self, name: str) -> TaskFolder:
        """The folder of a stage."""
        return TaskFolder(self.path / "stages" / name)

    def trial(self, number: int) -> TaskFolder:
        """The folder of a trial, counted from 1."""
        return TaskFolder(self.path / "trials" / f"{number:05d}")

    def finalist(self, number: int) -> TaskFolder:
        """The folder of a finalist, with the number of its trial."""
        return TaskFolder(self.path / "finalists" / f"{number:05d}")

    @property
    def lock(self) -> DriverLock:
        """The lock of the running driver."""
        return DriverLock(self.path / "lock")

    @property
    def stop_file(self) -> Path:
        """The request of ``dsice stop`` to the running driver: one word."""
        return self.path / "stop"

    @property
    def requests(self) -> Path:
        """Users' requests to the running driver, a file each: see `dsice.study.requests`."""
        return self.path / "requests"

    @property
    def batch(self) -> Path:
        """The submissions to a batch system, see `dsice.launch.wave`."""
        return self.path / "batch"

    def require_study(self) -> None:
        """Check that the directory holds a study.

        Raises:
            InvalidInput: it does not.
        """
        try:
            found = self.journal.is_file()
        except OSError:  # the name is too long
            found = False
        if not found:
            raise InvalidInput(
                f"{self.path} holds no study: give the directory that 'dsice run' wrote"
            )


def write_json(path: Path, data: object, durably: bool = True) -> None:
    """Write ``data`` to ``path`` as JSON, see `write_atomically`."""
    write_atomically(path, json.dumps(data, indent=1) + "\n", durably)
