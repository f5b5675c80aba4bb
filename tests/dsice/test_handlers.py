"""Handlers of signals that are in force within a block."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import pytest

from dsice.signals import handled


def test_handlers_are_in_force_within_the_block_and_the_former_ones_afterwards() -> None:
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]

    def kill() -> None:
        with handled(note, *numbers):
            for number in numbers:
                os.kill(os.getpid(), number)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        kill()
    assert heard == list(numbers)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_handler_that_was_set_within_stays() -> None:
    before, other = (signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGUSR2))
    try:
        with handled(lambda number, frame: None, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGUSR2) is other
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_another_thread_nothing_changes() -> None:
    found = []

    def run() -> None:
        with handled(lambda number, frame: None, signal.SIGUSR1):
            found.append(signal.getsignal(signal.SIGUSR1))

    before = signal.getsignal(signal.SIGUSR1)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before]
