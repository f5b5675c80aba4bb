"""What the default search itself costs: ``python benchmarks/cost.py``.

CPU time of `ask` plus `tell` while a study grows, memory and time of a wave of 40 on top of 10,000
measured points, and, if Optuna is installed, its GPSampler on the same problem with the same
number of results behind it.

How the cost grows. With n points in the surface, m measured points and C = 1,600 candidates at
most: a result costs O(n^2 + C n) (one more row of the triangular factor, one more column of the
candidates), new candidates O(n^2) each, a fit of the surface O(min(m, 300)^3) some twenty times,
once per 8 % more results. n stops growing at 600 measured points, plus those under way.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.base import Search

SHAPE: Final = (15, 16, 16, 16)
WORKERS: Final = 40
MANY: Final = 10_000


def make_grid() -> Grid:
    return Grid([Axis.integers(f"x{k}", 0, n - 1) for k, n in enumerate(SHAPE)])


def cost(point: Point) -> float:
    """A rotated valley with ripples."""
    z = (np.array(point) / (np.array(SHAPE) - 1) - (0.7, 0.3, 0.6, 0.4)) @ ROTATION
    return float((np.array([1, 3, 10, 30]) * z**2).sum() + 0.02 * np.cos(20 * z).sum())


ROTATION: Final = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]


def results(search: Search, count: int) -> Iterator[float]:
    """CPU seconds of each ask plus tell, with `WORKERS` points pending throughout."""
    random = np.random.default_rng(1)
    running = search.ask(WORKERS)
    for _ in range(count):
        point = running.pop(int(random.integers(len(running))))
        value = cost(point)
        began = time.process_time()
        search.tell(point, {"cost": value})
        running += search.ask(1)
        yield time.process_time() - began


def wave() -> tuple[float, float]:
    """CPU seconds and peak MB of one `ask` of 40 points with 10,000 known."""
    search = make_search("dsice", make_grid(), Goal(minimize="cost"), capacity=WORKERS)
    random = np.random.default_rng(2)
    for number in random.permutation(int(np.prod(SHAPE)))[:MANY]:
        point = tuple(int(k) for k in np.unravel_index(number, SHAPE))
        search.tell(point, {"cost": cost(point)})
    began = time.process_time()
    search.ask(WORKERS)
    seconds = time.process_time() - began
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def optuna_gp(count: int, asked: int) -> float | None:
    """Mean CPU seconds of Optuna's GPSampler per ask plus tell after ``count`` results."""
    try:
        import optuna
    except ImportError:
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spaces: dict[str, Any] = {
        f"x{k}": optuna.distributions.IntDistribution(0, n - 1) for k, n in enumerate(SHAPE)
    }
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=0))
    random = np.random.default_rng(3)
    for _ in range(count):
        params = {f"x{k}": int(random.integers(n)) for k, n in enumerate(SHAPE)}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=spaces, value=cost(tuple(params.values()))
            )
        )
    began = time.process_time()
    for _ in range(asked):
        trial = study.ask(spaces)
        study.tell(trial, cost(tuple(trial.params.values())))
    return (time.process_time() - began) / asked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=int, default=545, help="(default: 545)")
    count = parser.parse_args().results
    search = make_search("dsice", make_grid(), Goal(minimize="cost"), capacity=WORKERS)
    seconds = list(results(search, count))
    print(f"CPU time of ask + tell, 4 axes, {WORKERS} pending:")
    step = max(1, count // 10)
    for first in range(0, count, step):
        part = seconds[first : first + step]
        last = first + len(part)
        print(f"  results {first + 1:4} to {last:4}  {1000 * statistics.mean(part):6.2f} ms")
    mean = statistics.mean(seconds)
    print(f"  mean                  {1000 * mean:6.2f} ms")
    latest = statistics.mean(seconds[-max(1, count // 10) :])
    if (peer := optuna_gp(count, 10)) is not None:
        print(f"Optuna GPSampler after {count} results: {1000 * peer:.0f} ms, ", end="")
        print(f"{peer / latest:.0f} times ours there")
    took, peak = wave()
    print(f"ask({WORKERS}) with {MANY} points known: {took:.2f} s, {peak:.0f} MB at the peak")


if __name__ == "__main__":
    main()
