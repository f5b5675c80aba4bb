"""What the default search itself costs: ``python benchmarks/cost.py``.

CPU time of `ask` plus `tell` with 40 points pending, while a study grows and for grids of 4 to 20
axes; time and memory of a wave of 40 on top of 10,000 measured points; the import of the package;
and, if Optuna is installed, its GPSampler on the same problem with the same number of results
behind it.

How the cost grows. With n points in the model, m measured points and C = 800 candidates at
most: a result costs O(n^2 + C n) (one more row of the triangular factor, one more column of the
candidates), each candidate O(n^2), of which there are at most 64 new ones from the lines through a
point, a fit of the model O(min(m, 300)^3) some twenty times, once per 8 % more results. n stops
growing at 600 measured points, plus those under way. Axes count only where covariances are looked
up, once a candidate and point.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.base import Search

AXES: Final = (4, 10, 20)
KNOWN: Final = (50, 100, 200, 545, 1000)
WORKERS: Final = 40
MANY: Final = 10_000
TIMED: Final = 50  # results after which a proposal is timed, more than one fit among them


class Valley:
    """A rotated valley with ripples on a grid of 16 levels an axis."""

    def __init__(self, axes: int) -> None:
        self.shape: Final = (15, *[16] * (axes - 1))
        self.grid: Final = Grid(
            [Axis.integers(f"x{k}", 0, n - 1) for k, n in enumerate(self.shape)]
        )
        self._turn = np.linalg.qr(np.random.default_rng(0).normal(size=(axes, axes)))[0]
        self._weights = np.resize([1.0, 3.0, 10.0, 30.0], axes)
        self._lowest = np.resize([0.7, 0.3, 0.6, 0.4], axes)

    def __call__(self, point: Point) -> float:
        z = (np.array(point) / (np.array(self.shape) - 1) - self._lowest) @ self._turn
        return float((self._weights * z**2).sum() + 0.02 * np.cos(20 * z).sum())

    def search(self, known: int = 0) -> Search:
        """One that knows so many random points."""
        search = make_search("dsice", self.grid, Goal(minimize="cost"), capacity=WORKERS)
        random = np.random.default_rng(2)
        while len(search.history) < known:
            point = tuple(random.integers(self.shape).tolist())
            search.tell(point, {"cost": self(point)})
        return search


def results(search: Search, cost: Valley, count: int) -> Iterator[float]:
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


def growth() -> None:
    """Print the mean of an ask plus tell, fits included, by results known and axes."""
    print(f"CPU time of ask + tell, {WORKERS} pending, mean of {TIMED}, fits included:")
    print("  known " + "".join(f"{axes:>7} axes" for axes in AXES))
    for known in KNOWN:
        valleys = [Valley(axes) for axes in AXES]
        means = [statistics.mean(results(each.search(known), each, TIMED)) for each in valleys]
        print(f"  {known:5} " + "".join(f"{1000 * mean:9.2f} ms" for mean in means), flush=True)


def wave() -> tuple[float, float]:
    """CPU seconds and peak MB of one `ask` of 40 points with 10,000 known."""
    search = Valley(AXES[0]).search(MANY)
    began = time.process_time()
    search.ask(WORKERS)
    seconds = time.process_time() - began
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def importing() -> float:
    """Seconds that the import of the package takes, the least of five."""
    code = "import time; t = time.perf_counter(); import dsice; print(time.perf_counter() - t)"
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(5)]
    return min(map(float, runs))


def optuna_gp(count: int, asked: int) -> float | None:
    """Mean CPU seconds of Optuna's GPSampler per ask plus tell after ``count`` results."""
    try:
        import optuna
    except ImportError:
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    cost = Valley(AXES[0])
    spaces: dict[str, Any] = {
        f"x{k}": optuna.distributions.IntDistribution(0, n - 1) for k, n in enumerate(cost.shape)
    }
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=0))
    random = np.random.default_rng(3)
    for _ in range(count):
        params = {f"x{k}": int(random.integers(n)) for k, n in enumerate(cost.shape)}
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
    valley = Valley(AXES[0])
    seconds = list(results(valley.search(), valley, count))
    print(f"CPU time of ask + tell, {AXES[0]} axes, {WORKERS} pending, while a study grows:")
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
    print(f"import dsice: {importing():.3f} s")
    growth()


if __name__ == "__main__":
    main()
