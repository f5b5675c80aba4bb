"""Handlers of signals that are in force within a block only."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]
"""Called with the number of the signal and what it interrupted."""


@contextmanager
def handled(handler: Handler, *numbers: int) -> Iterator[None]:
    """Within, these signals call ``handler``; afterwards, what they called before.

    A signal whose handler is another one by then keeps that. Outside of the main thread, where
    Python has no handlers, nothing is changed.
    """
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:  # not the main thread
        before = {}
    try:
        yield
    finally:
        for number, earlier in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, earlier)
