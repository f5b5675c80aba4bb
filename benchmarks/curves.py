"""How trials that report are ended early: ``python -m benchmarks.curves``.

Whole learning curves at all points of a grid (``../shared/curves``, or ``--data``) are played in
virtual time: each of W workers runs a trial step by step, a step takes its share of the point's
length times lognormal noise (sigma 0.05), and the method hears each step's value. It may end the
trial, or pause it and go on later from where it was. Only a trial that ran to its full length is a
result. What is told is the work, in full lengths of all workers together, until the best result
lies within 10, 5, 2 and 1 % of (median - optimum) above the optimum: the median over the seeds,
and how many of them got there within the budget (545 with 40 workers, 100 with one).
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search

SHARES: Final = (0.1, 0.05, 0.02, 0.01)
SIGMA: Final = 0.05
BUDGETS: Final = {1: 100.0, 40: 545.0}
GOAL: Final = Goal(minimize="loss")
_DATA: Final = Path(__file__).resolve().parents[1].parent / "shared" / "curves" / "dev"


class Problem:
    """The curves of one program at all points of its grid.

    Attributes:
        name: of the program.
        grid: its points.
        steps: at which a trial reports.
        curve: the value at each point and step.
        seconds: the length of a whole trial at each point, median 1; ``even``: all 1.
        limits: the values within `SHARES` of the optimum.
    """

    def __init__(self, path: Path, even: bool = False) -> None:
        data = np.load(path, allow_pickle=True)
        self.name: Final = path.stem
        self.curve: Final = data["curve"].astype(float)
        seconds = data["seconds"].astype(float)
        self.seconds: Final = np.ones_like(seconds) if even else seconds
        self.steps: Final = [int(step) for step in data["steps"]]
        shape = self.curve.shape[:-1]
        names = map(str, data["names"])
        self.grid: Final = Grid(
            [Axis(n, list(range(k))) for n, k in zip(names, shape, strict=True)]
        )
        last = self.curve[..., -1]
        middle, best = float(np.median(last)), float(last.min())
        self.limits: Final = [best + share * (middle - best) for share in SHARES]
        self.scale: Final = (best, middle - best)


class Method(Protocol):
    """What a method does for the workers."""

    def start(self) -> Point | None:
        """The trial for a free worker: a new one, or one that was paused."""

    def report(self, point: Point, index: int, value: float) -> list[Point]:
        """Hear the value at a step; returns the running trials that end now."""

    def result(self, point: Point, value: float) -> None:
        """Hear that a trial has run to its full length."""


class Ours:
    """``dsice``: with reports or, for comparison, with whole trials only."""

    def __init__(self, problem: Problem, workers: int, seed: int, **options: Any) -> None:
        if options:
            options["steps"] = problem.steps
        self._steps = problem.steps
        self._search = make_search(
            "dsice", problem.grid, GOAL, seed=seed, capacity=workers, **options
        )

    def start(self) -> Point | None:
        return next(iter(self._search.ask(1)), None)

    def report(self, point: Point, index: int, value: float) -> list[Point]:
        self._search.report(point, self._steps[index], {"loss": value})
        ending = self._search.ending()
        for each in ending:
            self._search.end(each)
        return ending

    def result(self, point: Point, value: float) -> None:
        self._search.tell(point, {"loss": value})


class Asha:
    """Random points and asynchronous successive halving (Li et al. 2020): eta 4 from 1/64 on.

    A trial stops at each rung; a free worker goes on with one that is among the best quarter of
    its rung, else begins a new one.
    """

    _ETA: Final = 4

    def __init__(self, problem: Problem, workers: int, seed: int) -> None:
        last = problem.steps[-1]
        self._rungs = [
            next(k for k, step in enumerate(problem.steps) if step >= last / self._ETA**power)
            for power in (3, 2, 1)
        ]
        self._reached: list[dict[Point, float]] = [{} for _ in self._rungs]
        self._promoted: list[set[Point]] = [set() for _ in self._rungs]
        self._order = iter(_shuffled(problem.grid, seed))

    def start(self) -> Point | None:
        for reached, promoted in reversed(list(zip(self._reached, self._promoted, strict=True))):
            best = sorted(reached, key=lambda point: reached[point])[: len(reached) // self._ETA]
            for point in best:
                if point not in promoted:
                    promoted.add(point)
                    return point
        return next(self._order, None)

    def report(self, point: Point, index: int, value: float) -> list[Point]:
        if index not in self._rungs:
            return []
        self._reached[self._rungs.index(index)][point] = value
        return [point]

    def result(self, point: Point, value: float) -> None:
        pass


class Optuna:
    """TPE (multivariate, constant liar) with a pruner. A point that was proposed before is new."""

    def __init__(self, problem: Problem, workers: int, seed: int, pruner: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        last = problem.steps[-1]
        pruners: dict[str, Callable[[], Any]] = {
            "none": optuna.pruners.NopPruner,
            "median": optuna.pruners.MedianPruner,
            "halving": optuna.pruners.SuccessiveHalvingPruner,
            "hyperband": lambda: optuna.pruners.HyperbandPruner(max_resource=last),
        }
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
        self._study = optuna.create_study(sampler=sampler, pruner=pruners[pruner]())
        self._pruned = optuna.trial.TrialState.PRUNED
        self._space = {
            axis.name: optuna.distributions.IntDistribution(0, len(axis) - 1)
            for axis in problem.grid.axes
        }
        self._steps = problem.steps
        self._trials: dict[Point, Any] = {}
        self._known: dict[Point, float] = {}

    def start(self) -> Point | None:
        for _ in range(100):
            trial = self._study.ask(self._space)
            point = tuple(trial.params.values())
            if point in self._known:  # its result is known, and costs nothing
                self._study.tell(trial, self._known[point])
            elif point in self._trials:
                self._study.tell(trial, state=self._pruned)
            else:
                self._trials[point] = trial
                return point
        return None

    def report(self, point: Point, index: int, value: float) -> list[Point]:
        trial = self._trials[point]
        trial.report(value if math.isfinite(value) else 1e30, self._steps[index])
        if not trial.should_prune():
            return []
        self._study.tell(self._trials.pop(point), state=self._pruned)
        return [point]

    def result(self, point: Point, value: float) -> None:
        self._known[point] = value
        self._study.tell(self._trials.pop(point), value)


METHODS: Final[dict[str, Callable[[Problem, int, int], Method]]] = {
    "dsice": lambda p, w, s: Ours(p, w, s, pause=True),
    "dsice, no pause": lambda p, w, s: Ours(p, w, s, pause=False),
    "dsice, full length": Ours,
    "random + ASHA": Asha,
    "TPE, full length": lambda p, w, s: Optuna(p, w, s, "none"),
    "TPE + median": lambda p, w, s: Optuna(p, w, s, "median"),
    "TPE + halving": lambda p, w, s: Optuna(p, w, s, "halving"),
    "TPE + Hyperband": lambda p, w, s: Optuna(p, w, s, "hyperband"),
}


@dataclass
class Run:
    """What happened.

    Attributes:
        work: until within each of `SHARES`; infinity if never.
        begun: trials that were begun.
        complete: those that ran to their end.
        regret: of the best result, as a share of the way from the optimum to the median.
        cpu: CPU seconds of the method.
    """

    work: list[float] = field(default_factory=lambda: [math.inf] * len(SHARES))
    begun: int = 0
    complete: int = 0
    regret: float = math.inf
    cpu: float = 0.0


def play(problem: Problem, method: Method, workers: int, budget: float, seed: int) -> Run:
    """One campaign in virtual time."""
    noise = np.random.default_rng([seed, 77])
    share = np.diff([0, *problem.steps]) / problem.steps[-1]
    run = Run()
    done: dict[Point, int] = {}  # steps run
    life: dict[Point, int] = {}  # how often it was started
    running: set[Point] = set()
    queue: list[tuple[float, int, Point, int]] = []
    now, count, best = 0.0, 0, math.inf

    def go_on(point: Point) -> None:
        nonlocal count
        count += 1
        length = share[done[point]] * problem.seconds[point] * math.exp(SIGMA * noise.normal())
        heapq.heappush(queue, (now + length, count, point, life[point]))

    while True:
        clock = time.process_time()
        while len(running) < workers and (point := method.start()) is not None:
            run.begun += point not in done
            done.setdefault(point, 0)
            life[point] = life.get(point, 0) + 1
            running.add(point)
            go_on(point)
        run.cpu += time.process_time() - clock
        if not queue:
            return run
        now, _, point, turn = heapq.heappop(queue)
        if now * workers > budget:
            return run
        if point not in running or turn != life[point]:
            continue
        index = done[point]
        done[point] += 1
        value = float(problem.curve[point][index])
        clock = time.process_time()
        if index == len(problem.steps) - 1:
            running.discard(point)
            run.complete += 1
            method.result(point, value)
            best = min(best, value)
            run.regret = (best - problem.scale[0]) / problem.scale[1]
            for k, limit in enumerate(problem.limits):
                if best <= limit:
                    run.work[k] = min(run.work[k], now * workers)
        else:
            ending = set(method.report(point, index, value))
            running -= ending
            if point not in ending:
                go_on(point)
        run.cpu += time.process_time() - clock


def _shuffled(grid: Grid, seed: int) -> Iterator[Point]:
    for index in np.random.default_rng([seed, 9]).permutation(math.prod(grid.shape)):
        yield tuple(int(k) for k in np.unravel_index(int(index), grid.shape))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=_DATA)
    parser.add_argument("--problem", nargs="*", help="names; all by default")
    parser.add_argument("--method", nargs="*", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--even", action="store_true", help="all trials are equally long")
    options = parser.parse_args(arguments)
    budget = options.budget or BUDGETS.get(options.workers, 100.0)
    paths = sorted(options.data.glob("*.npz"))
    if not paths:
        parser.error(f"there are no curves in {options.data}")
    for path in paths:
        if options.problem and path.stem not in options.problem:
            continue
        problem = Problem(path, options.even)
        print(
            f"{problem.name}, {options.workers} workers, budget {budget:g}: work to 10, 5, 2, 1 %"
        )
        for name in options.method:
            runs = [
                play(
                    problem,
                    METHODS[name](problem, options.workers, seed),
                    options.workers,
                    budget,
                    seed,
                )
                for seed in range(options.seeds)
            ]
            print(f"  {name:20}" + _row(runs), flush=True)


def _row(runs: Sequence[Run]) -> str:
    cells = []
    for k in range(len(SHARES)):
        work = [run.work[k] for run in runs]
        reached = sum(map(math.isfinite, work))
        middle = float(np.median(work))
        cells.append(
            f"{middle:5.0f} ({reached}/{len(runs)})"
            if middle < math.inf
            else f"never ({reached}/{len(runs)})"
        )
    begun, complete, regret, cpu = (
        float(np.median([getattr(run, name) for run in runs]))
        for name in ("begun", "complete", "regret", "cpu")
    )
    return (
        "  ".join(cells)
        + f"  begun {begun:.0f}, complete {complete:.0f}, regret {regret:.3f}, {cpu:.0f} s"
    )


if __name__ == "__main__":
    main()
