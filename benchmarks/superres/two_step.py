"""Is the winner of short runs that of long ones? ``python -m benchmarks.superres.two_step``.

Two-step learning replaces a long training per point by a short fine-tuning of one pre-trained
network. That saves time for certain; that it finds the same points is an assumption. Here random
points of the demo's grid are trained both ways, the tiny network on the photographs of the demo, in
the poster's proportions: 8 units in full length from random weights, against 4 units of
pre-training once and 1 unit of fine-tuning a point.

What is printed: what each way costs, the rank correlation (Spearman) of their NIQE and RMSE over
the points, and where the winner of the short runs stands among the long ones. The long trainings
run with two seeds, since no correlation can be expected to be higher than theirs with each other.

For a study of NIQE under a bound on RMSE, what counts is the order of NIQE among the points that
keep the bound in both ways, with its interval. An order of all points in which those that break the
bound come last is mostly one of RMSE: to show that, it is also printed with NIQE replaced by noise.

Last, what finalists are worth: the best few of the short runs are trained in full, and the best of
them is the answer. It is judged by the long runs of the other seed, since the best of several noisy
figures is too good.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from superres.checkpoint import Checkpoint
from superres.cutting import Sizes
from superres.data import Dataset
from superres.errors import Diverged
from superres.evaluation import evaluate
from superres.features import random_features
from superres.losses import LossWeights
from superres.model import PRESETS, GeneratorConfig, Preset
from superres.photos import wheel_photos
from superres.prepare import prepare
from superres.tiling import network_upscaler
from superres.training import Settings, finetune, new_networks, pretrain

# The poster's lengths, in units of its fine-tuning: 250, 1000 and 2000 epochs.
PRETRAINING: Final = 4
FULL: Final = 8

SIZE: Final = Preset(GeneratorConfig(64, 16, 2, residual=True), 16, PRESETS["tiny"].learning_rate)
WAYS: Final = ("short", "full", "full again")

# A network that has learnt is moved gently; one that has not, with an adversary, less so.
RATES: Final = {"short": 2e-4, "full": 1e-3}


@dataclass(frozen=True, slots=True)
class Task:
    """One training of one point."""

    point: int
    way: str
    weights: LossWeights
    steps: int
    data: Path
    start: Path


@dataclass(slots=True)
class Way:
    """What one way of training gave, by point; infinite where it diverged."""

    niqe: NDArray[np.float64]
    rmse: NDArray[np.float64]
    seconds: list[float] = field(default_factory=list)


def points(count: int, seed: int) -> list[LossWeights]:
    """Distinct random points of the demo's grid, of levels -7 to 7, and no weight at all."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        levels = 2.0 ** random.integers(-7, 8, size=4)
        levels[1:] *= random.integers(16, size=3) > 0
        found.append(LossWeights(*(np.array([1e-2, 1e-1, 1e-3, 10]) * levels).tolist()))
    return found


def train(task: Task) -> tuple[Task, float, float, float]:
    """NIQE, RMSE and CPU seconds of a task."""
    torch.set_num_threads(1)
    began = time.process_time()
    dataset = Dataset(task.data)
    seed = 1 if task.way == "full again" else 0
    if task.way == "short":
        start = Checkpoint.load(task.start)
    else:
        start = Checkpoint(*new_networks(SIZE, seed), ())
    rate = RATES["short" if task.way == "short" else "full"]
    settings = Settings(task.steps, 8, 20, rate, seed)
    try:
        trained = finetune(start, dataset, random_features(), task.weights, settings)
    except Diverged:
        return task, np.inf, np.inf, time.process_time() - began
    seconds = time.process_time() - began
    scores = evaluate(network_upscaler(trained.checkpoint.generator), dataset)
    niqe = scores.niqe if np.isfinite(scores.niqe) else np.inf
    return task, niqe, scores.rmse, seconds


