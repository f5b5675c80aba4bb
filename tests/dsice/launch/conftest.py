"""What the tests of launchers share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsice.launch import processes, shim
from tests.dsice.launch.batch_system import Bench


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
