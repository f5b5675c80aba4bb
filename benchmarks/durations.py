"""What durations are worth when time is the budget: ``python -m benchmarks.durations``.

Tables with a field ``dur`` (relative time of each measurement) are searched by asynchronous
workers in virtual time, until random search would have made so many evaluations. Compared are

  per evaluation   the default search, which ignores durations
  per second       with ``durations``: acquisition per expected second
  per root second  the same per square root of the seconds
  pareto region    local search around the front of time and result, in the manner of CARBS
  optuna-tpe       Optuna's TPE, which ignores durations

  area   area under the regret over time, as a share of random search's (mean of 20 runs)
  last   the same for the regret at the end

A point that a tuner proposes again costs no time: its known result is told at once.
"""

from __future__ import annotations

import argparse
import heapq
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.compare.peers.base import Task
from benchmarks.compare.problems import Array, Problem, from_file
from benchmarks.compare.scores import FLOOR
from benchmarks.duration_peers import FORMS, Ours, Timed
from dsice.goal import Metrics
from dsice.grid import Point

SPREAD: Final = 0.1  # of the time of one measurement: lognormal
MOMENTS: Final = 400  # at which the regret is read
RANDOM: Final = 20  # runs of random search
PATIENCE: Final = 2000  # repeats in a row before a worker is left idle


def load(directories: Sequence[Path], patterns: str) -> Iterator[tuple[Problem, Array]]:
    """The unconstrained problems with durations, relative to their mean over allowed points."""
    for path in sorted(path for each in directories for path in each.glob("*.npz")):
        if not any(path.match(f"{pattern}.npz") for pattern in patterns.split(",")):
            continue
        with np.load(path, allow_pickle=False) as data:
            if "dur" not in data:
                continue
            seconds = data["dur"].astype(float)
        problem = from_file(path).without_bound()
        allowed = np.isfinite(seconds) & (seconds > 0)
        if problem.allowed is not None:
            allowed &= problem.allowed
        typical = float(seconds[allowed].mean())
        yield problem, np.where(allowed, seconds / typical, 1.0)


def regrets(tuner: Timed, problem: Problem, seconds: Array, task: Task, end: float) -> Array:
    """Regret at `MOMENTS` moments until ``end``, a time in mean durations."""
    noise = np.random.default_rng(task.seed)
    running: list[tuple[float, int, Point, float]] = []
    ends: list[tuple[float, float]] = []
    known: dict[Point, tuple[Metrics | None, float]] = {}
    pending: dict[Point, int] = {}  # how many proposals wait for the same result
    now, count = 0.0, 0

    def new_point() -> Point | None:
        for _ in range(PATIENCE):
            point = tuner.ask()
            if point is None:
                return None
            if not problem.grid.allows(point):
                tuner.tell(point, None, 1.0)
            elif point in known:
                tuner.tell(point, *known[point])
            elif point in pending:
                pending[point] += 1
            else:
                pending[point] = 1
                return point
        return None

    while now < end:
        while len(running) < task.workers and (point := new_point()) is not None:
            took = float(seconds[point] * math.exp(SPREAD * noise.normal()))
            heapq.heappush(running, (now + took, count, point, took))
            count += 1
        if not running:
            break
        now, _, point, took = heapq.heappop(running)
        metrics = problem.measure(point)
        known[point] = metrics, took
        for _ in range(pending.pop(point)):
            tuner.tell(point, *known[point])
        ends.append((now, problem.score(metrics)))
    times = np.array([time for time, _ in ends])
    best = np.minimum.accumulate(np.minimum([cost for _, cost in ends], problem.worst))
    moments = np.linspace(0, end, MOMENTS + 1)[1:]
    done = np.searchsorted(times, moments, side="right")
    return np.where(done > 0, best[np.maximum(done, 1) - 1], problem.worst) - problem.optimum


def compare(
    problem: Problem,
    seconds: Array,
    workers: int,
    budget: int,
    seeds: Sequence[int],
    forms: Sequence[str] = tuple(FORMS),
) -> dict[str, tuple[float, float]]:
    """Area and last regret of each form, as shares of random search's."""
    end = budget / workers

    def run(make: Callable[[Task], Timed], seed: int) -> Array:
        number = zlib.crc32(f"{problem.name} {seed}".encode()) % 2**31
        task = Task(problem.grid, problem.goal, workers, budget, number)
        return regrets(make(task), problem, seconds, task, end)

    chance = np.mean(
        [run(lambda task: Ours(task, name="random"), 1000 + k) for k in range(RANDOM)], axis=0
    )
    found = {}
    for form in forms:
        each = np.mean([run(FORMS[form], seed) for seed in seeds], axis=0)
        found[form] = (float(each.sum() / chance.sum()), float(each[-1] / chance[-1]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--tables", type=Path, action="append", required=True, help="may be given several times")
    add("--problems", default="*", help="patterns of their names, between commas")
    add("--workers", type=int, default=1, help="simultaneous measurements (1)")
    add("--budget", type=int, default=100, help="time, in mean durations of all workers (100)")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="of the runs of each (0 1)")
    add("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    options = parser.parse_args()
    found: dict[str, dict[str, tuple[float, float]]] = {}
    groups = {}
    for problem, seconds in load(options.tables, options.problems):
        scores = compare(
            problem, seconds, options.workers, options.budget, options.seeds, options.forms
        )
        found[problem.name], groups[problem.name] = scores, problem.group
        said = "; ".join(f"{form} {a:.3f}, {b:.3f}" for form, (a, b) in scores.items())
        print(f"{problem.name:38} {said}", flush=True)
    for group in [*dict.fromkeys(groups.values()), ""]:
        names = [name for name in found if group in ("", groups[name])]
        print(f"{group or 'all'}: {len(names)} tables")
        for form in options.forms:
            print(f"  {form:16} {_said([found[name] for name in names], form, options.forms[0])}")


def _said(scores: Sequence[dict[str, tuple[float, float]]], form: str, base: str) -> str:
    """Geometric means of a form's scores, and their change from those of another one."""
    logs = np.log(np.maximum([each[form] for each in scores], FLOOR))
    area, last = np.exp(logs.mean(axis=0))
    text = f"area {area:.3f}, last {last:.3f}"
    if form == base or len(scores) < 2:
        return text
    changes = logs - np.log(np.maximum([each[base] for each in scores], FLOOR))
    mean, error = changes.mean(axis=0), changes.std(axis=0, ddof=1) / math.sqrt(len(changes))
    text += f"; logarithms against {base}: area {mean[0]:+.3f} ± {error[0]:.3f}"
    return text + f", last {mean[1]:+.3f} ± {error[1]:.3f}"


if __name__ == "__main__":
    main()
