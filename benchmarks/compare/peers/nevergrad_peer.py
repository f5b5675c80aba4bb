"""Nevergrad's optimizers, by its ask-and-tell interface."""

from __future__ import annotations

from typing import Any, Final

import nevergrad as ng
import numpy as np

from benchmarks.compare.peers.base import Escape, Handles, Peer, Penalty, Task
from dsice.goal import Metrics
from dsice.grid import Axis, Point

PATIENCE: Final = 20


class Nevergrad(Peer):
    """Any optimizer of its registry; it is told the budget and the number of workers.

    An ordered axis is a ``TransitionChoice``, an unordered one a ``Choice``. A bound is told as a
    constraint violation, a failure as the worst cost so far.
    """

    def __init__(self, task: Task, optimizer: str) -> None:
        np.random.seed(task.seed)
        space = ng.p.Tuple(*map(_parameter, task.grid.axes))
        space.random_state.seed(task.seed)
        make = ng.optimizers.registry[optimizer]
        self._optimizer = make(space, budget=task.budget, num_workers=task.workers)
        self._goal = task.goal
        self._penalty = Penalty(task.goal)
        self._candidates = Handles()
        self._escape = Escape(task.grid, task.seed, PATIENCE)

    def ask(self) -> Point | None:
        if (new := self._escape.due()) is not None:
            self._optimizer.suggest(new)
        candidate = self._optimizer.ask()
        point = tuple(int(level) for level in candidate.value)
        self._escape.note(point)
        return self._candidates.add(point, candidate)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        candidate = self._candidates.take(point)
        if metrics is None:
            self._optimizer.tell(candidate, self._penalty.cost(None))
            return
        self._penalty.cost(metrics)
        violation = self._goal.violation(metrics)
        self._optimizer.tell(
            candidate, self._goal.cost(metrics), [violation] if violation else None
        )


def _parameter(axis: Axis) -> Any:
    make = ng.p.TransitionChoice if axis.ordered else ng.p.Choice
    return make(range(len(axis.levels)))
