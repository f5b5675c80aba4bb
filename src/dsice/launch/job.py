"""A job on disk: its specification, its claim and its outcome.

A job is one attempt at one measurement (or stage). It consists of a folder of files with fixed
names, so any process can take it over from its folder alone. Three rules ensure that every job
runs at most once and none is lost, whatever is killed at whatever time:

- ``spec.json`` is complete before the job is submitted.
- Whoever links ``claim.json`` first owns the job: the job itself, which then runs, or the driver,
  which thereby revokes it. The job holds a lock on that file from before its linking to its end.
- ``outcome.json`` is linked into place once, complete and flushed: the first writer wins.

So an outcome means that the job ended, whatever a scheduler says; a claim with a free lock and no
outcome means that it was lost; and a job without a claim has not begun, and will not once revoked.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import msgspec

from dsice.errors import DamagedStudy
from dsice.files import (
    NotRegular,
    make_folder,
    open_private,
    read_regular,
    sync_folder,
    write_once,
    written_once,
)
from dsice.launch.locks import is_locked, try_lock
from dsice.launch.patterns import Pattern

T = TypeVar("T")

_PATIENCE: Final = 300.0  # seconds to wait for the lock of an earlier run of the job
_LARGEST: Final = 64_000_000  # bytes of a file of a job: a specification contains input files


class Kind(StrEnum):
    """How a job ended."""

    OK = "ok"
    EXIT = "exit code"
    SIGNAL = "signal"
    TIMEOUT = "time limit"
    NO_METRICS = "no metrics"
    NOT_STARTED = "not started"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    """By the driver, on its user's request."""
    REMOVED = "removed"
    """By somebody else, with the batch system's own commands."""
    PREEMPTED = "preempted"
    NODE_FAILED = "node failed"
    LOST = "lost"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The specification of a job.

    Attributes:
        name: unique among all jobs of all studies, for schedulers' queues.
        command: the argument list, which no shell interprets.
        workdir: the working directory, which exists.
        env: environment variables added to those of the driver.
        timeout: time limit in seconds, or None.
        needs_metrics: whether a job that writes no JSON object of metrics has failed.
        resources: requested from a batch system in addition to the launcher's settings, see
            `dsice.launch.settings.Resources`.
        files: created before the program starts: name in the working directory to text.
        flaw: why the job cannot be run, in words; it then fails unstarted. Usually empty.
        slot: the number of the trial's slot, see `dsice.launch.slots`; None for a stage.
        devices: names of the GPUs that its environment gives it.
        cores: of this machine that it may use; empty: all.
        identity: what it measures: study, trial or stage, attempt, parameters. The outcome repeats
            it, so that a result cannot be mistaken for that of another job.
        patterns: metrics that are read from its output, by name.
        measured: names of metrics to built-in metrics, see `dsice.launch.usage`.
        progress: a regular expression for lines of its output, whose named groups are intermediate
            metrics; or empty.
    """

    name: str
    command: tuple[str, ...]
    workdir: str
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    needs_metrics: bool = True
    resources: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    flaw: str = ""
    slot: int | None = None
    devices: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)
    progress: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended and what it returned.

    Attributes:
        kind: how it ended.
        reason: why it failed, in words; empty if it did not.
        metrics: the finite numbers of its result, by name; None if it failed.
        others: the other entries of its result, by name, as JSON text.
        exit_code: of the command, or None if it was not started or was killed.
        started: Unix time in seconds.
        ended: Unix time in seconds.
        host: where it ran.
        identity: that of its specification.
    """

    kind: Kind
    reason: str = ""
    metrics: Mapping[str, float] | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    started: float = 0.0
    ended: float = 0.0
    host: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """The owner of a job.

    Attributes:
        by: ``"job"`` or ``"driver"``.
        pid: of the process that claimed it.
        host: where that was.
        time: when, Unix time in seconds.
        batch_id: the job's id in its batch system; empty outside of one.
    """

    by: str
    pid: int
    host: str
    time: float = 0.0
    batch_id: str = ""


