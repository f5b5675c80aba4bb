"""Whether `dsice simulate` foretells the best: ``python -m benchmarks.forecast``.

On each synthetic problem the first 48 trials of one study are the history. Worlds that agree with
them are played to 150 trials, and so is the problem itself: medians over five worlds and over five
real studies, each from the beginning, 4 slots. Costs are told as shares of the way from the median
to the best cost of the history: 0 is no better than the median, 1 as good as its best.
"""

from __future__ import annotations

import statistics
from typing import Final

import numpy as np

from benchmarks.compare.problems import Problem
from benchmarks.compare.synthetic import synthetic
from dsice.grid import Point
from dsice.search import make_search
from dsice.simulate.fitted import Fitted
from dsice.simulate.play import Play, Terms, play
from dsice.simulate.world import Result, World

KNOWN: Final = 48
TRIALS: Final = 150
SLOTS: Final = 4
STUDIES: Final = 5
MOST_AXES: Final = 6


class Truth(World):
    """The problem itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(0)
        self._problem = problem

    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        return Result(self._problem.measure(point), 1.0)


def main() -> None:
    print(f"problem              predicted   after {TRIALS}: foretold (quartiles)   truly")
    for problem in synthetic():
        if len(problem.shape) > MOST_AXES:
            continue
        goal = problem.goal
        history = [(job.point, job.result) for job in _played(problem, Truth(problem), 0).jobs]
        known = history[:KNOWN]
        worlds = Fitted.of(problem.grid, goal, known)
        costs = [goal.cost(r.metrics) for _, r in known if r.metrics and goal.feasible(r.metrics)]
        middle, best = statistics.median(costs), min(costs)

        def share(done: Play) -> float:
            return (middle - done.curve(goal)[-1][1]) / (middle - best)  # noqa: B023

        seeds = range(1, STUDIES + 1)
        foretold = [share(_played(problem, worlds.world(seed), seed)) for seed in seeds]
        truly = [share(_played(problem, Truth(problem), seed)) for seed in seeds]
        low, half, high = np.quantile(foretold, (0.25, 0.5, 0.75))
        explained = min(found.fit.explained for found in worlds.metrics.values())
        print(
            f"{problem.name:20} {explained:8.0%}     {half:14.2f} ({low:.2f} to {high:.2f})"
            f"   {statistics.median(truly):10.2f}",
            flush=True,
        )


def _played(problem: Problem, world: World, seed: int) -> Play:
    search = make_search("dsice", problem.grid, problem.goal, seed=seed, capacity=SLOTS)
    return play(search, world, SLOTS, Terms(TRIALS))


if __name__ == "__main__":
    main()
