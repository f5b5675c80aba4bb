"""All plays of a simulation: every number of slots in every repetition.

One repetition is one world; it is played with each number of slots, so that their results can be
compared. Plays are spread over processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dsice.goal import Goal
from dsice.grid import Grid
from dsice.search import make_search
from dsice.simulate.play import Terms, play
from dsice.simulate.workers import spread
from dsice.simulate.world import Worlds


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
    """The summary of a play.

    Attributes:
        slots: trials at once.
        repetition: which world, counted from 0.
        wall: seconds from beginning to end, stages included.
        work: seconds that all jobs of trials ran, one after another.
        ends: when each trial ended, increasing.
        best: the best feasible cost by then, infinite before there is one.
        cpu: seconds of real computing time that the play took.
        stopped: how many trials were ended early.
    """

    slots: int
    repetition: int
    wall: float
    work: float
    ends: Sequence[float]
    best: Sequence[float]
    cpu: float
    stopped: int = 0


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
        stopped=sum(job.stopped for job in done.jobs),
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
    found: dict[tuple[int, int], Played] = {}

    def keep(job: tuple[int, int], played: Played) -> None:
        found[job] = played
        on_end(len(found), len(jobs))

    if processes == 1:
        for job in jobs:
            keep(job, play_once(campaign, *job))
    else:
        spread(_Plays(campaign), jobs, processes, keep)
    return [found[job] for job in jobs]


@dataclass(frozen=True)
class _Plays:
    campaign: Campaign

    def __call__(self, job: tuple[int, int]) -> Played:
        return play_once(self.campaign, *job)
