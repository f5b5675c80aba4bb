"""The code inside a job: runs the program under its time limit and records the outcome.

The shim writes an outcome whatever the program does. *No* outcome therefore always means that
something outside of the program failed: the machine, the scheduler, the out-of-memory killer.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from dsice.files import make_folder, open_private, write_atomically
from dsice.launch import output, patterns
from dsice.launch.faults import fault_behind, fault_in
from dsice.launch.following import Follower
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.memory import MemoryWatch
from dsice.launch.processes import adopt_orphans, ask_to_end, die_with_parent, kill_family
from dsice.launch.usage import Meter

SAFE_PATH_ADDED: Final = "DSICE_SAFE_PATH_ADDED"
"""Set by a launcher that added PYTHONSAFEPATH for the sake of the job's own Python processes."""

_PATIENCE: Final = 3600.0  # seconds to wait while the disk is full
_RETRY: Final = 5.0
_LOOK: Final = 1.0  # seconds between looks for the file that tells a job to end
_NO_FAILURE: Final = (Kind.OK, Kind.CANCELLED)
_ENDED_BY_SIGNAL: Final = (-signal.SIGTERM, 128 + signal.SIGTERM)
_SIGNALS_TOGETHER: Final = 1.0  # seconds between the SIGTERMs of a program and its shim, at most


def run_job(path: str, seen: Callable[[], None] = lambda: None) -> None:
    """Run the job in folder ``path`` unless it is claimed already, and record its outcome.

    ``seen`` is called when the outcome can be read.
    """
    run_once(JobFolder(path), "", seen, Cancellation())


def run_once(
    job: JobFolder,
    batch_id: str,
    seen: Callable[[], None] | None,
    cancellation: Cancellation,
    limit: float | None = None,
    watches: bool = False,
) -> None:
    """Run a job unless it is claimed already, and record its outcome.

    Args:
        job: to run.
        batch_id: of its batch job or step; empty outside of one.
        seen: called when the outcome can be read.
        cancellation: by signals.
        limit: its time limit in seconds if its specification has none.
        watches: whether it ends also when its folder says that it should, see
            `JobFolder.ask_to_end`, or was deleted: no signal reaches it.
    """
    with job.running(batch_id) as held:
        if not held:
            return
        if watches:
            cancellation.also = lambda: job.is_asked_to_end() or job.was_deleted()
        started = time.time()
        fault = ""
        try:
            spec = job.spec()
            spec = replace(spec, timeout=limit) if spec.timeout is None else spec
            outcome = _run(job, spec, cancellation, batch_id)
        except Exception as error:  # the driver must know of any error
            outcome = ended(Kind.NOT_STARTED, started, f"{type(error).__name__}: {error}")
            fault = fault_behind(error)
        # Without disk space or file server, programs fail in their own ways.
        if outcome.kind not in _NO_FAILURE and (fault := fault or fault_in(job.path)):
            outcome = replace(outcome, kind=Kind.LOST, reason=f"{fault}: {outcome.reason}")
        # In a batch system others can end a job as well, and only the system knows why.
        by_others = batch_id and not job.is_asked_to_end()
        if not (outcome.kind is Kind.CANCELLED and by_others):
            finish(job, outcome, seen)
            _drop_empty_logs(job)


def finish(job: JobFolder, outcome: Outcome, seen: Callable[[], None] | None) -> None:
    """Record the outcome; wait while the disk is full, alive by the lock of the job."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            job.finish(outcome, seen)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)


def _drop_empty_logs(job: JobFolder) -> None:
    """Remove empty logs, so that 100,000 trials fit a quota of a million files."""
    for log in (job.stdout, job.stderr):
        with suppress(OSError):
            if log.lstat().st_size == 0 and log.is_file():
                log.unlink()


class _Cancelled(BaseException):
    """The job was told to end."""


class Cancellation:
    """Records SIGTERM from its creation on; while ``interrupts`` is set, it interrupts `wait`.

    Attributes:
        also: another way to learn that the job should end, asked every second; or None.
    """

    def __init__(self) -> None:
        self.also: Callable[[], bool] | None = None
        self.asked = False
        self.interrupts = False
        signal.signal(signal.SIGTERM, self._ask)
        # submitit's handler would take this signal for the end of the job.
        signal.signal(signal.SIGUSR2, lambda number, frame: None)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.interrupts:
            self.interrupts = False  # once
            raise _Cancelled

    def comes_within(self, seconds: float) -> bool:
        """Whether the signal has come or comes within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.asked and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.asked

    def wait(self, process: subprocess.Popen[bytes], timeout: float | None) -> int:
        """Wait for ``process`` and return its exit code; raises `_Cancelled` or TimeoutExpired."""
        try:
            self.interrupts = True
            if self.asked:
                raise _Cancelled
            return self._waited(process, timeout)
        finally:
            self.interrupts = False

    def _waited(self, process: subprocess.Popen[bytes], timeout: float | None) -> int:
        if self.also is None:
            return process.wait(timeout)
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return process.wait(min(_LOOK, max(end - time.monotonic(), 0.0)))
            except subprocess.TimeoutExpired:
                if self.also():
                    raise _Cancelled from None
                if time.monotonic() >= end:
                    raise


