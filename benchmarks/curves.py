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

from benchmarks.curve_peers import Optuna, SyneTune
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

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        """Hear the value at a step, ``ran`` after the start; returns the trials that end now."""

    def result(self, point: Point, value: float, ran: float) -> None:
        """Hear that a trial has run to its full length."""


class Ours:
    """``dsice``: with reports if it may ``pause`` or not, else with whole trials only."""

    def __init__(self, problem: Problem, workers: int, seed: int, **options: Any) -> None:
        if "pause" in options:  # else it hears of whole trials only
            options["steps"] = problem.steps
        self._steps = problem.steps
        self._ran: dict[Point, float] = {}
        self._search = make_search(
            "dsice", problem.grid, GOAL, seed=seed, capacity=workers, **options
        )

    def start(self) -> Point | None:
        return next(iter(self._search.ask(1)), None)

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        self._ran[point] = ran
        self._search.report(point, self._steps[index], {"loss": value})
        return self._end(self._search.ending())

    def _end(self, points: list[Point]) -> list[Point]:
        for point in points:
            self._search.end(point, seconds=self._ran[point])
        return points

    def result(self, point: Point, value: float, ran: float) -> None:
        self._search.tell(point, {"loss": value}, seconds=ran)


class Ruled(Ours):
    """``dsice`` proposes; a fixed rule pauses trials in place of its model.

    Args:
        rule: ``halving``: as `Asha`, with eta 3 from 1/9 on. ``median``: a trial pauses where its
            value is above the median of all at that step, of five and more, from 1/9 on; the
            model says which of them go on.
    """

    _SOONEST: Final = 1 / 9
    _LEAST: Final = 5

    def __init__(self, problem: Problem, workers: int, seed: int, rule: str) -> None:
        halves = rule == "halving"
        super().__init__(problem, workers, seed, pause=not halves, end_below=0.0, durations=True)
        self._halving = Asha(problem, workers, seed, 3, 2) if halves else None
        self._values: list[list[float]] = [[] for _ in problem.steps]

    def start(self) -> Point | None:
        if self._halving is not None and (point := self._halving.promoted()) is not None:
            self._search.pend(point)
            return point
        return super().start()

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        self._ran[point] = ran
        self._search.report(point, self._steps[index], {"loss": value})
        if self._halving is not None:
            return self._end(self._halving.report(point, index, value, ran))
        known = self._values[index]
        known.append(value)
        is_late = self._steps[index] >= self._SOONEST * self._steps[-1]
        if is_late and len(known) >= self._LEAST and value > np.median(known):
            return self._end([point])
        return []


