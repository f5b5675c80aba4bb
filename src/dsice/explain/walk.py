"""The walk of the best point over the grid, and what each kind of proposal gave."""

from __future__ import annotations

from dataclasses import dataclass

from dsice.explain.moment import result
from dsice.grid import Params, Point
from dsice.search.history import History
from dsice.search.why import Role
from dsice.study.state import Status, Study, Trial


@dataclass(frozen=True, slots=True)
class Step:
    """A trial that was better than all that had ended before.

    Attributes:
        trial: its number.
        ended: how many trials had ended then, this one included.
        value: the objective it measured.
        feasible: whether it keeps the bounds; while none does, less violation is better.
        violation: see `dsice.goal.Goal.violation`.
        point: level indices.
        params: parameter values.
        changed: names of the axes on which it differs from the best before.
        role: what it was proposed for; None if the journal does not say.
    """

    trial: int
    ended: int
    value: float
    feasible: bool
    violation: float
    point: Point
    params: Params
    changed: tuple[str, ...]
    role: Role | None


@dataclass(frozen=True, slots=True)
class RoleCount:
    """What the proposals of one role gave.

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


def walk_of(study: Study) -> tuple[Step, ...]:
    """The walk of the best point, in the order in which trials ended.

    Raises:
        InvalidInput: a bound waits for the result of a stage.
    """
    grid, goal = study.config.grid, study.goal
    history = History(grid, goal)
    steps: list[Step] = []
    for place, trial in enumerate(study.finished, 1):
        metrics = result(trial)
        if metrics is not None and goal.missing(metrics) is not None:
            continue
        history.add(trial.point, metrics)
        if metrics is None or (steps and history.key(trial.point) >= history.key(steps[-1].point)):
            continue
        before = steps[-1].point if steps else trial.point
        pairs = zip(grid.names, before, trial.point, strict=True)
        steps.append(
            Step(
                trial=trial.number,
                ended=place,
                value=metrics[goal.metric],
                feasible=goal.feasible(metrics),
                violation=goal.violation(metrics),
                point=trial.point,
                params=trial.params,
                changed=tuple(name for name, a, b in pairs if a != b),
                role=_role(trial),
            )
        )
    return tuple(steps)


def roles_of(study: Study) -> tuple[RoleCount, ...]:
    """How often each role was proposed, and how often it improved the best."""
    improved = {step.trial for step in walk_of(study)}
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
