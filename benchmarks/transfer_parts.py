"""Where a search with a source still loses: ``python -m benchmarks.transfer_parts --tables DIR``.

For each pair of ``pairs.json`` (`benchmarks.transfer`), of 40 workers and 100 evaluations:

  auc          area under the regret, as a share of random search's
  wave         of it, what the first wave loses, one evaluation a worker: what is left if the search
               is perfect afterwards
  second       of it, the next twenty evaluations
  rest         of it, all others
  true order   what the wave would lose if it had the best points of the *source's table*, which a
               study of the source does not know
  last         the last regret, as a share of random search's
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.compare.problems import Array
from benchmarks.compare.scores import curve, geometric_mean, random_regret
from benchmarks.compare.simulate import Run, durations, simulate
from benchmarks.transfer import RELATED, Asked, Pair, Results, history, pairs, seed_of
from dsice.grid import Point
from dsice.search import make_search

SECOND: Final = 20
COLUMNS: Final = ("auc", "wave", "second", "rest", "true order", "last")


def parts(pair: Pair, source: Results, workers: int, budget: int, seed: int) -> list[float]:
    """The columns of one run."""
    table = pair.target
    search = make_search(
        "dsice",
        table.grid,
        table.goal,
        seed=seed_of(table.name, seed),
        capacity=workers,
        sources=[(pair.source.grid, source)],
    )
    regret = curve(simulate(Asked(search), table, workers, budget, seed), table, budget)
    chance = random_regret(table, budget)
    wave = list(islice(true_order(pair), workers))
    costs = [table.score(table.measure(point)) for point in wave]
    ideal = curve(Run([0.0] * len(wave), [*durations(len(wave), seed)], costs), table, workers)
    ends = [0, workers, workers + SECOND, budget]
    shares = [float(regret[a:b].sum() / chance.sum()) for a, b in pairwise(ends)]
    return [sum(shares), *shares, float(ideal.sum() / chance.sum()), float(regret[-1] / chance[-1])]


def true_order(pair: Pair) -> Iterator[Point]:
    """The points of the target by the values of the source's table, best first."""
    source, target = pair.source, pair.target
    assert isinstance(source.costs, np.ndarray)
    costs: Array = np.where(np.isfinite(source.costs), source.costs, np.inf)
    for number in np.argsort(costs, axis=None, kind="stable").tolist():
        point = tuple(int(level) for level in np.unravel_index(number, source.shape))
        try:
            found = target.grid.point(source.grid.params(point))
        except ValueError:
            continue
        if source.grid.allows(point) and target.grid.allows(found):
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--tables", type=Path, required=True, help="the directory of pairs.json")
    add("--workers", type=int, default=40)
    add("--budget", type=int, default=100)
    add("--history", type=int, default=100, help="evaluations of the source")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--only", nargs="+", default=[""], help="parts of 'SOURCE -> TARGET'")
    add("--cache", type=Path, help="a directory that keeps histories")
    options = parser.parse_args()
    print(f"{'':74}" + "".join(f"{name:>12}" for name in COLUMNS))
    groups: dict[bool, list[list[float]]] = {True: [], False: []}
    for pair in pairs(options.tables):
        if not any(part in pair.name for part in options.only):
            continue
        rows = []
        for seed in options.seeds:
            source = history(pair.source, options.history, seed, options.cache)
            rows.append(parts(pair, source, options.workers, options.budget, seed))
        means = np.mean(rows, axis=0).tolist()
        groups[pair.correlation > RELATED].append(means)
        print(f"{pair.name:74}" + "".join(f"{value:12.3f}" for value in means), flush=True)
    for is_related, rows in groups.items():
        if rows:
            name = "related" if is_related else "misleading"
            columns = [list(column) for column in zip(*rows, strict=True)]
            for title, of in (("mean", np.mean), ("geometric mean", geometric_mean)):
                values = "".join(f"{float(of(column)):12.3f}" for column in columns)
                print(f"{name + ', ' + title:74}" + values)


if __name__ == "__main__":
    main()
