"""SMAC3's hyperparameter optimisation facade, by its ask-and-tell interface."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from ConfigSpace import Categorical, ConfigurationSpace, Integer
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialValue
from smac.runhistory.enumerations import StatusType

from benchmarks.compare.peers.base import Handles, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Point


class Smac(Peer):
    """A random forest, as by default; it is told the budget, a quarter of which is a first design.

    An ordered axis is an integer, an unordered one categorical. A failure is a crashed trial with
    the worst cost so far, a bound is a penalty.
    """

    def __init__(self, task: Task) -> None:
        logging.getLogger("smac").setLevel(logging.CRITICAL)
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        self._names = task.grid.names
        space = ConfigurationSpace(seed=task.seed)
        for axis in task.grid.axes:
            n = len(axis.levels)
            ordered = axis.ordered and n > 1
            space.add(
                Integer(axis.name, (0, n - 1)) if ordered else Categorical(axis.name, range(n))
            )
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=task.budget,
            seed=task.seed,
            output_directory=Path(self._folder.name),
        )
        self._smac = HyperparameterOptimizationFacade(
            scenario, _unused, logging_level=False, overwrite=True
        )
        self._penalty = Penalty(task.goal)
        self._trials = Handles()

    def ask(self) -> Point | None:
        try:
            trial = self._smac.ask()
        except StopIteration:
            return None
        point = tuple(int(trial.config[name]) for name in self._names)
        return self._trials.add(point, trial)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        status = StatusType.CRASHED if metrics is None else StatusType.SUCCESS
        value = TrialValue(cost=self._penalty.cost(metrics), time=1.0, status=status)
        self._smac.tell(self._trials.take(point), value, save=False)

    def close(self) -> None:
        self._folder.cleanup()


def _unused(config: object, seed: int = 0) -> float:
    raise NotImplementedError("the benchmark measures")
