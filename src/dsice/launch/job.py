"""A job on disk: what it is to run, who holds it, what came out.

A job is one attempt at one measurement (or stage). All it has is a folder of files at fixed names,
so any process can take a job over from its folder alone. Three rules make every job run at most
once and none be lost, whatever is killed when:

- ``spec.json`` is whole before the job is submitted.
- Whoever links ``claim.json`` first owns the job: the job itself, which then runs, or the driver,
  which thereby revokes it. The job holds a lock on that file from before its linking to its end.
- ``outcome.json`` is linked into place once, complete and flushed: the first writer wins.

So an outcome means the job ended, whatever a scheduler says; a claim with a free lock and no
outcome means it was lost; and a job without a claim has not begun, and will not once revoked.
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

_PATIENCE: Final = 300.0  # seconds for which a former life's lock is waited for
_LARGEST: Final = 64_000_000  # bytes of a file of a job: the texts of its input files are in one


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
    """What a job runs.

    Attributes:
        name: unique among all jobs of all studies, for schedulers' queues.
        command: the argument list; no shell sees it.
        workdir: the working directory, which exists.
        env: environment variables added to those of the driver.
        timeout: time limit in seconds, or None.
        needs_metrics: whether a job that writes no JSON object of metrics has failed.
        resources: what it needs of a batch system besides the launcher's settings, see
            `dsice.launch.settings.Resources`.
        files: made before the program starts: name in the working directory to text.
        flaw: why the job cannot be run, in words: it will say so without starting; or nothing.
        slot: the number of the trial's slot, see `dsice.launch.slots`; None for a stage.
        devices: names of the GPUs that its environment gives it.
        cores: those of this machine that it may use; empty: all.
        identity: what it measures: study, trial or stage, attempt, parameters. The outcome repeats
            it, so that no result is taken for that of another job.
        patterns: metrics that are read from its output, by name.
        measured: names of metrics to the built-in ones that they are, see `dsice.launch.usage`.
        progress: a regular expression of lines of its output that tell intermediate metrics by its
            named groups, or nothing.
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
        reason: why it failed, in plain words; empty if it did not.
        metrics: the finite numbers of its result, by name; None if it failed.
        others: entries of its result that are no finite numbers, by name, as JSON text.
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
    """Who owns a job.

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


# Made here: shims are forked when this has been imported.
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
        """What the job runs: a `JobSpec`."""
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
        """How the job was given to a batch system, see `dsice.launch.wave`."""
        return self.path / "wave.json"

    def create(self, spec: JobSpec) -> None:
        """Make the folder and its specification.

        It need not outlive a crash of the machine: a job that was not claimed is revoked then.

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
            FileNotFoundError: it is gone.
            DamagedStudy: it cannot be read.
        """
        try:
            return _SPEC.decode(read_regular(self.spec_file, _LARGEST))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DamagedStudy(f"{self.spec_file} is damaged: {error}") from None

    def revoke(self) -> bool:
        """See to it that the job never begins; False if it has, or has been revoked before.

        A job without a folder gets one: whoever is still about to start it, a driver that stalled,
        will find it claimed.
        """
        make_folder(self.path)
        return self.claim("driver")

    def claim(self, by: str, batch_id: str = "") -> bool:
        """Claim the job; True for whoever is first, False ever after.

        Args:
            by: ``"job"`` to run it or ``"driver"`` to revoke it.
            batch_id: the job's id in its batch system, if it runs in one.
        """
        return write_once(self._claim, asdict(_claim_of(by, batch_id)))

    def claimant(self) -> Claim | None:
        """Who claimed the job; None if nobody has."""
        claim = _read(self._claim, _CLAIM)
        if claim is None and self._claim.exists():  # damaged: it was somebody's, and began perhaps
            return Claim("job", 0, socket.gethostname(), 0.0)
        return claim

    @property
    def _claim(self) -> Path:
        return self.path / "claim.json"

    def has_begun(self) -> bool:
        """Whether somebody claimed the job: it runs, has run, or never will."""
        return self._claim.exists()

    def ask_to_end(self) -> None:
        """Note that the driver wants the job to end; a signal must follow."""
        write_once(self.path / "end-asked", "", durably=False)

    def is_asked_to_end(self) -> bool:
        """Whether the driver wants the job to end."""
        return (self.path / "end-asked").exists()

    @contextmanager
    def running(self, batch_id: str = "") -> Iterator[bool]:
        """Claim the job to run it, and hold the lock that says it lives; False: it is not ours.

        A batch system may begin a job again, whose id is then that of the claim: its own. The lock
        of its former life may stand for a while, until a file server learns that a node is gone.

        Args:
            batch_id: the job's id in its batch system, if it runs in one. Without one, it dies
                with the machine, and its claim need not outlive a crash of that.
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
        # Where earlier versions had it is looked at, too.
        return is_locked(self._claim) or is_locked(self.path / "alive.lock")

    def has_ended(self) -> bool:
        """Whether an outcome was recorded."""
        return self._outcome.exists() and self.outcome() is not None

    @property
    def _outcome(self) -> Path:
        return self.path / "outcome.json"

    def finish(self, outcome: Outcome, seen: Callable[[], None] | None = None) -> bool:
        """Record the outcome; False if one was there already (it stands).

        Args:
            outcome: how the job ended.
            seen: given where the driver is on this machine: it can read the outcome as soon as
                this is called, before the outcome is on the disk.
        """
        if self._outcome.exists() and self.outcome() is None:  # a crash of the machine emptied it
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
        """How the job ended, or None as long as no outcome was recorded."""
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
    """What the JSON in a file describes; None if it is missing, or damaged by a crash."""
    try:
        return decoder.decode(read_regular(path, _LARGEST))
    except (FileNotFoundError, NotRegular, msgspec.MsgspecError, ValueError, RecursionError):
        return None
