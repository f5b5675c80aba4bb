"""Finalists: choosing the best trials for full length, and comparing short and long results.

Shortened trials rank points well enough to guide the search, but not to choose among the best few.
Their quality is the rank correlation of short and long results over the finalists, with its
confidence interval; three finalists do not allow a conclusion.

Source of the interval: D. G. Bonett, T. A. Wright, "Sample size requirements for estimating
Pearson, Kendall and Spearman correlations", Psychometrika 65 (2000), doi 10.1007/BF02294183.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dsice.goal import Goal
from dsice.search.base import Search
from dsice.study.facts import Finalist, Trial
from dsice.study.results import Results
from dsice.study.task import Status
from dsice.units import number

_FEW: Final = 4  # minimum number of finalists for an interval
_NORMAL: Final = 1.959964  # quantile for 95 %


def chosen(study: Results, search: Search | None, count: int) -> list[Trial]:
    """The ``count`` best trials, best first, by the model's prediction at their points.

    Points that satisfy the bounds with a probability of at least one half come first. Without a
    model, and among equals, measurements decide.
    """
    goal = study.goal
    points: dict[object, Trial] = {}
    for trial in study.measured_for(goal):
        rival = points.get(trial.point)
        if rival is None or goal.key(trial.metrics) < goal.key(rival.metrics):
            points[trial.point] = trial
    trials = [trial for trial in points.values() if goal.feasible(trial.metrics)]
    forecasts = search.forecast([trial.point for trial in trials]) if search and trials else None

    def key(index: int) -> tuple[bool, float, float]:
        measured = goal.cost(trials[index].metrics)
        if forecasts is None:
            return (False, measured, measured)
        forecast = forecasts[index]
        kept = math.prod(bound.probability for bound in forecast.bounds)
        mean = forecast.estimate.mean
        return (kept < 0.5, mean if goal.maximize is None else -mean, measured)

    return [trials[index] for index in sorted(range(len(trials)), key=key)[:count]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Short and long results of the finalists that were measured.

    Attributes:
        finalists: in the order of their short results, best first.
        best: the one with the best long result that satisfies the bounds, or None.
        correlation: Spearman's rank correlation of the objective between short and long; None with
            fewer than three finalists.
        low: lower end of its 95 % confidence interval; None with fewer than four.
        high: upper end, likewise.
    """

    finalists: tuple[Finalist, ...]
    best: Finalist | None
    correlation: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, study: Results) -> Comparison:
        """Compare the finalists of a study so far."""
        goal = study.goal
        done = [
            finalist
            for finalist in study.finalists.values()
            if finalist.status is Status.DONE and goal.missing(finalist.metrics) is None
        ]
        done.sort(key=lambda each: goal.key(each.trial.metrics))
        kept = [each for each in done if goal.feasible(each.metrics)]
        best = min(kept, key=lambda each: goal.cost(each.metrics), default=None)
        if len(done) < _FEW - 1:
            return cls(tuple(done), best, None, None, None)
        from scipy.stats import spearmanr  # slow to load

        short = [goal.cost(each.trial.metrics) for each in done]
        long = [goal.cost(each.metrics) for each in done]
        if len(set(short)) == 1 or len(set(long)) == 1:
            return cls(tuple(done), best, None, None, None)
        found = float(spearmanr(short, long).statistic)
        if len(done) < _FEW:
            return cls(tuple(done), best, found, None, None)
        middle = math.atanh(min(max(found, -0.999999), 0.999999))
        apart = _NORMAL * math.sqrt((1 + found**2 / 2) / (len(done) - 3))
        low, high = math.tanh(middle - apart), math.tanh(middle + apart)
        return cls(tuple(done), best, found, low, high)

    def as_json(self) -> dict[str, object]:
        """Plain data, for programs."""
        return {
            "trials": [
                {
                    "trial": each.trial.number,
                    "params": dict(each.params),
                    "short": dict(each.trial.metrics),
                    "long": dict(each.metrics),
                }
                for each in self.finalists
            ],
            "best": None if self.best is None else self.best.trial.number,
            "correlation": self.correlation,
            "interval": None if self.low is None else [self.low, self.high],
        }

    def lines(self, goal: Goal) -> list[str]:
        """The comparison as lines for people; empty without finalists."""
        found = [
            f"{'best ' if each is self.best else ''}finalist: trial {each.trial.number}: "
            f"{goal.metric} {number(each.metrics[goal.metric])} at full length, "
            f"{number(each.trial.metrics[goal.metric])} in the search"
            + ("" if goal.feasible(each.metrics) else " (out of bounds)")
            for each in self.finalists
        ]
        return [*found, self.verdict] if found else []

    @property
    def verdict(self) -> str:
        """The conclusion on short and long trials, as a sentence; empty without finalists."""
        if not self.finalists:
            return ""
        if self.correlation is None:
            return "Too few finalists to say how well short trials foretell long ones."
        text = f"Short and long results have a rank correlation of {self.correlation:.2f}"
        if self.low is None or self.high is None:
            return f"{text}; of so few finalists nothing can be concluded from that."
        text += f" (95 % interval {self.low:.2f} to {self.high:.2f})"
        if self.low > 0:
            return f"{text}: short trials foretell long ones."
        return f"{text}: whether short trials foretell long ones cannot be concluded."