class Asha:
    """Random points and asynchronous successive halving (Li et al. 2020).

    A trial stops at each rung; a free worker goes on with one that is among the best of
    its rung, else begins a new one.

    Args:
        eta: one in so many is promoted, and rungs are so many times apart.
        rungs: their number.
    """

    def __init__(
        self, problem: Problem, workers: int, seed: int, eta: int = 4, rungs: int = 3
    ) -> None:
        last = problem.steps[-1]
        self._eta = eta
        self._rungs = [
            next(k for k, step in enumerate(problem.steps) if step >= last / eta**power)
            for power in range(rungs, 0, -1)
        ]
        self._reached: list[dict[Point, float]] = [{} for _ in self._rungs]
        self._promoted: list[set[Point]] = [set() for _ in self._rungs]
        self._order = iter(_shuffled(problem.grid, seed))

    def start(self) -> Point | None:
        found = self.promoted()
        return next(self._order, None) if found is None else found

    def promoted(self) -> Point | None:
        """A paused trial that goes on now."""
        for reached, promoted in reversed(list(zip(self._reached, self._promoted, strict=True))):
            best = sorted(reached, key=lambda point: reached[point])[: len(reached) // self._eta]
            for point in best:
                if point not in promoted:
                    promoted.add(point)
                    return point
        return None

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        if index not in self._rungs:
            return []
        self._reached[self._rungs.index(index)][point] = value
        return [point]

    def result(self, point: Point, value: float, ran: float) -> None:
        pass


METHODS: Final[dict[str, Callable[[Problem, int, int], Method]]] = {
    "dsice": lambda p, w, s: Ours(p, w, s, pause=True, durations=True),
    "dsice, no pause": lambda p, w, s: Ours(p, w, s, pause=False, durations=True),
    "dsice, time no matter": lambda p, w, s: Ours(p, w, s, pause=True),
    "dsice, full length": Ours,
    "dsice, full, per second": lambda p, w, s: Ours(p, w, s, durations=True),
    "dsice + halving": lambda p, w, s: Ruled(p, w, s, "halving"),
    "dsice + median": lambda p, w, s: Ruled(p, w, s, "median"),
    "random + ASHA": Asha,
    "TPE, full length": lambda p, w, s: Optuna(p, w, s, "none"),
    "TPE + median": lambda p, w, s: Optuna(p, w, s, "median"),
    "TPE + halving": lambda p, w, s: Optuna(p, w, s, "halving"),
    "TPE + Hyperband": lambda p, w, s: Optuna(p, w, s, "hyperband"),
    "TPE + Wilcoxon": lambda p, w, s: Optuna(p, w, s, "wilcoxon"),
    "Syne Tune ASHA": lambda p, w, s: SyneTune(p, w, s, "ASHA"),
    "Syne Tune BOHB": lambda p, w, s: SyneTune(p, w, s, "BOHB"),
    "Syne Tune CQR": lambda p, w, s: SyneTune(p, w, s, "ASHACQR"),
    "Syne Tune MOBSTER": lambda p, w, s: SyneTune(p, w, s, "MOBSTER"),
    "Syne Tune HyperTune": lambda p, w, s: SyneTune(p, w, s, "HyperTune"),
    "Syne Tune DyHPO": lambda p, w, s: SyneTune(p, w, s, "DyHPO"),
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


def play(
    problem: Problem,
    method: Method,
    workers: int,
    budget: float,
    seed: int,
    until: int | None = None,
) -> Run:
    """One campaign in virtual time; ``until``: it ends within so many of `SHARES`, by index."""
    noise = np.random.default_rng([seed, 77])
    share = np.diff([0, *problem.steps]) / problem.steps[-1]
    run = Run()
    done: dict[Point, int] = {}  # steps run
    life: dict[Point, int] = {}  # how often it was started
    ran: dict[Point, float] = {}  # time
    running: set[Point] = set()
    queue: list[tuple[float, int, Point, int]] = []
    now, count, best = 0.0, 0, math.inf

    def go_on(point: Point) -> None:
        nonlocal count
        count += 1
        length = share[done[point]] * problem.seconds[point] * math.exp(SIGMA * noise.normal())
        ran[point] += length
        heapq.heappush(queue, (now + length, count, point, life[point]))

    while True:
        clock = time.process_time()
        while len(running) < workers and (point := method.start()) is not None:
            run.begun += point not in done
            done.setdefault(point, 0)
            ran.setdefault(point, 0.0)
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
            method.result(point, value, ran[point])
            best = min(best, value)
            run.regret = (best - problem.scale[0]) / problem.scale[1]
            for k, limit in enumerate(problem.limits):
                if best <= limit:
                    run.work[k] = min(run.work[k], now * workers)
            if until is not None and run.work[until] < math.inf:
                return run
        else:
            ending = set(method.report(point, index, value, ran[point]))
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
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    parser.add_argument(
        "--until",
        type=int,
        choices=[round(100 * share) for share in SHARES],
        metavar="PERCENT",
        help="end a run within so many percent, which saves time",
    )
    parser.add_argument("--budget", type=float)
    parser.add_argument("--even", action="store_true", help="all trials are equally long")
    options = parser.parse_args(arguments)
    budget = options.budget or BUDGETS.get(options.workers, 100.0)
    until = None if options.until is None else SHARES.index(options.until / 100)
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
                    until,
                )
                for seed in range(options.first, options.first + options.seeds)
            ]
            print(f"  {name:23}" + _row(runs), flush=True)


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
