"""Retries of what a batch system refuses: later and later, and not all drivers at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_FIRST_DELAY: Final = 2.0  # seconds after a failure until the next try, doubled each time ...
_LONGEST_DELAY: Final = 60.0  # ... up to this


class Backoff:
    """Exponential backoff with jitter for retries."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._delay = _FIRST_DELAY
        self._due_at = -float("inf")
        self._text = ""

    def is_due(self) -> bool:
        """Whether it is time to try."""
        return self._now() >= self._due_at

    def failed(self, text: str) -> None:
        """Note that a try failed, for the reason ``text``."""
        self._text = text
        # Jitter, so that many drivers do not retry at the same moment.
        self._due_at = self._now() + self._delay * random.uniform(0.7, 1.3)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    def succeeded(self) -> None:
        """Note that a try succeeded."""
        self._delay, self._due_at, self._text = _FIRST_DELAY, -float("inf"), ""

    @property
    def trouble(self) -> str:
        """The reason of the last failure; empty if the last try succeeded."""
        return self._text
