"""Explanation of one trial: why it was proposed, what was predicted, what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dsice.explain.line import TrialLine, line_of
from dsice.explain.moment import known_before, result
from dsice.explain.walk import Step
from dsice.goal import Goal, Metrics
from dsice.grid import Params
from dsice.search.history import History
from dsice.search.why import Estimate, Forecast, Why
from dsice.study.state import Study
from dsice.study.task import Status


class Came(StrEnum):
    """How a measurement compares with the estimate of it."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one trial.

    Attributes:
        trial: its number.
        params: parameter values.
        status: how far it has come.
        reason: why it failed, if it did.
        why: why it was proposed, from the journal; None in older journals.
        best_before: the trials that had measured the point that the search took for the best when
            this one was proposed.
        best_metrics: what they had measured by then, on average.
        pending: the trials under way then.
        metrics: what the trial measured; empty if it failed or has not ended.
        feasible: whether it keeps the bounds; None without metrics.
        improved: whether it made its point the best of all that had ended by then.
        line: the line on which it was found, if on one.
    """

    trial: int
    params: Params
    status: Status
    reason: str
    why: Why | None
    best_before: tuple[int, ...]
    best_metrics: Metrics | None
    pending: tuple[int, ...]
    metrics: Metrics
    feasible: bool | None
    improved: bool
    line: TrialLine | None

    @property
    def forecast(self) -> Forecast | None:
        """The forecast at its point, or None."""
        return None if self.why is None else self.why.forecast

    def came(self, goal: Goal) -> Came | None:
        """The measurement relative to the forecast; None without one of them."""
        if self.forecast is None or not self.metrics:
            return None
        value = self.metrics.get(goal.metric, 0.0)
        if self.forecast.quantity != goal.metric:
            value = goal.violation(self.metrics)
        return _came(value, self.forecast.estimate)


def explanation_of(study: Study, number: int, walk: Sequence[Step]) -> Explanation:
    """Explain a trial.

    Args:
        study: as it stands.
        number: of the trial, from 1.
        walk: the incumbents of the study, see `dsice.explain.walk`.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    trial = study.trials[number - 1]
    goal = study.goal
    before, pending = known_before(study, trial)
    # As the search noted it; for an older journal it is computed.
    why = trial.why
    program = study.config.grid.program
    known = before
    if why is not None:
        same = None if why.best is None else program(why.best)
        known = [each for each in before if program(each.point) == same]
    history = History(study.config.grid, goal)
    for each in known:
        history.add(each.point, result(each))
    best = history.best() if why is None else why.best
    measured = trial.status is Status.DONE and goal.missing(trial.metrics) is None
    return Explanation(
        trial=number,
        params=trial.params,
        status=trial.status,
        reason=trial.reason,
        why=why,
        best_before=tuple(t.number for t in before if t.point == best),
        best_metrics=None if best is None else history.metrics(best),
        pending=pending,
        metrics=trial.metrics if measured else {},
        feasible=goal.feasible(trial.metrics) if measured else None,
        improved=any(step.by == number and step.improved for step in walk),
        line=line_of(study, number, before),
    )


def _came(value: float, estimate: Estimate) -> Came:
    if value < estimate.low:
        return Came.BELOW
    return Came.ABOVE if value > estimate.high else Came.WITHIN
