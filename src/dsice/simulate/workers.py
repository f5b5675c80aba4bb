"""Work spread over processes that end at once with whoever waits for them."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, TypeVar

from dsice.errors import DsiceError
from dsice.launch.processes import die_with_parent
from dsice.signals import handled
from dsice.study.spec import thread_limits

Job = TypeVar("Job")
Result = TypeVar("Result")


def spread(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    on_result: Callable[[Job, Result], None],
) -> None:
    """Do ``work`` on all ``jobs``, several at the same time.

    A pool of the standard library would go on with its jobs after a Ctrl-C, or wait for processes
    that are gone.

    Args:
        work: can be pickled, as its results and what it raises can.
        jobs: what it is called with.
        processes: that work; each keeps to one thread.
        on_result: called with each job and its result, as they come.

    Raises:
        DsiceError: a process was killed.
        Exception: what ``work`` raised.
    """
    context = get_context("spawn")
    crew: dict[Connection, Any] = {}
    busy: dict[Connection, Job] = {}
    waiting = deque(jobs)
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            crew[ours] = process = context.Process(target=_serve, args=(theirs,), daemon=True)
            with _one_thread(), _without_interrupts():
                process.start()
            theirs.close()
        for connection in crew:
            connection.send(work)
        idle = list(crew)
        while waiting or busy:
            while waiting and idle:
                connection = idle.pop()
                busy[connection] = waiting.popleft()
                connection.send(busy[connection])
            for each in wait(list(busy)):
                assert isinstance(each, Connection)
                error, result = each.recv()
                if error is not None:
                    raise error
                on_result(busy.pop(each), result)
                idle.append(each)
    except (EOFError, ConnectionError):
        raise DsiceError("a process of the simulation was killed: is memory short?") from None
    finally:
        for process in crew.values():
            if process.pid is not None:
                process.kill()
                process.join()
        for connection in crew:
            connection.close()


def _serve(connection: Connection) -> None:
    """Within a process: do the work, one job after another, until it is ended."""
    die_with_parent()
    with suppress(EOFError):  # the parent is gone
        work = connection.recv()
        while True:
            job = connection.recv()
            answer: tuple[Exception | None, Any]
            try:
                answer = None, work(job)
            except Exception as error:
                answer = error, None
            connection.send(answer)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Within, a Ctrl-C waits; processes that are started do not hear it at all."""
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    # The mask is inherited; here, where another thread may get the signal, it is not enough.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    with handled(note, signal.SIGINT):
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what waits comes to ``note``
    if heard and not ignored:
        raise KeyboardInterrupt


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within, processes begin with numerical libraries that keep to one thread."""
    before = dict(os.environ)
    os.environ.update(thread_limits(1))
    try:
        yield
    finally:
        for name in thread_limits(1):
            os.environ.pop(name)
        os.environ.update({name: before[name] for name in thread_limits(1) if name in before})
