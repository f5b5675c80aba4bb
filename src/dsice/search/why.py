"""Why a search proposed a point: plain facts, recorded at the time of the proposal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from dsice.grid import Point

Direction = tuple[float, ...]


class Role(StrEnum):
    """What a proposal is for."""

    START = "start"
    """One of the first points, chosen before anything is known."""
    AXIS = "axis"
    """On the line through another point along one axis."""
    OBLIQUE = "oblique"
    """On a line through another point along several axes at once."""
    LEARNED = "learned"
    """On a line along the difference of two good points."""
    COLLINEAR = "collinear"
    """A setting of the line that a published form explores."""
    FAR = "far"
    """Drawn from all over the grid, and promising."""
    GRID = "grid"
    """On none of the lines, where the grid is so small that all of it is scored."""
    REPEAT = "repeat"
    """The best point once more, so that luck does not decide."""
    RESUME = "resume"
    """A trial that was paused, from where it was."""
    SAMPLE = "sample"
    """A point that was measured once more, as every point is."""
    SOURCE = "source"
    """One of the first points, recommended by an earlier study."""
    BELIEF = "belief"
    """One of the first points, drawn from what the user believes."""
    RANDOM = "random"
    """Drawn blindly."""
    GIVEN = "given"
    """By the user, to be measured first."""
    ADDED = "added"
    """By the user, while the study was under way."""


class Ray(NamedTuple):
    """A line of a grid, given by a point on it and a direction.

    Attributes:
        through: the point.
        direction: number of levels per step on each axis. A nonzero entry of an unordered axis
            means any other level.
    """

    through: Point
    direction: Direction


@dataclass(frozen=True, slots=True)
class Estimate:
    """The model's prediction of a metric at a point, in the metric's own units.

    Attributes:
        mean: the median of the prediction.
        low: one standard deviation below it.
        high: one standard deviation above it.
    """

    mean: float
    low: float
    high: float


class Advice(NamedTuple):
    """The recommendation of an earlier study.

    Attributes:
        source: its name.
        rank: the point's rank among its recommendations, from 1.
        estimate: its prediction of the objective there, from its own measurements.
        measured: whether the source has measured the point itself and the rank is that among its
            measurements.
    """

    source: str
    rank: int
    estimate: Estimate
    measured: bool = False


class Origin(NamedTuple):
    """The origin of a candidate.

    Attributes:
        role: the purpose of the proposal.
        line: the line on which it was found, if any.
        advice: the recommendation it follows, if any.
    """

    role: Role
    line: Ray | None = None
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class BoundForecast:
    """Prediction of a bounded metric: its estimate, and the probability that the bound holds."""

    bound: str
    estimate: Estimate
    probability: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The model's prediction at a point.

    Attributes:
        quantity: the estimated quantity: the objective's name, or ``violation`` (of all bounds
            together, see `dsice.goal.Goal.violation`) while no point is feasible.
        estimate: the estimate of that quantity.
        chance: probability that it is better than at the best measured point. If a metric is swept,
            this refers to the bound where the gain is largest.
        bounds: predictions of the bounds, of a swept metric for that one; empty while no point is
            feasible.
        success: probability of success; None if nothing has failed.
        gain: expected improvement times the probabilities of bounds and success, in the
            objective's units; None without such a unit. If a metric is swept, the mean over all
            its bounds.
        score: logarithm of the acquisition value, plus beliefs, per expected second if durations
            are modelled; candidates are ranked by it.
        seconds: how long the measurement is expected to take; None if durations are not modelled.
    """

    quantity: str
    estimate: Estimate
    chance: float
    bounds: tuple[BoundForecast, ...]
    success: float | None
    gain: float | None
    score: float
    seconds: float | None = None

    @property
    def chance_in_all(self) -> float:
        """Probability of being better than the best and keeping all bounds, if independent."""
        return self.chance * math.prod(bound.probability for bound in self.bounds)


@dataclass(frozen=True, slots=True)
class Prospect:
    """The expected gain of one more measurement at one bound, or one combination of bounds.

    Attributes:
        limits: the bounds' limits, in the metrics' own units.
        best: the best measured point that keeps them; None if none does.
        point: the candidate with the largest expected gain; None if there is none.
        gain: its expected improvement on the best, in the objective's units, including the
            probabilities of all bounds and of success. Where no point keeps the bound, the
            reference is a value slightly worse than the whole front.
        chance: probability that the candidate keeps all bounds and succeeds.
    """

    limits: tuple[float, ...]
    best: Point | None
    point: Point | None
    gain: float
    chance: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why a point was proposed.

    Attributes:
        role: the purpose of the proposal.
        line: the line on which it was found, if any.
        known: number of points measured at that time.
        pending: number of points pending at that time.
        best: the incumbent at that time, if any. If a metric is swept, the best point at the bound
            with the largest expected gain, if one kept it.
        forecast: the prediction of the model there, if it chose the point.
        advice: the recommendation that it follows, if any.
    """

    role: Role
    line: Ray | None = None
    known: int = 0
    pending: int = 0
    best: Point | None = None
    forecast: Forecast | None = None
    advice: Advice | None = None

    def as_json(self) -> dict[str, Any]:
        """Convert to plain data for a journal, without absent entries."""
        facts: dict[str, Any] = {"role": self.role.value}
        if self.line is not None:
            facts["through"] = list(self.line.through)
            facts["direction"] = list(self.line.direction)
        facts |= {"known": self.known, "pending": self.pending}
        if self.best is not None:
            facts["best"] = list(self.best)
        if (forecast := self.forecast) is not None:
            facts["expected"] = {
                "of": forecast.quantity,
                "value": _numbers(forecast.estimate),
                "chance": forecast.chance,
                "bounds": [
                    [each.bound, *_numbers(each.estimate), each.probability]
                    for each in forecast.bounds
                ],
                "success": forecast.success,
                "gain": forecast.gain,
                "rating": forecast.score,  # the name in journals
            }
            if forecast.seconds is not None:
                facts["expected"]["seconds"] = forecast.seconds
        if (advice := self.advice) is not None:
            said = [advice.source, advice.rank, _numbers(advice.estimate)]
            facts["advice"] = [*said, True] if advice.measured else said
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Convert back from the result of `as_json`.

        Raises:
            KeyError, TypeError, ValueError: invalid data.
        """
        line = None
        if "through" in facts:
            line = Ray(tuple(facts["through"]), tuple(map(float, facts["direction"])))
        forecast = None
        if "expected" in facts:
            said = facts["expected"]
            forecast = Forecast(
                quantity=said["of"],
                estimate=Estimate(*said["value"]),
                chance=said["chance"],
                bounds=tuple(
                    BoundForecast(bound, Estimate(mean, low, high), probability)
                    for bound, mean, low, high, probability in said["bounds"]
                ),
                success=said["success"],
                gain=said["gain"],
                score=said["rating"],
                seconds=said.get("seconds"),
            )
        return cls(
            role=Role(facts["role"]),
            line=line,
            known=facts["known"],
            pending=facts["pending"],
            best=tuple(facts["best"]) if "best" in facts else None,
            forecast=forecast,
            advice=_advice(facts["advice"]) if "advice" in facts else None,
        )


def _advice(said: Any) -> Advice:
    source, rank, estimate, *measured = said
    return Advice(source, rank, Estimate(*estimate), *measured)


def _numbers(estimate: Estimate) -> list[float]:
    return [estimate.mean, estimate.low, estimate.high]
