"""How good a run was, as a share of what random search would have lost."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from benchmarks.compare.problems import Array, Problem
from benchmarks.compare.simulate import Run, durations, worst_first

FLOOR: Final = 0.01


@dataclass(frozen=True)
class Scores:
    """Of one run; 1 is random search, 0 perfect.

    Attributes:
        auc: area under the regret over evaluations, divided by the expected one of random search.
        fin: the same for the regret at the last evaluation.
        auc_t: the area over time, up to the moment when never-idle workers would have finished.
        busy: mean share of busy workers before the last submission.
    """

    auc: float
    fin: float
    auc_t: float
    busy: float


def curve(run: Run, problem: Problem, budget: int) -> Array:
    """Regret after each of ``budget`` evaluations, in the order in which they ended.

    A tuner that stops early keeps what it has found.
    """
    run = run.first(budget)
    order = np.argsort(run.ends, kind="stable")
    best = worst_first([run.costs[k] for k in order], problem.worst)
    best += [best[-1] if best else problem.worst] * (budget - len(best))
    return np.asarray(best) - problem.optimum


def score(run: Run, problem: Problem, workers: int, budget: int, seed: int) -> Scores:
    run = run.first(budget)
    regret = curve(run, problem, budget)
    by_chance = random_regret(problem, budget)
    schedule = _schedule(workers, budget, seed)
    steps = np.diff(schedule, append=schedule[-1])
    at_times = _at(schedule, run, regret, problem)
    return Scores(
        auc=float(regret.sum() / by_chance.sum()),
        fin=float(regret[-1] / by_chance[-1]),
        auc_t=float(at_times @ steps / (by_chance @ steps)),
        busy=_busy(run, workers),
    )


def curve_in_time(
    run: Run, problem: Problem, workers: int, budget: int, seed: int, moments: Array
) -> Array:
    """Regret at ``moments``, which are shares of the time that never-idle workers need for all."""
    run = run.first(budget)
    times = moments * _schedule(workers, budget, seed)[-1]
    return _at(times, run, curve(run, problem, budget), problem)


def _at(times: Array, run: Run, regret: Array, problem: Problem) -> Array:
    """Regret at ``times``; what the worst point has before anything is known."""
    done = np.searchsorted(np.sort(np.asarray(run.ends)), times, side="right")
    nothing = problem.worst - problem.optimum
    return np.where(done > 0, regret[np.maximum(done, 1) - 1], nothing)


def _busy(run: Run, workers: int) -> float:
    if not run.begins or run.begins[-1] == 0:
        return min(1.0, len(run.begins) / workers)
    last = run.begins[-1]
    work = sum(min(e, last) - min(b, last) for b, e in zip(run.begins, run.ends, strict=True))
    return work / (workers * last)


_REGRETS: dict[tuple[str, int], Array] = {}


def random_regret(problem: Problem, budget: int) -> Array:
    """Expected regret of random search after each evaluation."""
    key = (problem.digest, budget)
    if key not in _REGRETS:
        _REGRETS[key] = problem.random_search(budget) - problem.optimum
    return _REGRETS[key]


@lru_cache
def _schedule(workers: int, budget: int, seed: int) -> Array:
    """When never-idle workers would have finished their 1st, 2nd, ... evaluation."""
    free = [0.0] * workers
    ends = []
    for length in durations(budget, seed):
        ends.append(heapq.heappop(free) + length)
        heapq.heappush(free, ends[-1])
    return np.sort(np.asarray(ends))


def geometric_mean(values: Sequence[float]) -> float:
    """Of scores; those below `FLOOR` count as it."""
    return math.exp(float(np.mean([math.log(max(value, FLOOR)) for value in values])))


def by_group(scores: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, float]:
    """Geometric means of the problems' scores: ``overall``, then each group."""
    means = {"overall": geometric_mean(list(scores.values()))}
    for group in dict.fromkeys(groups.values()):
        members = [value for name, value in scores.items() if groups[name] == group]
        if members:
            means[group] = geometric_mean(members)
    return means
