"""The command line, as tests call it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
Calls = Callable[[], list[str]]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that refused: exit code 2, one line, nothing else."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("dsice: ")
    return line
