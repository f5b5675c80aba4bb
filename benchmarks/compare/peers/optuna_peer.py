"""Optuna's samplers, by its ask-and-tell interface, in memory."""

from __future__ import annotations

from typing import Any, Final

import optuna

from benchmarks.compare.peers.base import Escape, Handles, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Axis, Point

PATIENCE: Final = {"tpe": 20, "gp": 5, "cmaes": 5}
"""Proposals of nothing new before a random new point is enqueued."""


class Optuna(Peer):
    """One study; the levels' indices are its parameters.

    TPE and GP are as by default: TPE multivariate and with a constant liar, GP with the expected
    improvement of a batch. CMA-ES is the one with margin, made for integers. A failed trial is told
    as such; a bound is a constraint of the trial, and a penalty for CMA-ES, which takes none.
    """

    def __init__(self, task: Task, sampler: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._goal = task.goal
        self._space = {axis.name: _distribution(axis) for axis in task.grid.axes}
        self._study = optuna.create_study(sampler=_sampler(sampler, task.seed))
        self._penalty = Penalty(task.goal) if sampler == "cmaes" else None
        self._trials = Handles()
        self._escape = Escape(task.grid, task.seed, PATIENCE[sampler])

    def ask(self) -> Point | None:
        if (new := self._escape.due()) is not None:
            self._study.enqueue_trial(dict(zip(self._space, new, strict=True)))
        trial = self._study.ask(self._space)
        point = tuple(int(trial.params[name]) for name in self._space)
        self._escape.note(point)
        return self._trials.add(point, trial)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        trial = self._trials.take(point)
        if metrics is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif self._penalty:
            self._study.tell(trial, self._penalty.cost(metrics))
        else:
            for bound in self._goal.bounds:
                assert bound.limit is not None
                trial.set_constraint(bound.metric, metrics[bound.metric] - bound.limit)
            self._study.tell(trial, self._goal.cost(metrics))


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    levels = range(len(axis.levels))
    if axis.ordered:
        return optuna.distributions.IntDistribution(0, levels[-1])
    return optuna.distributions.CategoricalDistribution(list(levels))


def _sampler(name: str, seed: int) -> Any:
    samplers = optuna.samplers
    if name == "tpe":
        return samplers.TPESampler(seed=seed)
    if name == "gp":
        return samplers.GPSampler(seed=seed)
    return samplers.CmaEsSampler(seed=seed, with_margin=True)
