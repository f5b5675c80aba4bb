"""Syne Tune's schedulers, by its ask-and-tell interface."""

from __future__ import annotations

import logging
from typing import Any, Final

import numpy as np
from syne_tune.config_space import choice, randint
from syne_tune.optimizer import baselines
from syne_tune.optimizer.scheduler import TrialScheduler
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

from benchmarks.compare.peers.base import Escape, Handles, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Grid, Point

PATIENCE: Final = 5
"""Proposals of nothing new before a random new point."""


class SyneTune(Peer):
    """Any of its schedulers for whole evaluations, as by default.

    An ordered axis is an integer, an unordered one a choice. It takes neither failures nor bounds
    as such: both are penalties.

    Args:
        task: see `Task`.
        scheduler: a class of ``syne_tune.optimizer.baselines``, or a scheduler ready for use.
    """

    def __init__(self, task: Task, scheduler: str | TrialScheduler) -> None:
        logging.getLogger("syne_tune").setLevel(logging.CRITICAL)
        logging.getLogger().setLevel(logging.ERROR)  # its searchers warn through the root
        np.random.seed(task.seed)
        if isinstance(scheduler, str):
            make = getattr(baselines, scheduler)
            scheduler = make(space(task.grid), "cost", do_minimize=True, random_seed=task.seed)
        self._scheduler = AskTellScheduler(scheduler)
        self._names = task.grid.names
        self._penalty = Penalty(task.goal)
        self._trials = Handles()
        self._escape = Escape(task.grid, task.seed, PATIENCE)

    def ask(self) -> Point | None:
        if (new := self._escape.due()) is not None:
            self._escape.note(new)
            return self._trials.add(new, None)
        trial = self._scheduler.ask()
        point = tuple(int(trial.config[name]) for name in self._names)
        self._escape.note(point)
        return self._trials.add(point, trial)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        trial = self._trials.take(point)
        cost = self._penalty.cost(metrics)
        if trial is not None:
            self._scheduler.tell(trial, {"cost": cost})


def space(grid: Grid) -> dict[str, Any]:
    """The grid as Syne Tune's configuration space."""
    return {
        axis.name: randint(0, len(axis.levels) - 1)
        if axis.ordered
        else choice([str(level) for level in range(len(axis.levels))])
        for axis in grid.axes
    }
