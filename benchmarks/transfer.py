"""What an earlier study is worth: `python -m benchmarks.transfer --tables DIR`.

DIR has ``pairs.json``, a list of target and source tables with the rank correlation of their
values, and the tables, in itself or in a neighbouring folder. A source is a history: the first 30,
100 or 545 evaluations that ``dsice`` with one worker made on the source's table. Each pair is
measured in virtual time

- ``without`` a source;
- with the ``source``;
- ``shuffled``: with a source whose results were dealt to its points at random;
- ``best first``: without a source, the source's best points being the first trials;
- with the source by another tuner's method, if ``--ways`` names it (`benchmarks.transfer_peers`).

Shown are ``auc`` and the last regret, as in ``benchmarks.compare``, as geometric means over pairs
whose rank correlation is above .5, over the others (`misleading`), and over all for ``shuffled``.
"""

from __future__ import annotations

import argparse
import json
import random
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.compare.peers.base import Task
from benchmarks.compare.problems import Problem, from_file
from benchmarks.compare.scores import geometric_mean, score
from benchmarks.compare.simulate import simulate
from benchmarks.transfer_peers import PEERS, Measured
from dsice.goal import Metrics
from dsice.grid import Axis, Grid, Point
from dsice.search import make_search
from dsice.search.base import Search

RELATED: Final = 0.5
"""Pairs with a higher rank correlation count as related."""

Results = list[tuple[Point, Metrics | None]]


@dataclass(frozen=True, eq=False)
class Table(Problem):
    """A problem whose grid has the names and levels of the program's parameters."""

    names: tuple[str, ...] = ()
    levels: tuple[tuple[float | str, ...], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Table:
        """The table in a file, without its bound."""
        plain = from_file(path).without_bound()
        data = np.load(path, allow_pickle=False)
        names = tuple(str(name) for name in data["names"])
        levels = tuple(tuple(data[f"levels_{k}"].tolist()) for k in range(len(names)))
        known = {name: getattr(plain, name) for name in Problem.__dataclass_fields__}
        return cls(**known, names=names, levels=levels)

    @cached_property
    def grid(self) -> Grid:
        """The axes by their names, with their levels."""
        axes = [
            Axis(name, levels, ordered=ordered)
            for name, levels, ordered in zip(self.names, self.levels, self.ordered, strict=True)
        ]
        if self.allowed is None:
            return Grid(axes)
        index = [{level: k for k, level in enumerate(axis.levels)} for axis in axes]
        allowed = self.allowed

        def allows(params: dict[str, float | str]) -> bool:
            pairs = zip(index, params.values(), strict=True)
            return bool(allowed[tuple(at[value] for at, value in pairs)])

        return Grid(axes, allows)


@dataclass(frozen=True)
class Pair:
    """A target, a source, and how alike the order of their values is."""

    target: Table
    source: Table
    correlation: float

    @property
    def name(self) -> str:
        return f"{self.source.name} -> {self.target.name} ({self.correlation:.2f})"


class Asked:
    """A search as a tuner of `simulate`, after some points that are to be measured first."""

    def __init__(self, search: Search, first: Sequence[Point] = ()) -> None:
        self._search = search
        self._first = [point for point in first if search.grid.allows(point)]

    def ask(self) -> Point | None:
        """The next point."""
        if self._first:
            point = self._first.pop(0)
            self._search.pend(point)
            return point
        points = self._search.ask(1)
        return points[0] if points else None

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        """Its result."""
        self._search.tell(point, metrics)


def pairs(directory: Path) -> Iterator[Pair]:
    """The pairs of ``pairs.json``, in its order."""
    tables: dict[str, Table] = {}

    def table(name: str) -> Table:
        if name not in tables:
            places = [directory, *sorted(p for p in directory.parent.iterdir() if p.is_dir())]
            found = [path for p in places if (path := p / f"{name}.npz").exists()]
            tables[name] = Table.read(found[0])
        return tables[name]

    for each in json.loads((directory / "pairs.json").read_text()):
        yield Pair(table(each["target"]), table(each["source"]), float(each["spearman"]))


def seed_of(name: str, seed: int) -> int:
    """A seed of its own for each problem, or luck would repeat itself."""
    return zlib.crc32(f"{name} {seed}".encode()) % 2**31


def history(table: Table, count: int, seed: int, cache: Path | None) -> Results:
    """The first ``count`` results of ``dsice`` with one worker."""
    path = None if cache is None else cache / f"{table.name}-{seed}.json"
    if path is not None and path.exists():
        kept = json.loads(path.read_text())
        if len(kept) >= count:
            return [(tuple(point), metrics) for point, metrics in kept[:count]]
    search = make_search("dsice", table.grid, table.goal, seed=seed_of(table.name, seed + 1000))
    results: Results = []
    for _ in range(count):
        for point in search.ask(1):
            metrics = table.measure(point)
            search.tell(point, metrics)
            results.append((point, metrics))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results))
    return results


