"""Explanations in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dsice.explain.effects import Effects
from dsice.explain.line import TrialLine
from dsice.explain.trial import Came, Explanation
from dsice.goal import Goal
from dsice.search.why import Estimate, Role, Why
from dsice.study.task import Status
from dsice.terminal import metrics_line
from dsice.text import one_line
from dsice.units import count, duration, number, ordinal, percent

ROLES: Final[Mapping[Role | None, str]] = {
    Role.START: "first points, before anything is known",
    Role.SOURCE: "first points, recommended by an earlier study",
    Role.BELIEF: "first points, drawn from beliefs",
    Role.AXIS: "on a line along one axis",
    Role.OBLIQUE: "on a line along several axes",
    Role.LEARNED: "in a direction learned from good points",
    Role.COLLINEAR: "on a line being explored",
    Role.FAR: "from elsewhere on the grid",
    Role.GRID: "anywhere on the small grid",
    Role.REPEAT: "the best point once more",
    Role.SAMPLE: "another sample of a point",
    Role.RESUME: "one that was paused",
    Role.RANDOM: "drawn blindly",
    Role.GIVEN: "given, to be measured first",
    Role.ADDED: "added by the user",
    None: "unknown: the journal does not say",
}

# Shares in the variance of the model from which an axis is said to matter, or to matter little.
_MATTERS: Final = 0.1
_LITTLE: Final = 0.02


def sentences(found: Explanation, goal: Goal) -> list[str]:
    """Why the trial was proposed, what was expected, and what came out."""
    said = [f"Trial {found.trial} was {_where(found)}."]
    said += _expected(found, goal)
    return [*said, _outcome(found, goal)]


def _where(found: Explanation) -> str:
    why, line = found.why, found.line
    if why is None:
        return "proposed by a version that did not take down why"
    match why.role:
        case Role.START:
            return "one of the first points, which spread over the grid before anything is known"
        case Role.SOURCE:
            return _recommended(why)
        case Role.BELIEF:
            return (
                "one of the first points, drawn from what the user expects, before anything "
                "is known"
            )
        case Role.FAR:
            return (
                "the most promising point of all, and on no line: far points are drawn now and "
                "then in case the best is elsewhere"
            )
        case Role.GRID:
            return (
                "the most promising point of this small grid, on none of the lines through the "
                "best points"
            )
        case Role.REPEAT:
            return "the best point once more, so that luck does not decide"
        case Role.SAMPLE:
            return "another sample of a point, as every point is measured several times"
        case Role.RESUME:
            return "a trial that was paused goes on"
        case Role.RANDOM:
            return "drawn blindly"
        case Role.GIVEN:
            return "given by the user, to be measured first"
        case Role.ADDED:
            return "added by the user"
    if line is None:
        return f"found {ROLES[why.role]}"
    through = "a point that the model favoured, not measured by then"
    if line.through_trial is not None:
        then = ", the best then" if line.through_best else ""
        through = f"trial {line.through_trial}{then}"
    return f"on the line through {through}, {line_name(line, why.role)}"


def _recommended(why: Why) -> str:
    advice = why.advice
    if advice is None:
        return "recommended by an earlier study, before anything was known here"
    rank = "best" if advice.rank == 1 else f"{ordinal(advice.rank)} best"
    whose = "it has measured itself" if advice.measured else "it recommends"
    return (
        f"recommended by {one_line(advice.source)}, before anything was known here: the {rank} of "
        f"what {whose}, where it expects {_about(advice.estimate)} by its own measurements"
    )


def line_name(line: TrialLine, role: Role) -> str:
    """``along lr``, or which axes go up and down together."""
    if len(line.axes) == 1:
        return f"along {line.axes[0]}"
    steps = " and ".join(
        f"{name} {_way(step)}" for name, step in zip(line.axes, line.direction, strict=True)
    )
    learned = ", a direction learned from two good points" if role is Role.LEARNED else ""
    return f"along which {steps}{learned}"


def _way(step: float) -> str:
    if not step:
        return "changes"
    size = "" if abs(step) == 1 else f" by {number(abs(step))}"
    return f"goes {'up' if step > 0 else 'down'}{size}"


def _expected(found: Explanation, goal: Goal) -> list[str]:
    why, forecast = found.why, found.forecast
    if why is None or forecast is None:
        return []
    pending = f" and {count(why.pending, 'trial')} under way" if why.pending else ""
    known = f"With {count(why.known, 'point')} known{pending}, the model expected"
    if forecast.quantity != goal.metric:
        return [
            "Nothing had kept the bounds yet, so the violation of the bounds was to be made small.",
            f"{known} a violation of {_about(forecast.estimate)} here, with "
            f"{percent(forecast.chance)} chance to come nearer than the nearest by then.",
        ]
    said = [f"{known} {forecast.quantity} {_about(forecast.estimate)} here{_against(found, goal)}."]
    said += [
        f"It expected {each.bound.split()[0]} {_about(each.estimate)}: "
        f"{percent(each.probability)} sure that {each.bound} holds."
        for each in forecast.bounds
    ]
    if forecast.success is not None:
        said.append(f"As some trials had failed: {percent(forecast.success)} sure to succeed.")
    if forecast.seconds is not None:
        took = duration(forecast.seconds)
        said.append(f"It was to take {took}: time is the budget, so gains counted per second.")
    return said


def _against(found: Explanation, goal: Goal) -> str:
    forecast = found.forecast
    if forecast is None or found.best_metrics is None:
        return ""
    best, numbers = number(found.best_metrics[goal.metric]), found.best_before
    name = f"{best} of trial {numbers[0]}" if numbers else f"{best} of the best"
    if len(numbers) > 1:
        name = f"mean {best} of trials {', '.join(map(str, numbers))}"
    chance = f": {percent(forecast.chance)} chance to beat the {name}"
    if forecast.bounds:
        chance += f", {percent(forecast.chance_in_all)} with the bounds kept"
    return chance


def _about(estimate: Estimate) -> str:
    low, high = number(estimate.low), number(estimate.high)
    return f"about {number(estimate.mean)} ({low} to {high})"


def _outcome(found: Explanation, goal: Goal) -> str:
    match found.status:
        case Status.FAILED:
            return f"It failed: {one_line(found.reason)}."
        case Status.DISCARDED:
            return f"It does not count: {one_line(found.reason)}."
        case Status.STOPPED:
            return f"It was ended early, {one_line(found.reason)}."
        case Status.WAITING | Status.RUNNING:
            return "It has not ended yet."
    if not found.metrics:
        return "It ended without every metric of the goal."
    facts = []
    match found.came(goal):
        case Came.WITHIN:
            facts.append("as expected")
        case Came.BELOW:
            facts.append("lower than expected")
        case Came.ABOVE:
            facts.append("higher than expected")
    if found.feasible is False:
        facts.append("out of bounds")
    if found.improved:
        facts.append("a new best" if found.feasible else "the nearest to the bounds so far")
    verdict = f": {', '.join(facts)}" if facts else ""
    return f"It measured {metrics_line(found.metrics, goal)}{verdict}."


def what_matters(effects: Effects) -> str:
    """Which parameters matter for a metric, and which do not."""
    groups: dict[str, list[str]] = {"matters": [], "matters a little": [], "hardly matters": []}
    for effect in effects.by_weight:
        strong = effect.total >= _MATTERS
        weak = "matters a little" if effect.total >= _LITTLE else "hardly matters"
        groups["matters" if strong else weak].append(f"{effect.axis} ({percent(effect.total)})")
    said = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items() if names)
    return f"For {effects.metric}, {said}."
