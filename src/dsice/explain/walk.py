"""The incumbents over time, and what each kind of proposal contributed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from dsice.grid import Params, Point
from dsice.incumbent import Incumbent
from dsice.search.why import Role
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.summary import repeats_text
from dsice.study.task import Status


@dataclass(frozen=True, slots=True)
class Step:
    """A point that became the best so far, see `dsice.incumbent`.

    Attributes:
        trial: the trial that stands for the point: the median of its measurements up to the next
            step, or to now.
        by: the trial whose end made it the best.
        improved: whether `by` measured this point; otherwise it measured the best before once more,
            and that point became worse.
        ended: how many trials had ended then, that one included.
        value: the objective that `trial` measured.
        repeats: how the point was measured, such as ``median of 3 (4.02 to 8.74)``; empty if once.
        feasible: whether it keeps the bounds; while none does, less violation is better.
        violation: see `dsice.goal.Goal.violation`.
        point: level indices.
        params: parameter values.
        changed: names of the axes on which it differs from the best before.
        role: what `by` was proposed for; None if the journal does not say.
    """

    trial: int
    by: int
    improved: bool
    ended: int
    value: float
    repeats: str
    feasible: bool
    violation: float
    point: Point
    params: Params
    changed: tuple[str, ...]
    role: Role | None


@dataclass(frozen=True, slots=True)
class RoleCount:
    """How often the proposals of one role improved the best.

    Attributes:
        role: None for those of a journal that does not say.
        proposed: how many there were.
        measured: how many of them measured something.
        improved: how many of them were better than all before.
    """

    role: Role | None
    proposed: int
    measured: int
    improved: int


def walk_of(study: Study, incumbents: Sequence[Incumbent[Trial]] | None = None) -> tuple[Step, ...]:
    """The incumbents, in the order in which trials ended.

    Args:
        study: as it stands.
        incumbents: those of its goal, where they are known already.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    goal, names = study.goal, study.config.grid.names
    order = {trial.number: place for place, trial in enumerate(study.finished, 1)}
    found = study.incumbents_for(goal) if incumbents is None else incumbents
    steps: list[Step] = []
    for _, group in itertools.groupby(found, key=lambda each: each.best.point):
        first, *later = group
        last = later[-1] if later else first
        best = last.best
        params = best.params
        before = steps[-1].params if steps else params
        steps.append(
            Step(
                trial=best.number,
                by=first.latest.number,
                improved=first.latest.point == best.point,
                ended=order[first.latest.number],
                value=best.metrics[goal.metric],
                repeats=repeats_text(last.standing, goal.metric),
                feasible=goal.feasible(best.metrics),
                violation=goal.violation(best.metrics),
                point=best.point,
                params=params,
                changed=tuple(n for n in names if before.get(n) != params.get(n)),
                role=_role(first.latest),
            )
        )
    return tuple(steps)


def roles_of(study: Study, walk: Sequence[Step]) -> tuple[RoleCount, ...]:
    """How often each role was proposed, and how often it improved the best."""
    improved = {step.by for step in walk if step.improved}
    by_role: dict[Role | None, list[Trial]] = {role: [] for role in (*Role, None)}
    for trial in study.trials:
        by_role[_role(trial)].append(trial)
    return tuple(
        RoleCount(
            role=role,
            proposed=len(trials),
            measured=sum(trial.status is Status.DONE for trial in trials),
            improved=sum(trial.number in improved for trial in trials),
        )
        for role, trials in by_role.items()
        if trials
    )


def _role(trial: Trial) -> Role | None:
    return None if trial.why is None else trial.why.role
