"""What durations are worth when time is the budget: ``python -m benchmarks.durations``.

Tables with a field ``dur`` (relative time of each measurement) are searched by asynchronous
workers in virtual time, until random search would have made so many evaluations. Compared are the
default search with ``durations`` (acquisition per expected second), the same without, and random
search, from the same first points.

  area   area under the regret over time, as a share of random search's (mean of 20 runs)
  last   the same for the regret at the end
"""

from __future__ import annotations

import argparse
import heapq
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.compare.problems import Array, Problem, from_file
from benchmarks.compare.scores import FLOOR
from dsice.grid import Point
from dsice.search import make_search
from dsice.search.base import Search

SPREAD: Final = 0.1  # of the time of one measurement: lognormal
MOMENTS: Final = 400  # at which the regret is read
RANDOM: Final = 20  # runs of random search
FORMS: Final[Mapping[str, Mapping[str, bool]]] = {
    "per evaluation": {},
    "per second": {"durations": True},
}


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


def regrets(search: Search, problem: Problem, seconds: Array, workers: int, end: float) -> Array:
    """Regret at `MOMENTS` moments until ``end``, a time in mean durations."""
    noise = np.random.default_rng(search.seed)
    running: list[tuple[float, int, Point, float]] = []
    ends: list[tuple[float, float]] = []
    now, count = 0.0, 0
    while now < end:
        for point in search.ask(workers - len(running)):
            took = float(seconds[point] * math.exp(SPREAD * noise.normal()))
            heapq.heappush(running, (now + took, count, point, took))
            count += 1
        if not running:
            break
        now, _, point, took = heapq.heappop(running)
        metrics = problem.measure(point)
        search.tell(point, metrics, seconds=took)
        ends.append((now, problem.score(metrics)))
    times = np.array([time for time, _ in ends])
    best = np.minimum.accumulate(np.minimum([cost for _, cost in ends], problem.worst))
    moments = np.linspace(0, end, MOMENTS + 1)[1:]
    done = np.searchsorted(times, moments, side="right")
    return np.where(done > 0, best[np.maximum(done, 1) - 1], problem.worst) - problem.optimum


def compare(
    problem: Problem, seconds: Array, workers: int, budget: int, seeds: range
) -> dict[str, tuple[float, float]]:
    """Area and last regret of each form, as shares of random search's."""
    end = budget / workers

    def run(name: str, seed: int, **options: bool) -> Array:
        number = zlib.crc32(f"{problem.name} {seed}".encode()) % 2**31
        made = make_search(
            name, problem.grid, problem.goal, seed=number, capacity=workers, **options
        )
        return regrets(made, problem, seconds, workers, end)

    chance = np.mean([run("random", 1000 + k) for k in range(RANDOM)], axis=0)
    found = {}
    for form, options in FORMS.items():
        each = np.mean([run("dsice", seed, **options) for seed in seeds], axis=0)
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
    add("--seeds", type=int, default=2, help="runs of each (2)")
    options = parser.parse_args()
    changes: list[tuple[float, float]] = []
    shares: dict[str, list[tuple[float, float]]] = {form: [] for form in FORMS}
    for problem, seconds in load(options.tables, options.problems):
        found = compare(problem, seconds, options.workers, options.budget, range(options.seeds))
        logs = {
            form: [math.log(max(value, FLOOR)) for value in each] for form, each in found.items()
        }
        plain, timed = (logs[form] for form in FORMS)
        changes.append((timed[0] - plain[0], timed[1] - plain[1]))
        for form, each in found.items():
            shares[form].append(each)
        said = "; ".join(f"{form} {a:.3f}, {b:.3f}" for form, (a, b) in found.items())
        print(f"{problem.name:38} {said}", flush=True)
    for form, all_of_it in shares.items():
        area, last = np.exp(np.log(np.maximum(all_of_it, FLOOR)).mean(axis=0))
        print(f"{form:16} area {area:.3f}, last {last:.3f}  (geometric means)")
    mean = np.mean(changes, axis=0)
    error = np.std(changes, axis=0, ddof=1) / math.sqrt(len(changes))
    print(
        f"change of the logarithms: area {mean[0]:+.3f} ± {error[0]:.3f}, "
        f"last {mean[1]:+.3f} ± {error[1]:.3f}  ({len(changes)} tables)"
    )


if __name__ == "__main__":
    main()
