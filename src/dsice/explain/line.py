"""The line on which a trial was found: forecasts and measurements along it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dsice.explain.moment import search_before
from dsice.grid import Grid, Params, Point
from dsice.search.why import Estimate, Forecast, Ray
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status

MOST: Final = 128  # positions of a long line that are shown, besides those that were measured


class When(StrEnum):
    """When a trial on a line was proposed, relative to the trial that is explained."""

    BEFORE = "before"
    """Measured before it was proposed."""
    PENDING = "pending"
    """Under way when it was proposed."""
    ITSELF = "itself"
    """The trial that is explained."""
    LATER = "later"
    """Proposed after it."""


@dataclass(frozen=True, slots=True)
class OnLine:
    """A trial on a line.

    Attributes:
        trial: its number.
        when: as seen from the trial that is explained.
        value: the objective it measured; None if it failed or has not ended.
        feasible: whether it keeps the bounds; None without a value.
        status: how far it has come.
    """

    trial: int
    when: When
    value: float | None
    feasible: bool | None
    status: Status


@dataclass(frozen=True, slots=True)
class Position:
    """One point of a line.

    Attributes:
        step: steps from the point that the line was laid through; on an axis without an order, the
            level.
        point: level indices.
        params: parameter values.
        forecast: the prediction there when the trial was proposed, or None.
        trials: the trials there, in the order of proposal.
    """

    step: int
    point: Point
    params: Params
    forecast: Forecast | None
    trials: tuple[OnLine, ...]

    @property
    def expected(self) -> Estimate | None:
        """What was expected of the objective (or, before anything was feasible, the violation)."""
        return None if self.forecast is None else self.forecast.estimate


@dataclass(frozen=True, slots=True)
class TrialLine:
    """The line on which a trial was found.

    Attributes:
        trial: the trial's number.
        axes: names of the axes that change along it.
        direction: levels per step on each of `axes`; 0 on an axis without an order.
        through: the point that the line was laid through.
        through_trial: the trial that had measured it by then; None if the model led there.
        through_best: whether it was the best point measured then.
        quantity: what was expected along it: the objective's name, or ``violation``.
        positions: the allowed points on it, in order.
    """

    trial: int
    axes: tuple[str, ...]
    direction: tuple[float, ...]
    through: Point
    through_trial: int | None
    through_best: bool
    quantity: str
    positions: tuple[Position, ...]


def line_of(study: Study, number: int, before: Sequence[Trial]) -> TrialLine | None:
    """The line on which a trial was found.

    Forecasts come from the search in its state at that time, which the journal determines.

    Args:
        study: as it stands.
        number: of the trial, from 1.
        before: the trials with a measurement when it was proposed, in the order of their ends.

    Returns:
        None if the trial was found on no line, or its journal does not say.
    """
    trial = study.trials[number - 1]
    why = trial.why
    if why is None or why.line is None:
        return None
    grid, ray = study.config.grid, why.line
    places = _places(ray, trial.point, grid)
    there: dict[Point, list[Trial]] = {}
    for each in study.trials:
        there.setdefault(each.point, []).append(each)
    steps = _shown(places, lambda point: point in there)
    if len(steps) < 2:
        return None
    points = [places[step] for step in steps]
    forecasts = search_before(study, trial).forecast(points) if why.forecast else None
    known = [t.number for t in before if t.point == ray.through]
    earlier = {t.number for t in before}
    moving = [axis for axis, step in enumerate(ray.direction) if step]
    return TrialLine(
        trial=number,
        axes=tuple(grid.names[axis] for axis in moving),
        direction=tuple(ray.direction[k] if grid.axes[k].ordered else 0.0 for k in moving),
        through=ray.through,
        through_trial=known[-1] if known else None,
        through_best=ray.through == why.best,
        quantity=why.forecast.quantity if why.forecast else study.goal.metric,
        positions=tuple(
            Position(
                step=step,
                point=point,
                params=grid.params(point),
                forecast=None if forecasts is None else forecasts[k],
                trials=tuple(_seen(study, each, trial, earlier) for each in there.get(point, ())),
            )
            for k, (step, point) in enumerate(zip(steps, points, strict=True))
        ),
    )


def _seen(study: Study, each: Trial, trial: Trial, before: Collection[int]) -> OnLine:
    goal = study.goal
    done = each.status is Status.DONE and goal.missing(each.metrics) is None
    when = When.BEFORE if each.number in before else When.PENDING
    if each.number >= trial.number:
        when = When.ITSELF if each is trial else When.LATER
    return OnLine(
        trial=each.number,
        when=when,
        value=each.metrics[goal.metric] if done else None,
        feasible=goal.feasible(each.metrics) if done else None,
        status=each.status,
    )


def _places(ray: Ray, point: Point, grid: Grid) -> dict[int, Point]:
    """The allowed points of a line by step, in order; ``point`` is one of them."""
    moving = [axis for axis, step in enumerate(ray.direction) if step]
    ordered = [axis for axis in moving if grid.axes[axis].ordered]
    places: dict[int, Point] = {}
    if len(moving) == 1 and not ordered:
        axis = moving[0]
        for level in range(grid.shape[axis]):
            places[level] = (*point[:axis], level, *point[axis + 1 :])
    else:
        reach = max((grid.shape[axis] for axis in ordered), default=1)
        for step in range(1 - reach, reach):
            # Unordered axes jump: the line is the one on which the point was found.
            levels = list(point)
            for axis in ordered:
                levels[axis] = round(ray.through[axis] + step * ray.direction[axis])
            if tuple(levels) in grid:
                places[step] = tuple(levels)
    # Where a parameter does not apply, its levels are one point.
    found: dict[Point, int] = {}
    for step, each in places.items():
        if grid.allows(each):
            found.setdefault(grid.canonical(each), step)
    return {step: each for each, step in found.items()}


def _shown(places: Mapping[int, Point], is_known: Callable[[Point], bool]) -> list[int]:
    """All steps of a line, or `MOST` evenly spread ones and those with trials."""
    steps = list(places)
    if len(steps) <= MOST:
        return steps
    even = {steps[round(k * (len(steps) - 1) / (MOST - 1))] for k in range(MOST)}
    return [step for step in steps if step in even or is_known(places[step])]