def shuffled(results: Results, seed: int) -> Results:
    """The same results, dealt to the points at random."""
    metrics = [found for _, found in results]
    random.Random(seed).shuffle(metrics)
    return [(point, found) for (point, _), found in zip(results, metrics, strict=True)]


def best_first(pair: Pair, results: Results) -> Measured:
    """The source's measured points that are points of the target, best first, with their costs."""
    measured = [(metrics["cost"], point) for point, metrics in results if metrics is not None]
    found = []
    for cost, point in sorted(measured):
        params = pair.source.grid.params(point)
        try:
            found.append((pair.target.grid.point(params), cost))
        except ValueError:
            continue
    return found


def run(
    pair: Pair, way: str, source: Results, workers: int, budget: int, seed: int
) -> tuple[float, float]:
    """``auc`` and last regret of one run."""
    table = pair.target
    number = seed_of(table.name, seed)
    if way in PEERS:
        task = Task(table.grid, table.goal, workers, budget, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tuner = PEERS[way](task, best_first(pair, source))
            done = simulate(tuner, table, workers, budget, seed)
        tuner.close()
        found = score(done, table, workers, budget, seed)
        return found.auc, found.fin
    sources = {
        "source": [(pair.source.grid, source)],
        "shuffled": [(pair.source.grid, shuffled(source, seed))],
    }.get(way)
    options = {} if sources is None else {"sources": sources}
    search = make_search("dsice", table.grid, table.goal, seed=number, capacity=workers, **options)
    first = [p for p, _ in best_first(pair, source)[:workers]] if way == "best first" else ()
    done = simulate(Asked(search, first), table, workers, budget, seed)
    found = score(done, table, workers, budget, seed)
    return found.auc, found.fin


WAYS: Final = ("without", "source", "shuffled", "best first")


def main(say: Callable[[str], object] = print) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True, help="the directory of pairs.json")
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--history", type=int, default=100, help="evaluations of the source")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=[*WAYS, *PEERS])
    parser.add_argument("--only", nargs="+", default=[""], help="parts of 'SOURCE -> TARGET'")
    parser.add_argument("--cache", type=Path, help="a directory that keeps histories and results")
    options = parser.parse_args()
    related: dict[str, list[tuple[float, float]]] = {}
    unrelated: dict[str, list[tuple[float, float]]] = {}
    say(f"{'':64}" + "".join(f"{way:>18}" for way in options.ways))
    kept: dict[str, tuple[float, float]] = {}
    for pair in pairs(options.tables):
        if not any(part in pair.name for part in options.only):
            continue
        row = f"{pair.name:64}"
        for way in options.ways:
            found = []
            for seed in options.seeds:
                source = history(pair.source, options.history, seed, options.cache)
                key = f"{pair.target.name} {options.workers} {options.budget} {seed}"
                if way != "without" or key not in kept:
                    last = run(pair, way, source, options.workers, options.budget, seed)
                    kept[key if way == "without" else ""] = last
                found.append(kept[key] if way == "without" else last)
            auc, fin = (float(np.mean(column)) for column in zip(*found, strict=True))
            row += f"{auc:10.3f} {fin:7.3f}"
            (related if pair.correlation > RELATED else unrelated).setdefault(way, []).append(
                (auc, fin)
            )
        say(row)
    for title, part in (("related", related), ("misleading", unrelated)):
        row = f"{title:64}"
        for way in options.ways:
            columns = zip(*part.get(way, [(1.0, 1.0)]), strict=True)
            row += "{:10.3f} {:7.3f}".format(*(geometric_mean(list(c)) for c in columns))
        say(row)


if __name__ == "__main__":
    main()
