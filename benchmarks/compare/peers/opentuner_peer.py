"""OpenTuner, by its interface for programs that keep the loop to themselves."""

from __future__ import annotations

import logging
import math
import random
import tempfile
from pathlib import Path
from typing import Any, Final

import opentuner
from opentuner import tuningrunmain
from opentuner.api import TuningRunManager
from opentuner.measurement import MeasurementInterface
from opentuner.measurement.inputmanager import FixedInputManager
from opentuner.resultsdb.models import Result
from opentuner.search.manipulator import (
    ConfigurationManipulator,
    EnumParameter,
    IntegerParameter,
)
from opentuner.search.objective import MinimizeTime, ThresholdAccuracyMinimizeTime

from benchmarks.compare.peers.base import Handles, Peer, Task
from dsice.goal import Metrics
from dsice.grid import Point

TRIES: Final = 200
"""Generations without a new point before a worker is left idle."""


class OpenTuner(Peer):
    """The default bandit of techniques; its database lives in a temporary folder.

    One request at a time is generated, so that each knows all results so far. An ordered axis is an
    integer, an unordered one an enumeration. A failure is an error, a bound is the accuracy of its
    objective "minimise time, reach an accuracy".
    """

    def __init__(self, task: Task) -> None:
        random.seed(task.seed)
        self._goal = task.goal
        self._folder = tempfile.TemporaryDirectory(prefix="opentuner-")
        self._requests = Handles()
        database = Path(self._folder.name) / "results.db"
        parser = opentuner.default_argparser()
        args = parser.parse_args(
            ["--no-dups", "--parallelism=1", f"--database=sqlite:///{database}"]
        )
        manipulator = ConfigurationManipulator()
        for axis in task.grid.axes:
            levels = list(range(len(axis.levels)))
            manipulator.add_parameter(
                IntegerParameter(axis.name, 0, levels[-1])
                if axis.ordered
                else EnumParameter(axis.name, levels)
            )
        interface = _Interface(
            args,
            manipulator=manipulator,
            objective=_objective(task),
            input_manager=FixedInputManager(),
        )
        self._names = task.grid.names
        _quietly()
        self._manager = TuningRunManager(interface, args)

    def ask(self) -> Point | None:
        for _ in range(TRIES):
            try:
                request = self._manager.get_next_desired_result()
            except ValueError:
                # Its differential evolution compares with points whose results are still to come.
                continue
            if request is not None:
                values = request.configuration.data
                return self._requests.add(tuple(int(values[n]) for n in self._names), request)
        return None

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        if metrics is None:
            result = Result(state="ERROR", time=math.inf, accuracy=-math.inf)
        else:
            accuracy = -metrics[self._goal.bounds[0].metric] if self._goal.bounds else None
            result = Result(time=self._goal.cost(metrics), accuracy=accuracy)
        self._manager.report_result(self._requests.take(point), result)

    def close(self) -> None:
        self._manager.session.close()
        self._manager.engine.dispose()
        self._folder.cleanup()


class _Interface(MeasurementInterface):  # type: ignore[misc]
    """The loop is ours: nothing is run from here."""

    def run(self, *_: Any) -> None:
        raise NotImplementedError


def _objective(task: Task) -> Any:
    if not task.goal.bounds:
        return MinimizeTime()
    limit = task.goal.bounds[0].limit
    assert limit is not None
    return ThresholdAccuracyMinimizeTime(-limit)


def _quietly() -> None:
    """It would log to the terminal and to a file in the current folder."""
    tuningrunmain.init_logging = lambda: None
    logging.getLogger("opentuner").setLevel(logging.CRITICAL)
