"""What `only_ratios_of` changes: ``python benchmarks/ratios.py``.

The grid of the demo, with a made-up cost that depends on the ratios of the four values only: the
default search with and without being told so. Shown are the mean over seeds of the best cost so
far, how many evaluations were of a program that had been evaluated already, and CPU time of a
proposal.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable
from typing import Final

from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search

NAMES: Final = ("mse", "vgg", "adv", "style")
STEPS: Final = range(-7, 8)
AXES: Final = [
    Axis(name, [*([] if name == "mse" else [0]), *(2.0**step for step in STEPS)]) for name in NAMES
]
GRIDS: Final = {"without": Grid(AXES), "with": Grid(AXES, only_ratios_of=NAMES)}
SHOWN: Final = (20, 50, 100, 200, 300)


def make_cost(seed: int) -> Callable[[Point], float]:
    """A cost with its optimum, its slopes and a ripple drawn by ``seed``."""
    draw = random.Random(seed)
    optimum = [draw.uniform(-4, 4) for _ in range(3)]
    slopes = [draw.uniform(0.3, 2) for _ in range(3)]

    def cost(point: Point) -> float:
        unit, *others = GRIDS["with"].params(point).values()
        logs = [math.log2(float(other) / float(unit)) if other else -9.0 for other in others]
        far = (
            slope * math.pow(min(abs(log - best), 6), 1.5)
            for log, best, slope in zip(logs, optimum, slopes, strict=True)
        )
        ripple = abs(math.sin(logs[0] - logs[1])) if others[0] and others[1] else 0.0
        return sum(far) + 0.5 * ripple

    return cost


def play(grid: Grid, seed: int, workers: int, count: int) -> tuple[list[float], int, float]:
    """The best cost after each of ``count`` evaluations, repeats, and CPU seconds a proposal."""
    cost, draw = make_cost(seed), random.Random(seed)
    search = make_search("dsice", grid, Goal(minimize="cost"), seed=seed, capacity=workers)
    running = search.ask(workers)
    best: list[float] = []
    known: set[Point] = set()
    began = time.process_time()
    for _ in range(count):
        point = running.pop(draw.randrange(len(running)))
        known.add(GRIDS["with"].program(point))
        value = cost(point)
        best.append(min([value, *best[-1:]]))
        search.tell(point, {"cost": value})
        running += search.ask(1)
    return best, count - len(known), (time.process_time() - began) / count


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8, help="(default: 8)")
    seeds = range(parser.parse_args().seeds)
    for workers, count in ((1, 100), (40, 300)):
        for name, grid in GRIDS.items():
            runs = [play(grid, seed, workers, count) for seed in seeds]
            means = (
                f"{statistics.mean(best[after - 1] for best, _, _ in runs):.3f} after {after}"
                for after in SHOWN
                if after <= count
            )
            repeats = statistics.mean(repeats for _, repeats, _ in runs)
            spent = 1000 * statistics.mean(seconds for _, _, seconds in runs)
            print(f"{workers} workers, {name}: best {', '.join(means)};", end=" ")
            print(f"{repeats:.1f} repeats, {spent:.2f} ms", flush=True)


if __name__ == "__main__":
    main()
