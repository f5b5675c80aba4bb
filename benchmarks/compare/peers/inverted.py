"""Asking and telling for libraries that want to call the program themselves."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue

from benchmarks.compare.peers.base import Peer
from dsice.goal import Metrics
from dsice.grid import Point

Result = Metrics | None


class Stopped(BaseException):
    """The comparison is over; raised inside the library."""


class Inverted(Peer):
    """Runs a library's own loop in a thread, which sleeps while nothing is to be computed.

    Exactly one side is awake at any time. `_loop` calls `_measure` with one or more points and is
    given their results when all are known; until then `ask` hands out the points of the batch.
    """

    def __init__(self) -> None:
        self._batches: SimpleQueue[Sequence[Point] | BaseException | None] = SimpleQueue()
        self._results: SimpleQueue[dict[Point, Result] | None] = SimpleQueue()
        self._to_ask: deque[Point] = deque()
        self._open = 0
        self._known: dict[Point, Result] = {}
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _loop(self) -> None:
        """The library's loop; it may end whenever it likes."""

    def _measure(self, points: Sequence[Point]) -> list[Result]:
        """To be called from `_loop`."""
        self._batches.put(points)
        results = self._results.get()
        if results is None:
            raise Stopped
        return [results[point] for point in points]

    def ask(self) -> Point | None:
        if not self._to_ask and not self._open:
            self._resume()
        if not self._to_ask:
            return None
        self._open += 1
        return self._to_ask.popleft()

    def tell(self, point: Point, metrics: Result) -> None:
        self._known[point] = metrics
        self._open -= 1

    def close(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            self._results.put(None)
            self._thread.join()

    def _resume(self) -> None:
        """Give the loop its results and wait for its next points."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        elif self._thread.is_alive():
            self._results.put(self._known)
        else:
            return
        batch = self._batches.get()
        if isinstance(batch, BaseException):
            raise batch
        if batch is None:
            self._thread.join()
        else:
            self._to_ask.extend(batch)

    def _run(self) -> None:
        try:
            self._loop()
        except Stopped:
            return
        except Exception as error:
            self._batches.put(error)
            return
        self._batches.put(None)
