"""One tuner on one problem: workers that take jobs in virtual time."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from benchmarks.compare.problems import Problem
from dsice.goal import Metrics
from dsice.grid import Point

SIGMA: Final = 0.3
"""Spread of the job lengths, which are lognormal."""
PATIENCE: Final = 2000
"""Proposals of nothing new before a worker is left idle."""


class Tuner(Protocol):
    """What a tuner must do to be measured."""

    def ask(self) -> Point | None:
        """A point to measure; None: nothing to propose before the next result."""

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        """The result at a proposed point; None if it failed or the rule excludes it."""


@dataclass
class Run:
    """What happened, by charged submission: proposals that cost a job.

    Attributes:
        begins: when each was submitted, in median job lengths.
        ends: when its job ended.
        costs: its cost if it was feasible, infinity otherwise.
        repeats: how many proposals since the last submission were measured before or pending.
        excluded: how many of them the rule excludes.
        cpu: CPU seconds that the tuner took since the last submission.
    """

    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    excluded: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def first(self, budget: int) -> Run:
        """The run as it would have been with a smaller budget, for a tuner that is not told it."""
        return Run(
            self.begins[:budget],
            self.ends[:budget],
            self.costs[:budget],
            self.repeats[:budget],
            self.excluded[:budget],
            self.cpu[:budget],
        )


def durations(budget: int, seed: int) -> Sequence[float]:
    """The lengths of the jobs, by submission: the same for every tuner."""
    random = np.random.default_rng([seed, 123])
    lengths: list[float] = np.exp(SIGMA * random.normal(size=budget)).tolist()
    return lengths


def simulate(tuner: Tuner, problem: Problem, workers: int, budget: int, seed: int) -> Run:
    """Refill each worker the moment it is free, until ``budget`` jobs are done.

    A repeated point is not charged: its known result is told at once, or when its job ends, and the
    tuner is asked again. An excluded point is free to test: it is told as failed. A tuner that
    proposes nothing new `PATIENCE` times in a row leaves its worker idle until the next result.
    """
    lengths = durations(budget, seed)
    run = Run()
    desk = _Desk(tuner, problem)
    jobs: list[tuple[float, int, Point]] = []
    now = 0.0
    while True:
        while len(jobs) < workers and len(run.ends) < budget:
            point = desk.new_point()
            if point is None:
                break
            end = now + lengths[len(run.ends)]
            heapq.heappush(jobs, (end, len(run.ends), point))
            run.begins.append(now)
            run.ends.append(end)
            run.costs.append(problem.score(problem.measure(point)))
            run.repeats.append(desk.repeats)
            run.excluded.append(desk.excluded)
            run.cpu.append(desk.clock.read())
        if not jobs:
            return run
        now, _, point = heapq.heappop(jobs)
        desk.end(point)


class _Desk:
    """Between the tuner and the workers: lets through only what is new and allowed.

    Attributes:
        repeats: proposals of known or pending points during the last `new_point`.
        excluded: proposals of excluded points during it.
        clock: runs while the tuner computes.
    """

    def __init__(self, tuner: Tuner, problem: Problem) -> None:
        self._tuner = tuner
        self._problem = problem
        self._known: dict[Point, Metrics | None] = {}
        self._pending: dict[Point, int] = {}  # how many proposals wait for the same result
        self.repeats = 0
        self.excluded = 0
        self.clock = _Clock()

    def new_point(self) -> Point | None:
        """The tuner's next point that is to be measured; None if it has none for now."""
        self.repeats = self.excluded = 0
        for _ in range(PATIENCE):
            with self.clock:
                point = self._tuner.ask()
            if point is None:
                return None
            if not self._problem.grid.allows(point):
                self.excluded += 1
                self._tell(point, None)
            elif point in self._known:
                self.repeats += 1
                self._tell(point, self._known[point])
            elif point in self._pending:
                self.repeats += 1
                self._pending[point] += 1
            else:
                self._pending[point] = 1
                return point
        return None

    def end(self, point: Point) -> None:
        """The job of ``point`` has ended."""
        self._known[point] = metrics = self._problem.measure(point)
        for _ in range(self._pending.pop(point)):
            self._tell(point, metrics)

    def _tell(self, point: Point, metrics: Metrics | None) -> None:
        with self.clock:
            self._tuner.tell(point, metrics)


class _Clock:
    """CPU time of this process, while it is entered."""

    def __init__(self) -> None:
        self._total = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._total += time.process_time() - self._began

    def read(self) -> float:
        """Seconds since the last reading."""
        total, self._total = self._total, 0.0
        return total


def worst_first(costs: Sequence[float], worst: float) -> list[float]:
    """Best cost after each result; ``worst`` while nothing feasible is known."""
    best, curve = worst, []
    for cost in costs:
        best = min(best, cost)
        curve.append(best if math.isfinite(best) else worst)
    return curve
