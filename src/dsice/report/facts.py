"""What the report says about a study's goal, worked out once for figures, tables and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.report.words import number, parameter, plain
from dsice.study.state import Stage, Status, Study, Trial
from dsice.units import duration


@dataclass(frozen=True, slots=True)
class Facts:
    """A study as its report sees it.

    Attributes:
        study: as it stands.
        goal: with its limits worked out, as far as they can be.
        settled: whether every bound has a limit.
        problem: why a limit cannot be worked out; empty if it can, or if its stage has not ended.
        measured: the trials that have every metric of the goal, in the order of proposal.
        best: the best of those that keep all bounds, or None.
        order: place of each finished trial in the order of their ends, from 1, by trial number.
    """

    study: Study
    goal: Goal
    settled: bool
    problem: str
    measured: tuple[Trial, ...]
    best: Trial | None
    order: dict[int, int]

    @classmethod
    def of(cls, study: Study) -> Self:
        """The facts of a study in any state, an empty one included."""
        problem = ""
        try:
            goal = study.goal
        except InvalidInput as error:
            goal, problem = study.config.goal, str(error)
        settled = all(bound.limit is not None for bound in goal.bounds)
        measured = tuple(t for t in study.with_status(Status.DONE) if _has(t, goal))
        return cls(
            study=study,
            goal=goal,
            settled=settled,
            problem=problem,
            measured=measured,
            best=study.best_for(goal) if settled and measured else None,
            order={trial.number: place for place, trial in enumerate(study.finished, 1)},
        )

    def within(self, trial: Trial) -> bool | None:
        """Whether a trial keeps all bounds; None if that cannot be told."""
        if not self.settled or not _has(trial, self.goal):
            return None
        return self.goal.feasible(trial.metrics)

    @property
    def nearest(self) -> Trial | None:
        """The trial that comes nearest to keeping the bounds, where none keeps them."""
        if self.best is not None or not self.settled:
            return None
        return min(self.measured, key=lambda t: self.goal.violation(t.metrics), default=None)

    @property
    def starting_points(self) -> list[Stage]:
        """The stages that ended with a value of the objective: where tuning started from."""
        return [
            stage
            for name in self.study.config.stages
            if (stage := self.study.stages.get(name)) is not None
            and stage.status is Status.DONE
            and _finite(stage.metrics.get(self.goal.metric))
        ]

    @property
    def metric_names(self) -> list[str]:
        """All metrics of trials: those of the goal first, the others as they came up."""
        names = dict.fromkeys(self.goal.metrics)
        for trial in self.study.trials:
            names.update(dict.fromkeys(trial.metrics))
        return list(names)

    def state(self, trial: Trial) -> str:
        """What has become of a trial, in a few words."""
        if trial is self.best:
            return "best"
        within = self.within(trial) if self.goal.bounds else None
        states = {True: "within the bounds", False: "outside the bounds", None: trial.status.value}
        return states[within]

    def describe(self, trial: Trial) -> str:
        """A trial in a few short lines, for the label that shows beside a point."""
        lines = [f"Trial {trial.number}: {self.state(trial)}"]
        if trial.reason:
            lines.append(plain(trial.reason, 200))
        lines += [f"{plain(name, 60)}: {number(v)}" for name, v in trial.metrics.items()]
        lines += [f"{name} = {parameter(value)}" for name, value in trial.params.items()]
        if trial.seconds:
            lines.append(f"took {duration(trial.seconds)}")
        return "\n".join(lines)


def _has(trial: Trial, goal: Goal) -> bool:
    return all(_finite(trial.metrics.get(name)) for name in goal.metrics)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