# Created at import: shims are forked after it.
_SPEC: Final = msgspec.json.Decoder(JobSpec)
_CLAIM: Final = msgspec.json.Decoder(Claim)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class JobFolder:
    """The files of one job. Two objects of the same path are the same job.

    Attributes:
        path: the folder.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path | str) -> None:
        self.path: Final = Path(path)

    @property
    def spec_file(self) -> Path:
        """The specification: a `JobSpec`."""
        return self.path / "spec.json"

    @property
    def stdout(self) -> Path:
        """The program's output."""
        return self.path / "stdout.txt"

    @property
    def stderr(self) -> Path:
        """The program's error output."""
        return self.path / "stderr.txt"

    @property
    def metrics_file(self) -> Path:
        """Where the program may write its metrics: the field ``{result}``, DSICE_RESULT."""
        return self.path / "metrics.json"

    @property
    def progress(self) -> Path:
        """Where the program may append intermediate metrics: ``{progress}``, DSICE_PROGRESS."""
        return self.path / "progress.jsonl"

    @property
    def wave_file(self) -> Path:
        """The record of its submission to a batch system, see `dsice.launch.wave`."""
        return self.path / "wave.json"

    def create(self, spec: JobSpec) -> None:
        """Create the folder and its specification.

        They need not survive a crash of the machine: a job without a claim is revoked then.

        Raises:
            DamagedStudy: the folder holds another job.
        """
        make_folder(self.path)
        if not write_once(self.spec_file, asdict(spec), durably=False) and self.spec() != spec:
            raise DamagedStudy(
                f"{self.path} holds another job already, {self.spec().name}: its files are left "
                "as they are"
            )

    def spec(self) -> JobSpec:
        """The specification that `create` wrote.

        Raises:
            FileNotFoundError: it is missing.
            DamagedStudy: it cannot be read.
        """
        try:
            return _SPEC.decode(read_regular(self.spec_file, _LARGEST))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DamagedStudy(f"{self.spec_file} is damaged: {error}") from None

    def revoke(self) -> bool:
        """Ensure that the job never begins; False if it has begun or has been revoked before.

        Creates the folder if it is missing, so that a stalled driver that is about to start the job
        finds it claimed.
        """
        make_folder(self.path)
        return self.claim("driver")

    def claim(self, by: str, batch_id: str = "") -> bool:
        """Claim the job; True for the first caller, False for all others.

        Args:
            by: ``"job"`` to run it or ``"driver"`` to revoke it.
            batch_id: the job's id in its batch system, if it runs in one.
        """
        return write_once(self._claim, asdict(_claim_of(by, batch_id)))

    def claimant(self) -> Claim | None:
        """The owner of the job; None if nobody has claimed it."""
        claim = _read(self._claim, _CLAIM)
        if claim is None and self._claim.exists():  # damaged: it may have begun
            return Claim("job", 0, socket.gethostname(), 0.0)
        return claim

    @property
    def _claim(self) -> Path:
        return self.path / "claim.json"

    def has_begun(self) -> bool:
        """Whether somebody has claimed the job: it runs, has run, or never will."""
        return self._claim.exists()

    def ask_to_end(self) -> None:
        """Record that the driver wants the job to end; a signal must follow."""
        write_once(self.path / "end-asked", "", durably=False)

    def is_asked_to_end(self) -> bool:
        """Whether the driver wants the job to end."""
        return (self.path / "end-asked").exists()

    def was_deleted(self) -> bool:
        """Whether the folder of a job that has begun was deleted, though a driver may be back."""
        owner = self.claimant()
        return owner is None or owner.by == "driver"

    @contextmanager
    def running(self, batch_id: str = "") -> Iterator[bool]:
        """Claim the job to run it and hold its lock; yields False if another owns the job.

        A batch system may restart a job: then the claim has the id of this job, and is its own. The
        lock of its earlier run may persist until a file server learns that the node is gone.

        Args:
            batch_id: the job's id in its batch system, if it runs in one. Otherwise it dies
                with the machine, and its claim need not survive a crash of the machine.
        """

        def lock(file: IO[bytes]) -> bool:
            return try_lock(file, needed=not batch_id)

        claim = asdict(_claim_of("job", batch_id))
        with written_once(self._claim, claim, durably=bool(batch_id), before=lock) as file:
            if file is not None:
                yield True
                return
        owner = self.claimant()
        if owner is None or owner.by != "job" or not owner.batch_id == batch_id != "":
            yield False
            return
        with open(self._claim, "r+b", opener=open_private) as file:
            deadline = time.monotonic() + _PATIENCE
            while not (held := lock(file)) and time.monotonic() < deadline:
                time.sleep(1.0)
            yield held and not self.has_ended()

    def is_alive(self) -> bool:
        """Whether some process holds the lock of `running`."""
        # Also check the place where earlier versions had it.
        return is_locked(self._claim) or is_locked(self.path / "alive.lock")

    def has_ended(self) -> bool:
        """Whether an outcome was recorded."""
        return self._outcome.exists() and self.outcome() is not None

    @property
    def _outcome(self) -> Path:
        return self.path / "outcome.json"

    def finish(self, outcome: Outcome, seen: Callable[[], None] | None = None) -> bool:
        """Record the outcome; False if there was one already, which is kept.

        Args:
            outcome: how the job ended.
            seen: called when the outcome can be read on this machine, before it is durable on the
                disk; for a driver on the same machine.
        """
        if self._outcome.exists() and self.outcome() is None:  # emptied by a crash of the machine
            self._outcome.unlink()
        with suppress(DamagedStudy, OSError):
            outcome = replace(outcome, identity=self.spec().identity)
        with written_once(self._outcome, asdict(outcome), durably=seen is None) as file:
            if file is not None and seen is not None:
                seen()
                os.fsync(file.fileno())
                sync_folder(self.path)
        return file is not None

    def outcome(self) -> Outcome | None:
        """The outcome, or None while there is none."""
        return _read(self._outcome, _OUTCOME)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"JobFolder({str(self.path)!r})"


def _claim_of(by: str, batch_id: str) -> Claim:
    return Claim(by, os.getpid(), socket.gethostname(), time.time(), batch_id)


def _read(path: Path, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Decode the JSON in a file; None if it is missing, or damaged by a crash."""
    try:
        return decoder.decode(read_regular(path, _LARGEST))
    except (FileNotFoundError, NotRegular, msgspec.MsgspecError, ValueError, RecursionError):
        return None
