"""All plays that a question needs: every number of slots in every repetition.

One repetition is one world; it is played with each number of slots, so that their results can be
compared. Plays are spread over processes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from typing import Any

from dsice.errors import DsiceError
from dsice.goal import Goal
from dsice.grid import Grid
from dsice.launch.processes import die_with_parent
from dsice.search import make_search
from dsice.simulate.play import Terms, play
from dsice.simulate.world import Worlds
from dsice.study.spec import thread_limits


@dataclass(frozen=True)
class Campaign:
    """What is played.

    Attributes:
        grid: the points.
        goal: what the search looks for; settled.
        search: name of the search.
        options: of the search.
        seed: of the search in the first repetition; the next have the next.
        worlds: what trials give.
        terms: what the study is given.
    """

    grid: Grid
    goal: Goal
    search: str
    options: Mapping[str, Any]
    seed: int
    worlds: Worlds
    terms: Terms


@dataclass(frozen=True, slots=True)
class Played:
    """What is kept of a play.

    Attributes:
        slots: trials at once.
        repetition: which world, counted from 0.
        wall: seconds from beginning to end, stages included.
        work: seconds that all jobs of trials ran, one after another.
        ends: when each trial ended, increasing.
        best: the best feasible cost by then, infinite before there is one.
        cpu: seconds of real computing time that the play took.
    """

    slots: int
    repetition: int
    wall: float
    work: float
    ends: Sequence[float]
    best: Sequence[float]
    cpu: float


def play_once(campaign: Campaign, slots: int, repetition: int) -> Played:
    """Play one world with so many slots."""
    began = time.process_time()
    search = make_search(
        campaign.search,
        campaign.grid,
        campaign.goal,
        seed=campaign.seed + repetition,
        capacity=slots,
        **campaign.options,
    )
    done = play(search, campaign.worlds.world(repetition), slots, campaign.terms)
    curve = done.curve(campaign.goal)
    return Played(
        slots=slots,
        repetition=repetition,
        wall=done.wall,
        work=done.work,
        ends=[ended for ended, _ in curve],
        best=[best for _, best in curve],
        cpu=time.process_time() - began,
    )


def play_all(
    campaign: Campaign,
    slots: Sequence[int],
    repetitions: int,
    on_end: Callable[[int, int], None] = lambda done, total: None,
    processes: int | None = None,
) -> list[Played]:
    """Play every number of slots in every repetition; by repetition, then as ``slots`` has them.

    Args:
        campaign: what is played.
        slots: trials at once.
        repetitions: how many worlds.
        on_end: called with the number of plays done and that of all, first with 0.
        processes: that play at the same time; as many as this process may use cores by default.

    Raises:
        DsiceError: a process was killed.
    """
    jobs = [(count, repetition) for repetition in range(repetitions) for count in slots]
    on_end(0, len(jobs))
    processes = min(len(jobs), processes or len(os.sched_getaffinity(0)))
    found = {}
    if processes == 1:
        for job in jobs:
            found[job] = play_once(campaign, *job)
            on_end(len(found), len(jobs))
    else:
        try:
            with (
                _one_thread(),
                ProcessPoolExecutor(processes, get_context("spawn"), die_with_parent) as pool,
                _ended_by_interrupts(),
            ):
                with _without_interrupts():  # processes that are started inherit that
                    futures = {pool.submit(play_once, campaign, *job): job for job in jobs}
                for future in as_completed(futures):
                    found[futures[future]] = future.result()
                    on_end(len(found), len(jobs))
        except BrokenProcessPool:
            raise DsiceError("a process of the simulation was killed: is memory short?") from None
    return [found[job] for job in jobs]


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Within, a Ctrl-C waits: a process that is half started would complain."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _ended_by_interrupts() -> Iterator[None]:
    """Within, a KeyboardInterrupt ends the processes that were started: a pool waits for them."""
    before = set(active_children())
    try:
        yield
    except KeyboardInterrupt:
        for child in set(active_children()) - before:
            child.kill()
        raise


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
