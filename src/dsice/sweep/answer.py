"""The best trial at every bound of a range, from one history, and how certain that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from dsice.explain.moment import replayed
from dsice.front import hypervolume
from dsice.goal import Goal
from dsice.grid import Params
from dsice.incumbent import standings
from dsice.search.asynchronous import Dsice
from dsice.search.why import Prospect
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.swept import Swept

ROWS: Final = 12  # bounds, if nobody chooses others
# Of what the objective changes over the range: what one more trial is expected to gain at a bound
# that is well explored, at most.
WELL: Final = 0.01


class Evidence(StrEnum):
    """How good the answer at a bound is."""

    WELL = "well explored"
    """One more trial is expected to gain next to nothing."""
    THIN = "thin"
    """It is expected to gain more than that."""
    NONE = "nothing yet"
    """No trial keeps the bound."""
    UNKNOWN = "too few trials"
    """Too little is known for an expectation."""


@dataclass(frozen=True, slots=True)
class Row:
    """The answer at one bound.

    Attributes:
        limit: of the bound.
        trial: number of the best trial that keeps it; None if none does.
        objective: what that trial measured.
        margin: by how much it keeps the bound, in the bounded metric's units.
        near: how many measured trials lie within one step of the rows of the bound.
        gain: expected improvement by one more trial at the most promising point; None if nothing is
            measured that it could improve on.
        chance: probability that this point keeps the bounds.
        params: of this point.
        evidence: how good the answer is.
    """

    limit: float
    trial: int | None
    objective: float | None
    margin: float | None
    near: int
    gain: float | None
    chance: float | None
    params: Params | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers over a range of bounds, strictest first.

    Attributes:
        goal: the goal for the whole range.
        swept: the bounded metric, with both ends of the range.
        rows: one for each bound.
        front: the trials that no other beats at every bound.
        measured: number of trials measured.
        reference: objective and bound up to which the hypervolume counts: the worst objective of a
            trial that keeps the loosest bound, and that bound.
        hypervolume: the area between it and the front: what the best objective at a bound gains on
            the reference, over all bounds of the range.
    """

    goal: Goal
    swept: Swept
    rows: tuple[Row, ...]
    front: tuple[Trial, ...]
    measured: int
    reference: tuple[float, float]
    hypervolume: float

    @property
    def thin(self) -> list[Row]:
        """The bounds at which more trials are expected to improve the best."""
        return [row for row in self.rows if row.evidence in (Evidence.THIN, Evidence.NONE)]

    def as_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return {
            "goal": str(self.goal),
            "bounds": [{"bound": self.swept.bound(row.limit), **asdict(row)} for row in self.rows],
            "front": [
                {"trial": t.number, "params": t.params, "metrics": dict(t.metrics)}
                for t in self.front
            ],
            "measured": self.measured,
            "hypervolume": self.hypervolume,
            "reference": {
                self.goal.metric: self.reference[0],
                self.swept.metric: self.reference[1],
            },
        }


def answer_of(study: Study, swept: Swept, limits: Sequence[float] = ()) -> Answer | None:
    """What the trials of a study say over a range of bounds; None if no trial keeps any of them.

    Args:
        study: with measured trials.
        swept: the range; open ends are those of the front.
        limits: the bounds to answer, instead of a dozen evenly spaced ones.

    Raises:
        InvalidInput: a bound of the study waits for the result of a stage.
    """
    goal = study.goal.over(swept)
    front = study.front_for(goal)
    if not front:
        return None
    if not swept.closed:
        swept = _closed(swept, front)
        goal = study.goal.over(swept)
        front = study.front_for(goal)
    assert swept.strictest is not None
    assert swept.loosest is not None
    chosen = list(limits) or np.linspace(swept.strictest, swept.loosest, ROWS).tolist()
    chosen = sorted(set(chosen), key=lambda limit: swept.sign * limit)
    search = Dsice(
        study.config.grid, goal, seed=study.config.seed, capacity=study.config.run.under_way
    )
    replayed(search, study)
    prospects = search.prospects([[limit] for limit in chosen])
    measured = study.measured_for(goal)
    # As the front, and the best at each bound, count points: by the median of their measurements.
    points = [standing.counted for standing in standings(measured, goal)]
    kept = [trial for trial in points if goal.feasible(trial.metrics)]
    worst = max(kept, key=lambda trial: goal.cost(trial.metrics))
    costs = np.array([goal.costs(trial.metrics) for trial in kept])
    strictest = swept.sign * swept.strictest
    area = hypervolume(
        np.maximum(costs, [-np.inf, strictest]),
        (goal.cost(worst.metrics), swept.sign * swept.loosest),
    )
    return Answer(
        goal=goal,
        swept=swept,
        rows=tuple(_rows(study, goal, swept, chosen, measured, prospects)),
        front=tuple(front),
        measured=len(measured),
        reference=(worst.metrics[goal.metric], swept.loosest),
        hypervolume=area,
    )


def _closed(swept: Swept, front: Sequence[Trial]) -> Swept:
    """``swept`` from one end of the front to the other."""
    strictest, loosest = (trial.metrics[swept.metric] for trial in (front[0], front[-1]))
    return Swept(swept.metric, swept.relation, strictest, loosest)


def _rows(
    study: Study,
    goal: Goal,
    swept: Swept,
    limits: Sequence[float],
    measured: Sequence[Trial],
    prospects: Sequence[Prospect] | None,
) -> list[Row]:
    values = np.array([trial.metrics[swept.metric] for trial in measured])
    step = (max(limits) - min(limits)) / max(len(limits) - 1, 1)
    bests = [study.best_for(goal.over(_at(swept, limit))) for limit in limits]
    found = [trial.metrics[goal.metric] for trial in bests if trial is not None]
    # What the objective changes over the range; along a flat front, over all that was measured.
    everything = [trial.metrics[goal.metric] for trial in measured]
    span = np.ptp(found) if found else 0.0
    span = float(span or np.median(np.abs(np.array(everything) - np.median(everything))))
    rows = []
    for k, (limit, best) in enumerate(zip(limits, bests, strict=True)):
        prospect = None if prospects is None else prospects[k]
        point = None if prospect is None else prospect.point
        gain = 0.0 if prospect is None else prospect.gain
        rows.append(
            Row(
                limit=float(limit),
                trial=None if best is None else best.number,
                objective=None if best is None else best.metrics[goal.metric],
                margin=None if best is None else swept.sign * (limit - best.metrics[swept.metric]),
                near=int((np.abs(values - limit) <= step).sum()),
                gain=None if prospect is None or best is None else gain,
                chance=None if point is None or prospect is None else prospect.chance,
                params=None if point is None else study.config.grid.params(point),
                evidence=_evidence(best, prospect, gain, span),
            )
        )
    return rows


def _at(swept: Swept, limit: float) -> Swept:
    """One limit alone."""
    return Swept(swept.metric, swept.relation, limit, limit)


def _evidence(best: Trial | None, prospect: Prospect | None, gain: float, span: float) -> Evidence:
    if best is None:
        return Evidence.NONE
    if prospect is None:
        return Evidence.UNKNOWN
    return Evidence.THIN if gain > WELL * span else Evidence.WELL
