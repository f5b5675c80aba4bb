"""What the tests of launchers share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsice.launch import processes, shim
from tests.dsice.launch.batch_system import Bench
from tests.dsice.launch.commands import Says


@pytest.fixture
def shim_as_guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, a shim in this process leaves the process as it was.

    A real one has no children but those of its program, and kills them all.
    """
    monkeypatch.setattr(shim, "adopt_orphans", lambda: None)
    monkeypatch.setattr(processes, "own_children", list)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Makes a command that prints something; returns where its arguments and script are kept."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(command: str, out: str = "", err: str = "", code: int = 0) -> Path:
        kept = tmp_path / command
        kept.mkdir(exist_ok=True)
        (kept / "out").write_text(out, errors="surrogateescape")
        (kept / "err").write_text(err)
        (folder / command).write_text(
            f"#!/bin/sh\ncd '{kept}'\nprintf '%s\\n' \"$@\" > args\nenv > env\n"
            'if [ -f "$1" ]; then cat "$1" > script; elif [ "$#" = 0 ]; then cat > script; fi\n'
            f"cat out\ncat err >&2\nexit {code}\n"
        )
        (folder / command).chmod(0o755)
        return kept

    return make
