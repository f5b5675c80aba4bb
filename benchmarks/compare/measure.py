"""Which runs there are to make, and making them."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.compare import peers
from benchmarks.compare.peers.base import Task, Unsuitable
from benchmarks.compare.problems import Problem
from benchmarks.compare.simulate import Run, simulate
from benchmarks.compare.store import Key
from dsice.errors import InvalidInput


@dataclass(frozen=True)
class Plan:
    """What is to be compared.

    Attributes:
        tuners: names, see `peers.kind`.
        problems: each has a name of its own.
        workers: numbers of simultaneous jobs.
        budgets: numbers of evaluations.
        seeds: how many runs of each.
    """

    tuners: Sequence[str]
    problems: Sequence[Problem]
    workers: Sequence[int]
    budgets: Sequence[int]
    seeds: int

    def __iter__(self) -> Iterator[Key]:
        """All runs, so ordered that stopping early leaves every problem with as many seeds."""
        for seed in range(self.seeds):
            for tuner in self.tuners:
                for workers in self.workers:
                    for budget in self.runs_of(tuner, workers):
                        for problem in self.problems:
                            yield Key(tuner, problem.name, workers, budget, seed)

    def runs_of(self, tuner: str, workers: int) -> list[int]:
        """The budgets a tuner is run with; a smaller one is the beginning of a larger run."""
        kind = peers.kind(tuner)
        if kind.sequential and workers > 1:
            return []
        return sorted(self.budgets) if kind.told_budget else [max(self.budgets)]


def measure(key: Key, problem: Problem) -> Run | str:
    """One run, or why it could not be made."""
    # Seeds of their own, or luck would repeat itself on all problems with grids of one shape.
    seed = zlib.crc32(f"{key.problem} {key.seed}".encode()) % 2**31
    task = Task(problem.grid, problem.goal, key.workers, key.budget, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tuner = peers.make(key.tuner, task)
        except (Unsuitable, InvalidInput) as error:
            return str(error)
        try:
            return simulate(tuner, problem, key.workers, key.budget, key.seed)
        except Exception as error:  # a library's bug must not end the comparison
            return f"{type(error).__name__}: {error}"
        finally:
            tuner.close()
