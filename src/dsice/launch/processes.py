"""Seeing to it that nothing of a job outlives it. What is not Linux does what it can."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

GRACE: Final = 5.0
"""Seconds between asking a program to end and killing it."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def search_path() -> str:
    """Where programs are looked up: PATH, then the folder of the running Python.

    The last makes programs installed beside dsice known without an activated environment.
    """
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


def adopt_orphans() -> None:
    """Have descendants whose parent ends become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Called in a new child: have the kernel kill it when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None:
        with suppress(OSError, AttributeError):
            _libc.prctl(option, value, 0, 0, 0)


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process's group to end, and wait a little for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a child, its process group, and all orphans that this process adopted."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Killing an orphan may hand over children of its own, hence the loop.
    while children := own_children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def own_children() -> list[int]:
    """The process ids of this process's children, started by its main thread."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:  # not Linux, or a kernel without this file
        return []
    return [int(pid) for pid in text.split()]


def kill_marked(variable: str, value: str) -> None:
    """Kill all processes of this user that were started with ``variable=value``.

    For what a parent left behind that was itself killed, wherever it has gone since.
    """
    mark = f"{variable}={value}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or gone
            if mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
