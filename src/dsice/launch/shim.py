"""What runs inside a job: the program, under its time limit, turned into an outcome.

The shim writes an outcome for whatever the program does. *No* outcome therefore always means that
something outside of the program went wrong: the machine, the scheduler, the memory killer.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome

_TAIL: Final = 1_000_000  # bytes of output searched for the last line
_GRACE: Final = 5.0  # seconds between asking a program to end and killing it
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def run_job(path: str) -> None:
    """Run the job in folder ``path`` unless somebody else claimed it; record its outcome."""
    job = JobFolder(path)
    with job.alive() as held:
        if held and job.claim("job"):
            job.finish(_run(job, job.spec()))


class _Cancelled(BaseException):
    """The job was told to end."""


def _run(job: JobFolder, spec: JobSpec) -> Outcome:
    started = time.time()

    def ended(kind: Kind, reason: str = "", **more: Any) -> Outcome:
        return Outcome(
            kind, reason, started=started, ended=time.time(), host=socket.gethostname(), **more
        )

    env = {k: v for k, v in os.environ.items() if not k.startswith("SUBMITIT_")}
    env |= spec.env
    env |= {"DSICE_RESULT": str(job.metrics_file), "DSICE_PROGRESS": str(job.progress)}
    with _cancellable(), job.stdout.open("wb") as stdout, job.stderr.open("wb") as stderr:
        _adopt_orphans()
        try:
            process = subprocess.Popen(
                spec.command,
                cwd=spec.workdir,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return ended(Kind.NOT_STARTED, f"cannot start {spec.command[0]!r}: {what}")
        try:
            code = process.wait(spec.timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            return ended(Kind.TIMEOUT, f"not finished within its time limit of {spec.timeout:g} s")
        except _Cancelled:
            _end(process)
            return ended(Kind.CANCELLED, "cancelled")
        finally:
            _kill_family(process)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return ended(Kind.SIGNAL, f"killed by {name}{_last_words(job)}")
    if code > 0:
        return ended(Kind.EXIT, f"exit code {code}{_last_words(job)}", exit_code=code)
    try:
        metrics, not_finite = read_metrics(job)
    except ValueError as error:
        if spec.needs_metrics:
            return ended(Kind.NO_METRICS, str(error), exit_code=0)
        metrics, not_finite = {}, {}
    return ended(Kind.OK, metrics=metrics, not_finite=not_finite, exit_code=0)


def read_metrics(job: JobFolder) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics that the program left: in its result file, else in its last line of output.

    Returns:
        The finite ones, and those that are NaN or infinite as text. Entries of a result that are no
        numbers (a device name, a path) are not metrics and stay in the file only.

    Raises:
        ValueError: there are none, or they are no JSON object; the message says what was found.
    """
    text = job.metrics_file.read_text(errors="replace") if job.metrics_file.exists() else ""
    where = "its result file"
    if not text.strip():
        text, where = last_line(job.stdout), "its last line of output"
        if not text:
            raise ValueError("it wrote no metrics: neither a result file nor any output")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ValueError(f"{where} is no JSON object of metrics: {_shown(text)}")
    finite: dict[str, float] = {}
    not_finite: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):
                if math.isfinite(value):
                    finite[name] = float(value)
                    continue
            not_finite[name] = str(value)[:40]
    if not finite and not not_finite:
        raise ValueError(f"{where} has no numbers: {_shown(text)}")
    return finite, not_finite


def last_line(path: Path) -> str:
    """The last line of a text file that is not blank, or an empty text."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _last_words(job: JobFolder) -> str:
    words = last_line(job.stderr) or last_line(job.stdout)
    return f": {_shown(words)}" if words else ""


def _shown(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text.strip())
    return text if len(text) <= 200 else text[:197] + "..."


@contextmanager
def _cancellable() -> Iterator[None]:
    """Within, SIGTERM raises `_Cancelled` once."""

    def cancel(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Cancelled

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the program's process group to end, and wait a little for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever the program started and left, so that nothing of a trial outlives it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Descendants that left the process group have become children of this process (see
    # `_adopt_orphans`); killing one may hand over its own children, hence the loop.
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:  # not Linux, or a kernel without this file
        return []
    return [int(pid) for pid in text.split()]


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _adopt_orphans() -> None:
    """Have processes whose parent ends become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _die_with_parent() -> None:
    """Called in the program's process: if the shim is killed, so is the program."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def thread_limits(threads: int) -> Mapping[str, str]:
    """Environment variables that hold numerical libraries to ``threads`` threads."""
    names = "OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB", "NUMEXPR", "NUMBA"
    return {
        f"{name}_{'MAXIMUM' if name == 'VECLIB' else 'NUM'}_THREADS": str(threads) for name in names
    }
