"""`dsice.optuna.DsiceSampler` beside Optuna's own: ``python -m benchmarks.optuna_sampler``.

CPU time of a proposal (``study.ask`` of four integers, and ``study.tell``) with 100 and 500 results
in the study, in memory. The samplers take turns, so that what else the machine does falls on all of
them alike. The first proposal, for which each must take up all results, is told apart. Then the
regret, how far the best of 100 trials is from the best of all 61,440 points, over some seeds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import optuna

from benchmarks.cost import Valley
from dsice.optuna import DsiceSampler

COST: Final = Valley(4)
SPACE: Final[dict[str, Any]] = {
    f"x{k}": optuna.distributions.IntDistribution(0, n - 1) for k, n in enumerate(COST.shape)
}
MAKERS: Final[dict[str, Callable[[int], Any]]] = {
    "dsice": lambda seed: DsiceSampler(search_space=SPACE, seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}


def step(study: optuna.Study) -> float:
    """CPU seconds of one proposal and its result."""
    began = time.process_time()
    trial = study.ask(SPACE)
    params = trial.params
    study.tell(trial, COST(tuple(params[name] for name in SPACE)))
    return time.process_time() - began


def grown(sampler: Any, count: int) -> optuna.Study:
    """A study with ``count`` results at random points."""
    study = optuna.create_study(sampler=sampler)
    draw = np.random.default_rng(3)
    for _ in range(count):
        params = {name: int(draw.integers(each.high + 1)) for name, each in SPACE.items()}
        value = COST(tuple(params.values()))
        study.add_trial(optuna.create_trial(params=params, distributions=SPACE, value=value))
    return study


def proposals(count: int, names: list[str], rounds: int, rounds_of_gp: int) -> None:
    studies = {name: grown(MAKERS[name](0), count) for name in names}
    first = {name: step(study) for name, study in studies.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name, study in studies.items():
            if name != "gp" or number < rounds_of_gp:
                seconds[name].append(step(study))
    ours = statistics.mean(seconds["dsice"])
    print(f"with {count} results, CPU ms per proposal:")
    for name in names:
        mean = statistics.mean(seconds[name])
        print(
            f"  {name:6} {1000 * mean:8.1f}   {mean / ours:6.2f} times dsice"
            f"   (mean of {len(seconds[name])}; the first {1000 * first[name]:.0f})"
        )


def regrets(names: list[str], trials: int, seeds: int) -> None:
    least = min(COST(point) for point in itertools.product(*map(range, COST.shape)))
    print(f"regret after {trials} trials, median of {seeds} seeds; points measured again:")
    medians = {}
    for name in names:
        found, repeats = [], 0
        for seed in range(seeds):
            study = optuna.create_study(sampler=MAKERS[name](seed))
            for _ in range(trials):
                step(study)
            found.append(study.best_value - least)
            repeats += trials - len({tuple(trial.params.values()) for trial in study.trials})
        medians[name] = statistics.median(found)
        ratio = medians[name] / medians["dsice"] if medians["dsice"] else float("inf")
        print(
            f"  {name:6} {medians[name]:8.4f}   {ratio:6.2f} times dsice"
            f"   {repeats / seeds:.1f} of {trials} repeats"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="proposals (default: 40)")
    parser.add_argument("--gp-rounds", type=int, default=5, help="of GPSampler (default: 5)")
    parser.add_argument("--trials", type=int, default=100, help="of a study (default: 100)")
    parser.add_argument("--seeds", type=int, default=5, help="studies of each (default: 5)")
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for count in (100, 500):
        proposals(count, list(MAKERS), chosen.rounds, chosen.gp_rounds)
    regrets(["dsice", "tpe"], chosen.trials, chosen.seeds)


if __name__ == "__main__":
    main()
