"""Ax, by its client."""

from __future__ import annotations

import logging
from typing import Final

import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.utils.common.logger import set_ax_logger_levels

from benchmarks.compare.peers.base import Escape, Handles, Peer, Task
from dsice.goal import Metrics
from dsice.grid import Axis, Point

PATIENCE: Final = 5
"""Proposals of nothing new before a random new point is attached."""


class Ax(Peer):
    """What its client chooses by itself: five first points, then BoTorch.

    First points go on until half of the five have a result, so that no worker waits. An ordered
    axis is an integer, an unordered one a choice without order. A bound is an outcome constraint, a
    failed or excluded point an abandoned trial, which is not proposed again.
    """

    def __init__(self, task: Task) -> None:
        set_ax_logger_levels(logging.CRITICAL)
        torch.set_num_threads(1)
        self._goal = task.goal
        self._names = task.grid.names
        self._trials = Handles()
        self._escape = Escape(task.grid, task.seed, PATIENCE)
        self._client = Client(random_seed=task.seed)
        self._client.configure_experiment(list(map(_parameter, task.grid.axes)))
        bounds = [f"{bound.metric} <= {bound.limit}" for bound in task.goal.bounds]
        self._client.configure_optimization("-cost", outcome_constraints=bounds or None)
        self._client.configure_generation_strategy(
            initialization_random_seed=task.seed, allow_exceeding_initialization_budget=True
        )

    def ask(self) -> Point | None:
        if (new := self._escape.due()) is not None:
            index = self._client.attach_trial(dict(zip(self._names, new, strict=True)))
            self._escape.note(new)
            return self._trials.add(new, index)
        ((index, values),) = self._client.get_next_trials(1).items()
        point = tuple(int(values[name]) for name in self._names)
        self._escape.note(point)
        return self._trials.add(point, index)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        index = self._trials.take(point)
        if metrics is None:
            self._client.mark_trial_abandoned(index)
            return
        bounded = {bound.metric: metrics[bound.metric] for bound in self._goal.bounds}
        self._client.complete_trial(index, {"cost": self._goal.cost(metrics), **bounded})


def _parameter(axis: Axis) -> RangeParameterConfig | ChoiceParameterConfig:
    levels = list(range(len(axis.levels)))
    if axis.ordered and len(levels) > 1:
        return RangeParameterConfig(axis.name, (0, levels[-1]), "int")
    return ChoiceParameterConfig(axis.name, levels, "int", is_ordered=False)