def tasks(weights: list[LossWeights], unit: int, data: Path, start: Path) -> Iterator[Task]:
    for way in WAYS:
        steps = unit if way == "short" else FULL * unit
        for number, one in enumerate(weights):
            yield Task(number, way, one, steps, data, start)


def measure(to_do: Iterable[Task], count: int, workers: int) -> dict[str, Way]:
    empty = np.full(count, np.nan)
    ways = {name: Way(empty.copy(), empty.copy()) for name in WAYS}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        running = [pool.submit(train, task) for task in to_do]
        for done, future in enumerate(as_completed(running), 1):
            task, niqe, rmse, seconds = future.result()
            way = ways[task.way]
            way.niqe[task.point], way.rmse[task.point] = niqe, rmse
            way.seconds.append(seconds)
            print(f"\r{done} of {len(running)} trainings", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return ways


def place(short: NDArray[np.float64], full: NDArray[np.float64]) -> int:
    """Where the best of the short runs stands among the long ones, from 1."""
    return int((full < full[short.argmin()]).sum()) + 1


def bounded(way: Way, bound: float) -> NDArray[np.float64]:
    """NIQE where RMSE keeps the bound; else worse than any, the worse the farther off."""
    over = np.clip(way.rmse - bound, 0, 1e6)
    return np.where(over > 0, 1e6 + over, np.minimum(way.niqe, 1e5))


def among_feasible(a: Way, b: Way, draws: int = 10_000) -> tuple[int, float, float, float]:
    """NIQE's rank correlation over the points that keep the median RMSE of their way in both.

    Returns:
        The number of these points, the correlation, and the ends of its 95 % interval (bootstrap
        over the points); not a number with fewer than four.
    """
    both = (a.rmse <= np.median(a.rmse)) & (b.rmse <= np.median(b.rmse))
    first, second = rankdata(a.niqe[both]), rankdata(b.niqe[both])
    count = int(both.sum())
    if count < 4:
        return count, np.nan, np.nan, np.nan
    chosen = np.random.default_rng(0).integers(count, size=(draws, count))
    found = _correlations(first[chosen], second[chosen])
    low, high = np.nanquantile(found, [0.025, 0.975])
    return count, float(_correlations(first[None], second[None])[0]), float(low), float(high)


def with_noise(a: Way, b: Way, draws: int = 1000) -> NDArray[np.float64]:
    """The rank correlations of the order under the bound where NIQE is noise in both ways."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        noise = [Way(random.uniform(3, 10, len(way.rmse)), way.rmse) for way in (a, b)]
        orders = (bounded(way, float(np.median(way.rmse))) for way in noise)
        found.append(spearmanr(*orders).statistic)
    return np.array(found)


def answer(short: Way, full: Way, judge: Way, finalists: int) -> tuple[int, float]:
    """What a study answers that trains its best short runs in full.

    Args:
        short: what chooses the finalists.
        full: what chooses among them.
        judge: what says how good the choice is, other runs than those of `full`.
        finalists: how many; as many as there are points: the best of all long runs.

    Returns:
        The place of the answer among all points in `judge` under its bound, from 1, and the
        difference of its NIQE from the best one's there; infinite beyond the bound.
    """
    order = [bounded(way, float(np.median(way.rmse))) for way in (short, full, judge)]
    chosen = np.argsort(order[0], kind="stable")[:finalists]
    best = chosen[order[1][chosen].argmin()]
    found = order[2]
    over = found[best] > 1e5
    return int((found < found[best]).sum()) + 1, np.inf if over else float(
        found[best] - found.min()
    )


def _correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row of `a` with that of `b`, by rank; not a number where all are equal."""
    ranks = [rankdata(rows, axis=1) for rows in (a, b)]
    x, y = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return found


def show(weights: list[LossWeights], ways: dict[str, Way], pretraining: float) -> None:
    short, full, again = (ways[name] for name in WAYS)
    print(f"{'weights of the terms':^39}   {'NIQE':^22}   {'RMSE':^22}")
    each = f"{'short':>10} {'full':>5} {'again':>5}"
    print(f"{'mse':>9} {'vgg':>9} {'adv':>9} {'style':>9}   {each}   {each}")
    for i, w in enumerate(weights):
        cells = [
            f"{a[i]:10.2f} {b[i]:5.2f} {c[i]:5.2f}"
            for a, b, c in (
                (short.niqe, full.niqe, again.niqe),
                (short.rmse, full.rmse, again.rmse),
            )
        ]
        print(f"{w.mse:9.3g} {w.vgg:9.3g} {w.adv:9.3g} {w.style:9.3g}   {'   '.join(cells)}")

    a_short = float(np.mean(short.seconds))
    a_full = float(np.mean(full.seconds + again.seconds))
    count = len(weights)

    def saving(trials: int) -> float:
        return trials * a_full / (pretraining + trials * a_short)

    print(f"\nCPU seconds: {a_full:.1f} a point in full; {a_short:.1f} a point in two steps, and")
    print(
        f"{pretraining:.1f} once. In two steps {count} points cost 1/{saving(count):.1f} of that,"
    )
    print(f"the poster's 545 would cost 1/{saving(545):.1f}.")

    bound = float(np.median(np.concatenate([full.rmse, again.rmse])))
    under = (
        bounded(short, float(np.median(short.rmse))),
        bounded(full, bound),
        bounded(again, bound),
    )
    compared = {
        "NIQE": (short.niqe, full.niqe, again.niqe),
        "RMSE": (short.rmse, full.rmse, again.rmse),
        "NIQE under the median RMSE": under,
    }
    print(f"\n{'rank correlation':<28} short-full  full-full   place of the short winner in full")
    for name, (a, b, c) in compared.items():
        both = (spearmanr(a, b).statistic + spearmanr(a, c).statistic) / 2
        itself = spearmanr(b, c).statistic
        places = f"{place(a, b)} and {place(a, c)} of {count}"
        print(f"{name:<28} {both:10.2f} {itself:10.2f}   {places}")

    pairs = {
        "short-full": (short, full),
        "short-again": (short, again),
        "full-again": (full, again),
    }
    print("\nNIQE's rank correlation among the points under the median RMSE in both")
    for name, (one, other) in pairs.items():
        feasible, correlation, low, high = among_feasible(one, other)
        noise = with_noise(one, other)
        print(
            f"{name:<12} {correlation:5.2f} ({low:.2f} to {high:.2f}) of {feasible} points;"
            f" under the bound with noise for NIQE: {noise.mean():.2f} on average,"
            f" {np.quantile(noise, 0.95):.2f} at most in 95 % of draws"
        )

    print(
        "\nFinalists: the best short runs in full, the answer judged by long runs of another seed"
    )
    for finalists in sorted({1, 3, 5, 10, count}):
        found = [answer(short, *pair, finalists) for pair in ((full, again), (again, full))]
        places = " and ".join(f"{place} of {count}" for place, _ in found)
        behind = " and ".join(f"{more:.2f}" if np.isfinite(more) else "beyond" for _, more in found)
        print(f"{finalists:>3}: place {places}, NIQE behind the best by {behind}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--unit", type=int, default=90, help="steps of a fine-tuning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the points")
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    weights = points(a.points, a.seed)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data, start = Path(folder) / "data", Path(folder) / "start"
        prepare(wheel_photos(), data, Sizes(), report=lambda _: None)
        began = time.process_time()
        settings = Settings(PRETRAINING * a.unit, 8, 20, SIZE.learning_rate, 0)
        pretrain(Dataset(data), SIZE, settings, 200).checkpoint.save(start)
        pretraining = time.process_time() - began
        print(f"pre-training done, {pretraining:.0f} s", file=sys.stderr, flush=True)
        ways = measure(tasks(weights, a.unit, data, start), len(weights), a.workers)
    show(weights, ways, pretraining)


if __name__ == "__main__":
    main()
