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

# Limits the linear-algebra libraries of numpy to one thread each.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply `function` to every item in parallel; yield the results in the order of the items.

    At most two items per worker, plus one, are running or waiting to be consumed.

    Args:
        function: importable by a new process, as are the types of its results.
        items: consumed lazily.
        workers: number of processes, of one thread each.

    Raises:
        UserError: a process was killed. Exceptions of `function` are raised here as well.
    """
    # New processes, as a fork of this one could inherit a lock of torch's threads.
    with (
        _one_thread_each(),
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin) as pool,
    ):
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:  # limits the number of images in memory
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
    """Limit processes started in the context to one thread, as there is one process per core."""
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
    """Ignore Ctrl-C, which the first process reports; end if that process is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Otherwise they would wait for work forever, as each holds both ends of the queue.
        parent.join()
        os._exit(1)
