"""Other tuners that end trials early, for `benchmarks.curves`; each needs its own package.

A point that was proposed before and ran to its end is told at once, and costs nothing; one that is
still running, or was stopped, is asked for anew.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dsice.grid import Point

if TYPE_CHECKING:
    from benchmarks.curves import Problem

_WORST: Final = 1e30  # instead of a value that is not finite
_TRIES: Final = 100  # proposals in a row that may be repeats, until a worker stays idle


class Optuna:
    """TPE (multivariate, constant liar) with a pruner.

    Args:
        problem: the curves.
        workers: their number; TPE need not know it.
        seed: of the sampler.
        pruner: ``none``, ``median``, ``halving``, ``hyperband`` or ``wilcoxon``.
    """

    def __init__(self, problem: Problem, workers: int, seed: int, pruner: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        last = problem.steps[-1]
        pruners: dict[str, Callable[[], Any]] = {
            "none": optuna.pruners.NopPruner,
            "median": optuna.pruners.MedianPruner,
            "halving": optuna.pruners.SuccessiveHalvingPruner,
            "hyperband": lambda: optuna.pruners.HyperbandPruner(max_resource=last),
            "wilcoxon": optuna.pruners.WilcoxonPruner,
        }
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed)
        self._study = optuna.create_study(sampler=sampler, pruner=pruners[pruner]())
        self._pruned = optuna.trial.TrialState.PRUNED
        self._space = {
            axis.name: optuna.distributions.IntDistribution(0, len(axis) - 1)
            for axis in problem.grid.axes
        }
        self._steps = problem.steps
        self._trials: dict[Point, Any] = {}
        self._known: dict[Point, float] = {}

    def start(self) -> Point | None:
        for _ in range(_TRIES):
            trial = self._study.ask(self._space)
            point = tuple(trial.params.values())
            if point in self._known:
                self._study.tell(trial, self._known[point])
            elif point in self._trials:
                self._study.tell(trial, state=self._pruned)
            else:
                self._trials[point] = trial
                return point
        return None

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        trial = self._trials[point]
        trial.report(value if math.isfinite(value) else _WORST, self._steps[index])
        if not trial.should_prune():
            return []
        self._study.tell(self._trials.pop(point), state=self._pruned)
        return [point]

    def result(self, point: Point, value: float, ran: float) -> None:
        self._known[point] = value
        self._study.tell(self._trials.pop(point), value)


class SyneTune:
    """A scheduler of Syne Tune, by `suggest`, `on_trial_result` and `on_trial_complete`.

    It counts epochs. Where a program reports only some of them, a value stands for all those since
    the one before, as rungs are at fixed epochs.

    Args:
        problem: the curves.
        workers: their number; the schedulers need not know it.
        seed: of the scheduler.
        name: of a class in `syne_tune.optimizer.baselines`. MOBSTER, HyperTune and DyHPO are in
            versions up to 0.13 only.
        options: of that class.
    """

    def __init__(
        self, problem: Problem, workers: int, seed: int, name: str, **options: Any
    ) -> None:
        import logging

        from syne_tune.backend.trial_status import Trial
        from syne_tune.config_space import randint
        from syne_tune.optimizer import baselines

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        logging.getLogger().setLevel(logging.ERROR)
        np.random.seed(seed)  # brackets are drawn by the global generator
        self._trial: Final = Trial
        self._axes = [axis.name for axis in problem.grid.axes]
        space: dict[str, Any] = {a.name: randint(0, len(a) - 1) for a in problem.grid.axes}
        kind = getattr(baselines, name)
        self._is_old = len(inspect.signature(kind.suggest).parameters) > 1
        if self._is_old:
            space["epochs"] = problem.steps[-1]
            options |= {"resource_attr": "epoch", "max_resource_attr": "epochs", "mode": "min"}
            options["search_options"] = {"debug_log": False} | options.get("search_options", {})
        else:
            options |= {"time_attr": "epoch", "max_t": problem.steps[-1]}
        self._scheduler = kind(space, metric="loss", random_seed=seed, **options)
        self._steps = problem.steps
        self._numbers: dict[Point, int] = {}
        self._trials: list[Any] = []
        self._running: set[Point] = set()
        self._known: dict[Point, list[float]] = {}
        self._heard: dict[Point, list[float]] = {}

    def start(self) -> Point | None:
        for _ in range(_TRIES):
            number = len(self._trials)
            found = self._scheduler.suggest(*([number] if self._is_old else []))
            if found is None:
                return None
            if not found.spawn_new_trial_id:  # one that was paused
                point = self._point(self._trials[found.checkpoint_trial_id].config)
                self._running.add(point)
                return point
            point = self._point(found.config)
            trial = self._trial(number, found.config, datetime(2020, 1, 1))
            self._trials.append(trial)
            self._scheduler.on_trial_add(trial)
            if point in self._known:
                self._repeat(trial, self._known[point])
            elif point in self._numbers:
                self._repeat(trial, self._heard[point])
            else:
                self._numbers[point] = number
                self._running.add(point)
                self._heard[point] = []
                return point
        return None

    def report(self, point: Point, index: int, value: float, ran: float) -> list[Point]:
        self._heard[point].append(value)
        if point not in self._running:
            return []
        if self._hear(self._trials[self._numbers[point]], index, value):
            return []
        self._running.discard(point)
        return [point]

    def result(self, point: Point, value: float, ran: float) -> None:
        index = len(self._steps) - 1
        self._known[point] = [*self._heard[point], value]
        self._running.discard(point)
        self._finish(self._trials[self._numbers[point]], index, value)

    def _point(self, config: dict[str, Any]) -> Point:
        return tuple(int(config[name]) for name in self._axes)

    def _hear(self, trial: Any, index: int, value: float) -> bool:
        """Tell of a report; returns whether the trial goes on."""
        before = self._steps[index - 1] if index else 0
        value = value if math.isfinite(value) else _WORST
        for epoch in range(before + 1, self._steps[index] + 1):
            if epoch == self._steps[-1]:
                return True
            result = {"loss": value, "epoch": epoch}
            if self._scheduler.on_trial_result(trial, result) != "CONTINUE":
                self._scheduler.on_trial_remove(trial)
                return False
        return True

    def _finish(self, trial: Any, index: int, value: float) -> None:
        if self._hear(trial, index, value):
            value = value if math.isfinite(value) else _WORST
            self._scheduler.on_trial_complete(trial, {"loss": value, "epoch": self._steps[-1]})

    def _repeat(self, trial: Any, values: list[float]) -> None:
        """Tell of a trial at a point that is known, as far as it ran."""
        for index, value in enumerate(values):
            if index == len(self._steps) - 1:
                self._finish(trial, index, value)
            elif not self._hear(trial, index, value):
                return
        if len(values) < len(self._steps):
            self._scheduler.on_trial_remove(trial)
