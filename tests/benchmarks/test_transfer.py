"""The benchmark of transfer: sources, and other tuners' methods with them."""

import importlib.util
import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from benchmarks.transfer import Pair, Table, best_first, history, run
from benchmarks.transfer_parts import COLUMNS, parts, true_order
from benchmarks.transfer_peers import PEERS

NEEDS = {"syne-tune": ["syne_tune", "huggingface_hub"], "deephyper": ["deephyper"]}


def bowl(name: str, best: tuple[int, int, int]) -> Table:
    """A bowl over two ordered axes and one without an order; a tenth of it fails."""
    shape = (9, 8, 3)
    at = np.indices(shape)
    costs = sum((at[k] - best[k]) ** 2 for k in range(2)) + 3.0 * (at[2] != best[2])
    costs = np.where(np.random.default_rng(0).random(shape) < 0.1, np.nan, costs + 0.0)
    levels = tuple(tuple(float(2**k) for k in range(n)) for n in shape)
    ordered = (True, True, False)
    return Table(name, "autotune", shape, ordered, costs, names=("a", "b", "c"), levels=levels)


PAIR = Pair(target=bowl("target", (3, 4, 1)), source=bowl("source", (4, 4, 1)), correlation=0.9)


def test_best_points_of_a_source_are_sorted_points_of_the_target() -> None:
    results = history(PAIR.source, 30, seed=0, cache=None)
    found = best_first(PAIR, results)
    costs = [cost for _, cost in found]
    assert costs == sorted(costs)
    assert len(found) == sum(metrics is not None for _, metrics in results)
    # A target without a level of the source has no such point.
    levels = ((0.5, *PAIR.target.levels[0][1:]), *PAIR.target.levels[1:])
    without = replace(PAIR, target=replace(PAIR.target, levels=levels))
    assert [each for each in found if each[0][0]] == best_first(without, results)


@pytest.mark.parametrize("way", ["without", "source", "shuffled", "best first", *PEERS])
def test_every_way_is_measured_on_a_pair(way: str) -> None:
    for prefix, modules in NEEDS.items():
        if way.startswith(prefix) and not all(map(importlib.util.find_spec, modules)):
            pytest.skip(f"{prefix} is not installed: pip install '.[benchmark]'")
    results = history(PAIR.source, 30, seed=0, cache=None)
    auc, last = run(PAIR, way, results, workers=4, budget=12, seed=0)
    assert 0 <= auc < math.inf
    assert 0 <= last < math.inf


def test_the_parts_of_the_area_are_those_of_the_curve() -> None:
    results = history(PAIR.source, 30, seed=0, cache=None)
    found = dict(zip(COLUMNS, parts(PAIR, results, workers=4, budget=30, seed=0), strict=True))
    auc, last = run(PAIR, "source", results, workers=4, budget=30, seed=0)
    assert found["auc"] == pytest.approx(auc)
    assert found["last"] == pytest.approx(last)
    assert found["wave"] <= found["auc"]


def test_the_true_order_begins_with_the_best_points_of_the_sources_table() -> None:
    best = list(islice(true_order(PAIR), 5))
    costs = [PAIR.source.score(PAIR.source.measure(point)) for point in best]
    assert costs == sorted(costs)
    assert costs[0] == PAIR.source.optimum
