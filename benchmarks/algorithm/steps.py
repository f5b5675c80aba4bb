"""Steps along an axis from the best point: the trials whose line is worth a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.algorithm.moment import Moment
from dsice.grid import Point
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status

_TAKEOVER: Final = 5  # results before which no model is worth a picture


@dataclass(frozen=True)
class Step:
    """A trial that differs from the best point at its proposal on one axis.

    Attributes:
        trial: as it ended.
        moment: when it was proposed.
        base: the best point then.
        axis: the axis.
    """

    trial: Trial
    moment: Moment
    base: Point
    axis: int

    @property
    def line(self) -> list[Point]:
        """All points of the grid on it."""
        return self.moment.line(self.base, self.axis)


def step_of(study: Study, trial: Trial) -> Step | None:
    """The step that a trial is, None if it is none."""
    moment = Moment.before(study, trial)
    base = moment.history.best()
    if base is None or trial.status is not Status.DONE or len(moment.history) < _TAKEOVER:
        return None
    if not study.goal.feasible(moment.metrics(base)):
        return None
    axes = [
        axis for axis, pair in enumerate(zip(base, trial.point, strict=True)) if len({*pair}) > 1
    ]
    return Step(trial, moment, base, axes[0]) if len(axes) == 1 else None


def chosen_step(study: Study) -> Step | None:
    """A telling step: a new best first, then a point under way and many measured on its line."""

    def rank(step: Step) -> tuple[bool, float, int]:
        history, line = step.moment.history, step.line
        after = Moment.before(study, None).history
        waiting = sum(point in step.moment.pending for point in line)
        measured = sum(point in history for point in line)
        improves = after.key(step.trial.point) < history.key(step.base)
        return improves, measured + 1.5 * waiting, -step.trial.number

    long = [axis for axis, levels in enumerate(study.config.grid.axes) if len(levels) > 4]
    steps = [step for trial in study.trials if (step := step_of(study, trial)) is not None]
    return max((step for step in steps if step.axis in long), key=rank, default=None)
