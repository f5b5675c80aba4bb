"""Clocks, which are passed in so that tests and simulations can use their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The interface of clocks."""

    def now(self) -> float:
        """Unix time in seconds."""

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""


class SystemClock:
    """The clock of the system."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
