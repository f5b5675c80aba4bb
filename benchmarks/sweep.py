"""A range of bounds from one history: ``python -m benchmarks.sweep [--tables DIR]``.

Each problem has a cost and a bounded metric. Of its true front, the points at a quarter and at
three quarters give the range of bounds, the middle one the single bound of the study. 200 trials
are measured for the single bound; then 50 more, once for the whole range (what ``dsice sweep
--trials`` does) and once for the same bound. Shown is the hypervolume over the range: the area
between the best cost known at each bound and the true front's cost at the strictest, as a share of
the true front's area (1: perfect at every bound). All answers come from tables, in virtual time
with 8 workers.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.compare.problems import Problem, load
from benchmarks.compare.synthetic import synthetic
from dsice.front import front, hypervolume
from dsice.goal import Goal, Metrics
from dsice.grid import Point
from dsice.search import make_search
from dsice.search.base import Search
from dsice.swept import Swept

HISTORY: Final = 200
MORE: Final = 50
WORKERS: Final = 8

Measured = dict[Point, Metrics | None]


class Task(NamedTuple):
    """A problem with its true front, range of bounds and single bound."""

    problem: Problem
    front: NDArray[np.float64]
    strictest: float
    loosest: float
    bound: float

    @classmethod
    def of(cls, problem: Problem) -> Task:
        """The task of a problem with a table of both metrics."""
        assert not callable(problem.costs)
        assert problem.second is not None
        known = np.isfinite(problem.costs)
        if problem.allowed is not None:
            known &= problem.allowed
        both = np.stack([problem.costs[known], problem.second[known]], axis=1)
        true = both[front(both)]
        low, middle, high = (float(true[len(true) * k // 4, 1]) for k in (1, 2, 3))
        return cls(problem, true, low, high, middle)

    def single(self) -> Goal:
        """One bound."""
        return Goal(minimize="cost", subject_to=[f"second <= {self.bound!r}"])

    def sweep(self) -> Goal:
        """All bounds of the range."""
        return self.single().over(Swept("second", "<=", self.strictest, self.loosest))

    def share(self, measured: Measured) -> float:
        """The hypervolume as a share of the true front's."""
        known = [[m["cost"], m["second"]] for m in measured.values() if m is not None]
        return self._area(np.array(known)) / self._area(self.front)

    def _area(self, rows: NDArray[np.float64]) -> float:
        worst = float(self.front[self.front[:, 1] <= self.strictest, 0].min())
        # Stricter than the strictest bound is no better, and no area of the range.
        inside = np.maximum(rows, [-np.inf, self.strictest])
        # A best cost worse than at the strictest bound of the true front counts as none.
        return hypervolume(inside, (worst, self.loosest))


def measure(task: Task, search: Search, measured: Measured, count: int, seed: int) -> Measured:
    """``measured`` with ``count`` more results of what ``search`` proposes."""
    found = dict(measured)
    lengths = random.Random(seed)
    jobs: list[tuple[float, Point]] = []
    now = 0.0
    begun = 0
    while begun < count or jobs:
        for point in search.ask(min(WORKERS - len(jobs), count - begun)):
            heapq.heappush(jobs, (now + lengths.lognormvariate(0, 0.3), point))
            begun += 1
        if not jobs:
            break
        now, point = heapq.heappop(jobs)
        found[point] = task.problem.measure(point)
        search.tell(point, found[point])
    return found


def more(task: Task, goal: Goal, measured: Measured, seed: int) -> Measured:
    """50 more results for a goal, from what is known."""
    search = make_search("dsice", task.problem.grid, goal, seed=seed, capacity=WORKERS)
    for point, metrics in measured.items():
        search.tell(point, metrics)
    return measure(task, search, measured, MORE, seed)


def row(name: str, values: Sequence[str]) -> str:
    """One line of the table."""
    return f"{name:30}" + "".join(f"{value:>18}" for value in values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, help="a directory of .npz tables besides our own")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    problems = [p for p in synthetic() if p.constrained]
    if options.tables is not None:
        problems += [p for p in load(options.tables) if p.constrained]
    print(row("", [f"{HISTORY} trials", f"+{MORE} single bound", f"+{MORE} sweep"]))
    columns: list[list[float]] = [[], [], []]
    lost = []
    for task in map(Task.of, problems):
        name = task.problem.name.removesuffix("+bound")
        for k in range(options.seeds):
            seed = zlib.crc32(f"{name} {k}".encode()) % 2**31
            search = make_search(
                "dsice", task.problem.grid, task.single(), seed=seed, capacity=WORKERS
            )
            known = measure(task, search, {}, HISTORY, seed)
            runs = [known, *(more(task, g, known, seed) for g in (task.single(), task.sweep()))]
            shares = [task.share(run) for run in runs]
            print(row(f"{name}, seed {k}", [f"{share:.4f}" for share in shares]), flush=True)
            for column, share in zip(columns, shares, strict=True):
                column.append(share)
            if shares[2] < shares[1]:
                lost.append(f"{name}, seed {k}, by {shares[1] - shares[2]:.4f}")
    print(row("mean", [f"{statistics.fmean(column):.4f}" for column in columns]))
    ties = sum(a == b for a, b in zip(columns[1], columns[2], strict=True))
    print(f"The sweep loses {len(lost)} of {len(columns[0])}, {ties} are equal.", *lost, sep="\n  ")


if __name__ == "__main__":
    main()
