"""Ensuring that no process of a job outlives it; best effort on other systems than Linux."""

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
    """The search path for programs: PATH, then the folder of the running Python.

    The latter finds programs installed beside dsice without an activated environment.
    """
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


def adopt_orphans() -> None:
    """Make this process adopt descendants whose parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; called in a new child."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None:
        with suppress(OSError, AttributeError):
            _libc.prctl(option, value, 0, 0, 0)


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Tell a process's group to end, and wait briefly for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a child, its process group, and all orphans that this process adopted."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kill_orphans()


def kill_orphans() -> None:
    """Kill all children of this process, among them orphans that it adopted."""
    # A killed orphan may leave children that are adopted in turn, hence the loop.
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

    For leftovers of a parent that was itself killed, whatever their process group or parent is now.
    """
    mark = f"{variable}={value}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or gone
            if mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
