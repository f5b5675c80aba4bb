"""Comparison of the best with the baseline, the first setting that the user knew to work."""

from __future__ import annotations

from dataclasses import dataclass

from dsice.goal import Goal
from dsice.incumbent import standings
from dsice.search.why import Role
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status
from dsice.units import number


@dataclass(frozen=True, slots=True)
class Baseline:
    """A study's baseline and its best trial.

    Attributes:
        trial: represents the baseline: the median of several measurements, see `dsice.incumbent`.
        measured: number of its measurements.
        best: the best trial; None if no point satisfies the bounds.
    """

    trial: Trial
    measured: int
    best: Trial | None

    @classmethod
    def of(cls, study: Study) -> Baseline | None:
        """The baseline of a study; None if it has none."""
        mark = f'"{Role.GIVEN.value}"'.encode()  # to parse only the few reasons that matter
        counts = (t for t in study.trials if t.status is not Status.DISCARDED)
        given = (t for t in counts if mark in t.why_json)
        first = next((t for t in given if t.why and t.why.role is Role.GIVEN), None)
        if first is None:
            return None
        goal = study.goal
        able = study.measured_for(goal)
        same = standings([trial for trial in able if trial.point == first.point], goal)
        trial, measured = (same[0].counted, len(same[0].of)) if same else (first, 0)
        return cls(trial, measured, study.best_for(goal) if able else None)

    def line(self, goal: Goal) -> str:
        """One line on it, for people."""
        name = f"Baseline (trial {self.trial.number})"
        if not self.measured:
            failed = self.trial.status is Status.FAILED
            return f"{name}: {f'failed: {self.trial.reason}' if failed else 'not measured yet'}"
        if not goal.feasible(self.trial.metrics):
            return f"{name}: it breaks the bounds"
        if self.best is None or self.best.point == self.trial.point:
            return f"{name}: nothing better has been found"
        return f"{name}: the best has {gain(goal, self.best, self.trial)}"

    def as_json(self, goal: Goal) -> dict[str, object]:
        """Plain data, for programs."""
        ratio = None
        if self.measured and self.best is not None:
            ours, theirs = (t.metrics[goal.metric] for t in (self.best, self.trial))
            ratio = ours / theirs if theirs else None
        return {
            "trial": self.trial.number,
            "params": self.trial.params,
            "metrics": dict(self.trial.metrics),
            "measured": self.measured,
            "best_to_baseline": ratio,
        }


def gain(goal: Goal, best: Trial, baseline: Trial) -> str:
    """Compare the objectives of two trials: ``seconds 45 % lower (1.83 times less)``."""
    ours, theirs = best.metrics[goal.metric], baseline.metrics[goal.metric]
    way = "lower" if ours < theirs else "higher"
    if ours == theirs:
        return f"the same {goal.metric}"
    if ours * theirs <= 0:
        return f"{goal.metric} {number(abs(ours - theirs))} {way}"
    text = f"{goal.metric} {number(100 * abs(ours - theirs) / abs(theirs))} % {way}"
    ratio = max(ours / theirs, theirs / ours)
    return f"{text} (by a factor of {number(ratio)})" if ratio >= 1.2 else text
