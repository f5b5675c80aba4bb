"""DeepHyper's centralised Bayesian optimisation, by its ask-and-tell interface."""

from __future__ import annotations

import logging
import tempfile
from typing import Any, Final

import numpy as np
import pandas as pd
from deephyper.hpo import CBO, HpProblem

from benchmarks.compare.peers.base import Escape, Peer, Penalty, Task, values
from dsice.goal import Metrics
from dsice.grid import Grid, Point

PATIENCE: Final = 1
"""Repeats before a random new point: until the next result it proposes the same point again."""


class DeepHyper(Peer):
    """Extremely randomised trees and UCB, as by default.

    It is told a result and asked for a point, as in its own loop, where points under way only keep
    it from proposing them again. An ordered axis is an integer, an unordered one categorical. The
    static rule is its constraint function, a failure the objective "F", without a limit to their
    number, and a bound a penalty.

    Args:
        task: see `Task`.
        options: of its ``CBO``.
    """

    def __init__(self, task: Task, **options: Any) -> None:
        logging.getLogger("deephyper").setLevel(logging.CRITICAL)
        self._folder = tempfile.TemporaryDirectory(prefix="deephyper-")
        self._grid = task.grid
        self._search = CBO(
            problem(task.grid, task.seed),
            random_state=task.seed,
            log_dir=self._folder.name,
            checkpoint_history_to_csv=False,
            acq_optimizer_kwargs={"max_total_failures": -1},
            **options,
        )
        self._penalty = Penalty(task.goal)
        self._escape = Escape(task.grid, task.seed, PATIENCE)

    @property
    def search(self) -> CBO:
        """Theirs, to be prepared before the first `ask`."""
        return self._search

    def ask(self) -> Point | None:
        point = self._escape.due()
        if point is None:
            (found,) = self._search.ask(1)
            point = tuple(int(found[name]) for name in self._grid.names)
        self._escape.note(point)
        return point

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        objective = "F" if metrics is None else -self._penalty.cost(metrics)
        self._search.tell([(values(self._grid, point), objective)])

    def close(self) -> None:
        self._folder.cleanup()


def problem(grid: Grid, seed: int) -> HpProblem:
    """The grid as DeepHyper's problem, with its static rule."""
    made = HpProblem(seed=seed)
    for axis in grid.axes:
        n = len(axis.levels)
        made.add_hyperparameter(
            (0, n - 1) if axis.ordered else [str(level) for level in range(n)], axis.name
        )
    if grid.rule is not None:
        allowed = np.zeros(grid.shape, dtype=bool)
        allowed[tuple(zip(*grid, strict=True))] = True

        def allows(rows: pd.DataFrame) -> pd.Series[bool]:
            columns = (rows[name].astype(int).to_numpy() for name in grid.names)
            return pd.Series(allowed[tuple(columns)], index=rows.index)

        made.set_constraint_fn(allows)
    return made
