"""Facts about a study and its goal, computed once for figures, tables and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

from dsice.domain import spans_decades
from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.incumbent import Incumbent, Standing, standings
from dsice.report.words import parameter
from dsice.study.facts import Stage, Trial
from dsice.study.state import Study
from dsice.study.summary import metric_text, other_results, repeats_text, seconds_of, time_text
from dsice.study.task import Status
from dsice.text import plain

MOST_SHOWN: Final = 5_000
"""Maximum number of trials that a report shows one by one: they make a page of some 7 MB."""


@dataclass(frozen=True)
class Facts:
    """The facts of a study that its report uses.

    Attributes:
        study: the study.
        goal: its goal, with limits computed as far as possible.
        settled: whether every bound has a limit.
        problem: why a limit cannot be computed; empty if it can, or if its stage has not ended.
        measured: the trials that have every metric of the goal, in the order of proposal.
        incumbents: the best point so far, each time that it changed; empty before `settled`.
        standings: the standing of each measured point, in the order of the trials that stand for
            them; empty before `settled`.
        order: rank of each finished trial in the order of ends, from 1, by trial number.
    """

    study: Study
    goal: Goal
    settled: bool
    problem: str
    measured: tuple[Trial, ...]
    incumbents: tuple[Incumbent[Trial], ...]
    standings: tuple[Standing[Trial], ...]
    order: dict[int, int]
    # By trial number; reading and formatting what 100,000 trials returned takes long.
    _returned: dict[int, dict[str, str]] = field(default_factory=dict, repr=False, compare=False)
    _described: dict[int, str] = field(default_factory=dict, repr=False, compare=False)
    _decades: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, study: Study) -> Self:
        """Compute the facts of a study in any state, even an empty one."""
        problem = ""
        try:
            goal = study.goal
        except InvalidInput as error:
            goal, problem = study.config.goal, str(error)
        settled = all(bound.limit is not None for bound in goal.bounds)
        measured = tuple(t for t in study.with_status(Status.DONE) if _has(t, goal))
        known = measured if settled else ()
        incumbents = tuple(study.incumbents_for(goal)) if known else ()
        return cls(
            study=study,
            goal=goal,
            settled=settled,
            problem=problem,
            measured=measured,
            incumbents=incumbents,
            standings=tuple(standings(known, goal)),
            order={trial.number: place for place, trial in enumerate(study.finished, 1)},
        )

    @cached_property
    def best(self) -> Trial | None:
        """The trial that stands for the best point within all bounds, or None."""
        last = self.incumbents[-1].best if self.incumbents else None
        return last if last is not None and self.goal.feasible(last.metrics) else None

    @cached_property
    def ranking(self) -> list[Trial]:
        """The measured trials, best first; bounds must be `settled`."""
        return sorted(self.measured, key=lambda trial: self.goal.key(trial.metrics))

    @cached_property
    def shown(self) -> tuple[Trial, ...]:
        """The trials that tables and figures show one by one, in the order of proposal.

        All, or of more than `MOST_SHOWN` a selection: those that were the best, good ones, the
        newest, and others. Half of them are taken evenly from all, so that a picture of the whole
        remains.
        """
        trials = self.study.trials
        if len(trials) <= MOST_SHOWN:
            return tuple(trials)
        quarter = MOST_SHOWN // 4
        were_best = (each.best for each in self.incumbents[-quarter:])
        good = self.ranking[: quarter // 2] if self.settled else []
        newest = trials[-(quarter // 2) :]
        evenly = trials[:: -(-len(trials) // (2 * quarter))]
        chosen = {trial.number for trial in (*were_best, *good, *newest, *evenly)}
        return tuple(trial for trial in trials if trial.number in chosen)

    def within(self, trial: Trial) -> bool | None:
        """Whether a trial keeps all bounds; None if unknown."""
        if not self.settled or not _has(trial, self.goal):
            return None
        return self.goal.feasible(trial.metrics)

    @property
    def best_repeats(self) -> str:
        """``median of 3 (4.02 to 8.74)``: how the best point was measured; empty if once."""
        if self.best is None:
            return ""
        return repeats_text(self.incumbents[-1].standing, self.goal.metric)

    @property
    def nearest(self) -> Trial | None:
        """The trial with the smallest violation of the bounds, if none keeps them."""
        return self.incumbents[-1].best if self.incumbents and self.best is None else None

    def spans_decades(self, name: str) -> bool:
        """Whether all figures draw a metric on a logarithmic scale."""
        if name not in self._decades:
            values = [trial.metrics[name] for trial in self.measured]
            self._decades[name] = spans_decades(values)
        return self._decades[name]

    def metric(self, name: str, value: float) -> str:
        """Format a measured metric, the same way everywhere."""
        return metric_text(name, value, self.goal)

    @property
    def starting_points(self) -> list[Stage]:
        """The stages that ended with a value of the objective, where tuning started."""
        return [
            stage
            for name in self.study.config.stages
            if (stage := self.study.stages.get(name)) is not None
            and stage.status is Status.DONE
            and _finite(stage.metrics.get(self.goal.metric))
        ]

    @property
    def metric_names(self) -> list[str]:
        """The names that trials returned: the goal's metrics, then others as they appeared."""
        names = dict.fromkeys(self.goal.metrics)
        for trial in self.shown:
            names.update(dict.fromkeys(self.returned(trial)))
        return list(names)

    def returned(self, trial: Trial) -> dict[str, str]:
        """All that a trial returned, as text: metrics, and values that are not finite numbers."""
        if (found := self._returned.get(trial.number)) is None:
            metrics = {name: self.metric(name, value) for name, value in trial.metrics.items()}
            found = self._returned[trial.number] = metrics | other_results(trial)
        return found

    def state(self, trial: Trial) -> str:
        """The state of a trial in a few words."""
        if trial is self.best:
            return "best"
        within = self.within(trial) if self.goal.bounds else None
        states = {True: "within the bounds", False: "outside the bounds", None: trial.status.value}
        return states[within]

    def describe(self, trial: Trial) -> str:
        """A trial in a few short lines, for the tooltip of a point."""
        if (found := self._described.get(trial.number)) is None:
            found = self._described[trial.number] = self._description(trial)
        return found

    def _description(self, trial: Trial) -> str:
        repeats = f", {self.best_repeats}" if trial is self.best and self.best_repeats else ""
        lines = [f"Trial {trial.number}: {self.state(trial)}{repeats}"]
        if trial.reason:
            lines.append(plain(trial.reason, 200))
        returned = self.returned(trial).items()
        lines += [f"{plain(name, 60)}: {plain(text, 60)}" for name, text in returned]
        lines += [f"{name} = {parameter(value)}" for name, value in trial.params.items()]
        if seconds_of(trial):
            lines.append(f"took {time_text(trial)}")
        return "\n".join(lines)


def _has(trial: Trial, goal: Goal) -> bool:
    return all(_finite(trial.metrics.get(name)) for name in goal.metrics)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
