"""Kernel Tuner's strategies, with a runner of ours in place of the one that compiles kernels."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from kernel_tuner.interface import Options
from kernel_tuner.runners.runner import Runner
from kernel_tuner.runners.simulation import SimulationDevice
from kernel_tuner.searchspace import Searchspace
from kernel_tuner.util import InvalidConfig, TuningBudget

from benchmarks.compare.peers.base import Penalty, Task, Unsuitable
from benchmarks.compare.peers.inverted import Inverted
from dsice.grid import Grid, Params, Point

LARGEST: Final = 1_000_000
"""Points that it may list in memory: it lists all of them before it begins."""
THREADS: Final = 2**62
"""More than any kernel asks for: the limit of a real device is no part of these problems."""


class KernelTuner(Inverted):
    """One of its strategies with the options it has by default.

    It knows the static rule as a restriction and the budget as the largest number of evaluations,
    by which some strategies pace themselves. A failure is an invalid configuration; a bound is a
    penalty.
    """

    def __init__(self, task: Task, strategy: str) -> None:
        super().__init__()
        if task.grid.size > LARGEST:
            raise Unsuitable(f"lists all points, and {task.grid.size:.0e} are too many")
        random.seed(task.seed)
        np.random.seed(task.seed)
        self._task = task
        self._penalty = Penalty(task.goal)
        self._strategy = importlib.import_module(f"kernel_tuner.strategies.{strategy}")

    def _loop(self) -> None:
        grid = self._task.grid
        levels = {axis.name: list(range(len(axis.levels))) for axis in grid.axes}
        restrictions = None if grid.rule is None else [_restriction(grid)]
        space = Searchspace(levels, restrictions, max_threads=THREADS)
        budget = self._task.budget
        options = Options(
            strategy_options=Options(max_fevals=budget),
            budget=TuningBudget(max_fevals=budget),
            objective=["cost"],
            objective_higher_is_better=[False],
            restrictions=restrictions,
            tune_params=levels,
            verbose=False,
            metrics=None,
            cache={},
        )
        self._strategy.tune(space, _Runner(self), options)

    def results(self, points: Sequence[Point]) -> list[dict[str, Any]]:
        """What Kernel Tuner stores of these points."""
        found = []
        for point, metrics in zip(points, self._measure(points), strict=True):
            result: dict[str, Any] = dict(zip(self._task.grid.names, point, strict=True))
            if metrics is None:
                result["__error__"] = InvalidConfig()
            else:
                result["cost"] = self._penalty.cost(metrics)
            found.append(result)
        return found


def _restriction(grid: Grid) -> Callable[[Params], bool]:
    """The static rule as a function of its own: Kernel Tuner copies it deeply."""

    def allows(params: Params) -> bool:
        return grid.allows(tuple(int(params[name]) for name in grid.names))

    return allows


class _Runner(Runner):  # type: ignore[misc]
    """Measures by asking the benchmark; a point counts when it is new, as in its own runners."""

    def __init__(self, peer: KernelTuner) -> None:
        super().__init__()
        self.dev = SimulationDevice(THREADS, {"device_name": "simulated"}, True)
        self._peer = peer
        self._seen: set[Point] = set()

    def get_device_info(self) -> Any:
        return self.dev

    def get_environment(self, _: Any) -> dict[str, Any]:
        return {}

    def run(self, parameter_space: Any, tuning_options: Any) -> list[dict[str, Any]]:
        points = [tuple(int(level) for level in element) for element in parameter_space]
        results = self._peer.results(points)
        tuning_options.budget.add_evaluations(len(set(points) - self._seen))
        self._seen.update(points)
        return results
