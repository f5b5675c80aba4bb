"""Scores of all runs, their means, and how sure these are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.compare import peers
from benchmarks.compare.problems import Array, Problem
from benchmarks.compare.scores import (
    FLOOR,
    Scores,
    by_group,
    curve,
    curve_in_time,
    random_regret,
    score,
)
from benchmarks.compare.simulate import Run
from benchmarks.compare.store import Key, Store

DRAWS: Final = 2000
NEAR: Final = 0.01
"""The regret that counts as near, in shares of the expected regret of one random point."""


@dataclass(frozen=True)
class Scored:
    """One run, cut to a budget, and its scores."""

    seed: int
    run: Run
    scores: Scores


Runs = Mapping[str, Sequence[Scored]]
"""A tuner's runs, by problem."""


@dataclass(frozen=True)
class Cell:
    """All runs with so many workers, scored at one budget.

    Attributes:
        runs: by tuner, then by problem.
    """

    workers: int
    budget: int
    problems: Mapping[str, Problem]
    runs: Mapping[str, Runs]

    def groups(self, names: Sequence[str]) -> dict[str, str]:
        """The group of each of these problems."""
        return {name: self.problems[name].group for name in names}

    def means(self, tuner: str, field: str) -> dict[str, float]:
        """Geometric means over problems of `problem_means`: ``overall``, then each group."""
        means = problem_means(self.runs[tuner], field)
        return by_group(means, self.groups(list(means)))

    def ranked(self) -> list[str]:
        """Tuners, the best area first; those that lack problems after those that have all."""
        means = {tuner: self.means(tuner, "auc")["overall"] for tuner in self.runs}
        return sorted(means, key=lambda t: (len(self.runs[t]) < len(self.problems), means[t]))

    def curves(self, tuner: str) -> dict[str, Array]:
        """Mean regret after each evaluation, by problem."""
        return {
            name: np.mean([curve(s.run, self.problems[name], self.budget) for s in runs], axis=0)
            for name, runs in self.runs[tuner].items()
        }

    def curves_in_time(self, tuner: str, moments: Array) -> dict[str, Array]:
        """Mean regret at ``moments``, see `curve_in_time`, by problem."""
        found = {}
        for name, runs in self.runs[tuner].items():
            problem = self.problems[name]
            curves = [
                curve_in_time(one.run, problem, self.workers, self.budget, one.seed, moments)
                for one in runs
            ]
            found[name] = np.asarray(np.mean(curves, axis=0))
        return found


def cell(
    store: Store, problems: Sequence[Problem], tuners: Sequence[str], workers: int, budget: int
) -> Cell:
    """Score what is stored; of a tuner that is told the budget, the runs with just that one."""
    by_name = {problem.name: problem for problem in problems}
    shortest: dict[tuple[str, str, int], Key] = {}
    for key, _ in store:
        if key.tuner not in tuners or key.problem not in by_name or key.workers != workers:
            continue
        if key.budget < budget or (peers.kind(key.tuner).told_budget and key.budget > budget):
            continue
        same = (key.tuner, key.problem, key.seed)
        if same not in shortest or key.budget < shortest[same].budget:
            shortest[same] = key
    runs: dict[str, dict[str, list[Scored]]] = defaultdict(lambda: defaultdict(list))
    for (tuner, name, seed), key in sorted(shortest.items()):
        run = store.run(key).first(budget)
        scores = score(run, by_name[name], workers, budget, seed)
        runs[tuner][name].append(Scored(seed, run, scores))
    return Cell(workers, budget, by_name, {tuner: dict(found) for tuner, found in runs.items()})


def problem_means(runs: Runs, field: str) -> dict[str, float]:
    """Mean over the seeds of one score, by problem."""
    return {
        name: float(np.mean([getattr(one.scores, field) for one in found]))
        for name, found in runs.items()
    }


@dataclass(frozen=True)
class Ratio:
    """A tuner's geometric-mean area divided by the reference's, with a 95 % interval."""

    value: float
    low: float
    high: float
    problems: int


def ratio(cell: Cell, tuner: str, reference: str) -> Ratio | None:
    """Over the problems that both have solved; None if there is none.

    The interval is a bootstrap: problems are drawn again within their groups, and seeds within each
    problem.
    """
    common = [name for name in cell.runs[tuner] if name in cell.runs[reference]]
    if not common:
        return None
    random = np.random.default_rng(0)
    members: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(common):
        members[cell.problems[name].group].append(row)
    exact, drawn = [], []
    for name in common:
        logs = []
        for runs in (cell.runs[tuner][name], cell.runs[reference][name]):
            values = np.array([one.scores.auc for one in runs])
            again = values[random.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
            logs.append(np.log(np.maximum(np.append(again, values.mean()), FLOOR)))
        difference = logs[0] - logs[1]
        drawn.append(difference[:-1])
        exact.append(difference[-1])
    rows = [random.choice(group, size=(DRAWS, len(group))) for group in members.values()]
    chosen = np.concatenate(rows, axis=1)
    means = np.asarray(drawn)[chosen, random.integers(DRAWS, size=chosen.shape)].mean(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return Ratio(float(np.exp(np.mean(exact))), float(low), float(high), len(common))


def aggregate(curves: Mapping[str, Array], cell: Cell, problems: Sequence[str]) -> Array:
    """One regret curve of many problems, where 1 is random search with the whole budget.

    The geometric mean over the problems of the mean regret divided by the expected last regret of
    random search; below `FLOOR` counts as it.
    """
    logs = []
    for name in problems:
        by_chance = random_regret(cell.problems[name], cell.budget)[-1]
        logs.append(np.log(np.maximum(curves[name] / by_chance, FLOOR)))
    return np.asarray(np.exp(np.mean(logs, axis=0)))


@dataclass(frozen=True)
class Needed:
    """Evaluations one tuner needs to reach what another reaches with the whole budget.

    Attributes:
        by_problem: for mean regrets; None if it does not get there.
        aggregated: for `aggregate`.
    """

    by_problem: Mapping[str, int | None]
    aggregated: int | None

    def median(self, budget: int) -> float:
        """Over the problems; one where it does not get there counts as ``budget`` + 1."""
        values = [budget + 1 if n is None else n for n in self.by_problem.values()]
        return float(np.median(values))


def needed(cell: Cell, tuner: str, other: str) -> Needed | None:
    """What `Needed` says of two tuners; None if they have no problem in common."""
    common = [name for name in cell.runs[tuner] if name in cell.runs[other]]
    if not common:
        return None
    curves, targets = cell.curves(tuner), cell.curves(other)
    return Needed(
        {name: _first(curves[name] <= targets[name][-1]) for name in common},
        _first(aggregate(curves, cell, common) <= aggregate(targets, cell, common)[-1]),
    )


def near(cell: Cell, tuner: str) -> tuple[float, float]:
    """The median number of evaluations until the regret is near 0, and the share of runs with it.

    Over all runs of all problems; a run that does not get there counts as the budget + 1. What is
    near: `NEAR`.
    """
    counts = []
    for name, runs in cell.runs[tuner].items():
        problem = cell.problems[name]
        limit = NEAR * random_regret(problem, 1)[0]
        for one in runs:
            first = _first(curve(one.run, problem, cell.budget) <= limit)
            counts.append(cell.budget + 1 if first is None else first)
    reached = np.asarray(counts) <= cell.budget
    return float(np.median(counts)), float(reached.mean())


def _first(reached: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int | None:
    """How many evaluations it took until the condition held."""
    return int(np.argmax(reached)) + 1 if reached.any() else None