def ended(kind: Kind, started: float, reason: str = "", **more: Any) -> Outcome:
    """The outcome of a job that ends here and now."""
    host = socket.gethostname()
    return Outcome(kind, reason, started=started, ended=time.time(), host=host, **more)


def _run(job: JobFolder, spec: JobSpec, cancellation: Cancellation, batch_id: str) -> Outcome:
    adopt_orphans()
    started = time.time()
    memory = MemoryWatch()
    if spec.flaw:
        return ended(Kind.NOT_STARTED, started, spec.flaw)
    _make_files(spec)
    if spec.cores:
        os.sched_setaffinity(0, spec.cores)  # inherited by processes started from now on
    with (
        open(job.stdout, "wb", opener=open_private) as stdout,
        open(job.stderr, "wb", opener=open_private) as stderr,
    ):
        began_ns = os.fstat(stdout.fileno()).st_mtime_ns
        environment = _environment(job, spec)
        meter = Meter(spec.measured.values(), environment)
        try:
            process = subprocess.Popen(
                spec.command,
                cwd=spec.workdir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            kind = Kind.LOST if fault_behind(error) else Kind.NOT_STARTED
            return ended(kind, started, f"cannot start {spec.command[0]!r}: {what}")
        follower = _follower(job, spec)
        try:
            code = cancellation.wait(process, spec.timeout)
        except subprocess.TimeoutExpired:
            ask_to_end(process)
            reason = f"not finished within its time limit of {spec.timeout:g} s"
            return ended(Kind.TIMEOUT, started, reason)
        except _Cancelled:
            ask_to_end(process)
            return ended(Kind.CANCELLED, started, "cancelled")
        finally:
            meter.end()
            kill_family(process)
            if follower is not None:
                follower.end()
    if batch_id and code in _ENDED_BY_SIGNAL and cancellation.comes_within(_SIGNALS_TOGETHER):
        return ended(Kind.CANCELLED, started, "cancelled")  # all processes of a job get the signal
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL) and memory.was_exceeded():
        return ended(Kind.OUT_OF_MEMORY, started, "killed for using more memory than it may")
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return ended(Kind.SIGNAL, started, f"killed by {name}{_last_words(job)}")
    if code > 0:
        return ended(Kind.EXIT, started, f"exit code {code}{_last_words(job)}", exit_code=code)
    try:
        metrics, others = _metrics(job, spec, began_ns)
    except OSError as error:
        what = f"its metrics cannot be read: {error.filename}: {error.strerror}"
        kind = Kind.LOST if fault_behind(error) else Kind.NO_METRICS
        return ended(kind, started, what, exit_code=0)
    except ValueError as error:
        return ended(Kind.NO_METRICS, started, str(error), exit_code=0)
    measured, unknown = meter.found()
    for name, builtin in spec.measured.items():
        if builtin in measured:
            metrics[name] = measured[builtin]
        else:
            others[name] = unknown[builtin]
    return ended(Kind.OK, started, metrics=metrics, others=others, exit_code=0)


def _metrics(
    job: JobFolder, spec: JobSpec, began_ns: int
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics of the program: from the JSON object that it wrote, and from patterns.

    Raises:
        ValueError: required metrics are missing; the message says what was found instead.
        OSError: a file exists and cannot be read.
    """
    metrics, others = patterns.metrics_by(
        spec.patterns, job.stdout, job.stderr, Path(spec.workdir), began_ns
    )
    try:
        written, more = output.metrics_in(job.metrics_file, job.stdout)
    except ValueError:
        if spec.needs_metrics:
            raise
        written, more = {}, {}
    return written | metrics, more | others


def _follower(job: JobFolder, spec: JobSpec) -> Follower | None:
    if not spec.progress:
        return None
    return Follower(spec.progress, [job.stdout, job.stderr], job.progress)


def _make_files(spec: JobSpec) -> None:
    """Create the input files of a program, anew for every run, as earlier runs may change them."""
    for name, text in spec.files.items():
        path = Path(spec.workdir, name)
        make_folder(path.parent)
        write_atomically(path, text, durably=False)


def _environment(job: JobFolder, spec: JobSpec) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("SUBMITIT_")}
    if SAFE_PATH_ADDED in os.environ:
        del env[SAFE_PATH_ADDED]
        env.pop("PYTHONSAFEPATH", None)
    env |= spec.env
    return env | {"DSICE_RESULT": str(job.metrics_file), "DSICE_PROGRESS": str(job.progress)}


def _last_words(job: JobFolder) -> str:
    words = output.last_line(job.stderr) or output.last_line(job.stdout)
    return f": {output.shown(words)}" if words else ""
