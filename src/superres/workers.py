"""Work on many images in several processes, with results in order and bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from superres.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

# How the linear-algebra libraries of numpy are told to keep to one thread each.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """What `function` gives for every item, in the order of the items.

    At most two items a worker, and one, are under way or done and not yet taken.

    Args:
        function: can be imported by a fresh process, and so can its results.
        items: taken one after the other, as they are needed.
        workers: processes, of one thread each.

    Raises:
        UserError: a process was killed. What `function` raises is raised here as well.
    """
    # Fresh processes: a copy of this one could inherit a lock of torch's threads.
    with (
        _one_thread_each(),
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin) as pool,
    ):
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:  # so that not all images are in memory at once
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "a process that worked on images was killed, perhaps for want of memory: "
                "try fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start within use one thread: there is one process a core already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin() -> None:
    """Ctrl-C reaches all processes: only the first is to speak of it. If it is killed, all end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Without this, they would wait for work for ever: each holds both ends of the queue.
        parent.join()
        os._exit(1)
