"""What the tests of studies share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine crashes within: nothing need reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
