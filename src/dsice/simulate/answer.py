"""The results of all plays: times, speed-up, expected best, and where more slots stop paying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from dsice.goal import Goal
from dsice.simulate.campaign import Campaign, Played
from dsice.units import count, hours, number, percent

SHARES: Final = (0.25, 0.5, 1.0)
"""Of all trials: where the best so far is told."""
NEAR: Final = 0.01
"""A best value counts as reached within this share of its size."""
PAYS: Final = 0.2
"""Twice as many slots pay while they save this share of the time."""


@dataclass(frozen=True, slots=True)
class Quartiles:
    """First quartile, median and third quartile over the repetitions; infinite: not reached."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of some values, infinite ones among them."""
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75), method="nearest").tolist()
        return cls(low, median, high)

    def as_json(self, unit: float = 1.0) -> dict[str, float | None]:
        """In so many units; None stands for infinite."""
        names = {"low": self.low, "median": self.median, "high": self.high}
        return {n: value / unit if math.isfinite(value) else None for n, value in names.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """The results with one number of slots.

    Attributes:
        slots: trials at once.
        trials: how many were measured.
        wall: seconds from beginning to end.
        work: seconds that all jobs ran, stages included.
        speed_up: work / wall.
        best: the goal's metric after each of `SHARES` of the trials; empty if nothing is known of
            quality.
        near: seconds until the best is within `NEAR` of what the fewest slots end with in the same
            world.
        reached: in how many repetitions it came so near.
        worse: median share of that value by which the best after all trials is worse than it;
            negative where it is better.
        stopped: median number of trials that were ended early.
    """

    slots: int
    trials: Quartiles
    wall: Quartiles
    work: Quartiles
    speed_up: Quartiles
    best: tuple[Quartiles, ...] = ()
    near: Quartiles | None = None
    reached: int = 0
    worse: float = 0.0
    stopped: float = 0.0

    @property
    def efficiency(self) -> float:
        """The speed-up's share of what the slots could give."""
        return self.speed_up.median / self.slots


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of all plays.

    Attributes:
        rows: by slots, increasing.
        repetitions: worlds that were played.
        goal: None if nothing is known of quality.
        trials: budget.
        cpu: seconds of computing that the search takes for one trial, on average.
    """

    rows: tuple[Row, ...]
    repetitions: int
    goal: Goal | None
    trials: int
    cpu: float

    @classmethod
    def of(cls, campaign: Campaign, played: Sequence[Played], judged: bool) -> Self:
        """From all plays; ``judged``: whether quality is known."""
        stages = campaign.terms.stages
        by_slots: dict[int, list[Played]] = {}
        for one in sorted(played, key=lambda one: (one.slots, one.repetition)):
            by_slots.setdefault(one.slots, []).append(one)
        reference = by_slots[min(by_slots)]
        goal = campaign.goal if judged else None
        return cls(
            rows=tuple(_row(group, reference, stages, goal) for group in by_slots.values()),
            repetitions=len(reference),
            goal=goal,
            trials=campaign.terms.trials,
            cpu=sum(one.cpu for one in played) / max(1, sum(len(one.ends) for one in played)),
        )

    def sentences(self) -> list[str]:
        """Where more slots stop paying, in plain words."""
        said = [
            f"To the end of all trials, {_paying(self.rows, [r.wall.median for r in self.rows])}"
        ]
        fewest = count(self.rows[0].slots, "slot")
        nears = [row.near.median for row in self.rows if row.near is not None]
        if not nears:
            return said
        if nears[0] < math.inf:
            said.append(
                f"To come within {percent(NEAR)} of the best that {fewest} would find, "
                f"{_paying(self.rows, nears)}"
            )
        suffering = [row for row in self.rows[1:] if row.worse > NEAR]
        if suffering:
            row = suffering[0]
            said.append(
                f"With {row.slots} slots the best after all trials is {number(100 * row.worse)} % "
                f"worse than with {fewest}, at the median: many trials begin without the results "
                "of others."
            )
        elif len(self.rows) > 1 and nears[0] < math.inf:
            said.append(
                "The best after all trials does not suffer from more slots: the median stays "
                f"within {percent(NEAR)} of that with {fewest}."
            )
        return said

    def as_json(self) -> dict[str, Any]:
        """What ``dsice simulate --json`` prints; None stands for never."""
        return {
            "trials": self.trials,
            "repetitions": self.repetitions,
            "goal": None if self.goal is None else str(self.goal),
            "slots": [
                {
                    "slots": row.slots,
                    "trials": row.trials.as_json(),
                    "wall_hours": row.wall.as_json(3600),
                    "job_hours": row.work.as_json(3600),
                    "ended_early": row.stopped,
                    "speed_up": row.speed_up.as_json(),
                    "efficiency": row.efficiency,
                    "best": {
                        f"{share:.0%}": best.as_json()
                        for share, best in zip(SHARES, row.best, strict=False)
                    },
                    "near_best_hours": None if row.near is None else row.near.as_json(3600),
                    "near_best_reached": None if row.near is None else row.reached,
                }
                for row in self.rows
            ],
            "search_seconds_per_trial": self.cpu,
            "conclusion": self.sentences(),
        }


def compared(early: Answer, whole: Answer) -> list[str]:
    """What ending trials early saves, in plain words.

    Args:
        early: the answer where trials end early.
        whole: the answer where all run to their ends, for the same slots and worlds.
    """
    row, other = early.rows[-1], whole.rows[-1]
    work, before = row.work.median, other.work.median
    saved = 1 - work / before if before else 0.0
    effect = f"saves {percent(saved)}" if saved > 0 else f"costs {percent(-saved)} more"
    said = [
        f"Ending trials early {effect} of the job-hours: {hours(work)} instead of "
        f"{hours(before)}, with {count(row.slots, 'slot')} in {hours(row.wall.median)} hours "
        f"instead of {hours(other.wall.median)}. {number(row.stopped)} of "
        f"{number(row.trials.median)} trials end early."
    ]
    if early.goal is not None and row.best and other.best:
        best, of_whole = row.best[-1].median, other.best[-1].median
        if math.isfinite(best) and math.isfinite(of_whole):
            said.append(
                f"The best after all trials has {early.goal.metric} {number(best)}, and "
                f"{number(of_whole)} where every trial runs to its end (medians)."
            )
    return said


def _row(
    group: Sequence[Played], reference: Sequence[Played], stages: float, goal: Goal | None
) -> Row:
    row = Row(
        slots=group[0].slots,
        trials=Quartiles.of([len(one.ends) for one in group]),
        wall=Quartiles.of([one.wall for one in group]),
        work=Quartiles.of([one.work + stages for one in group]),
        speed_up=Quartiles.of([(one.work + stages) / one.wall for one in group]),
        stopped=Quartiles.of([one.stopped for one in group]).median,
    )
    if goal is None:
        return row
    sign = 1.0 if goal.maximize is None else -1.0
    near, worse = [], []
    for one, other in zip(group, reference, strict=True):
        target, size = other.best[-1], abs(other.best[-1])
        enough = target + NEAR * size if math.isfinite(target) else -math.inf
        reached = (t for t, best in zip(one.ends, one.best, strict=True) if best <= enough)
        near.append(next(reached, math.inf))
        if math.isfinite(target):
            worse.append((one.best[-1] - target) / (size or 1.0))
    return replace(
        row,
        best=tuple(
            Quartiles.of([sign * one.best[_last(one, share)] for one in group]) for share in SHARES
        ),
        near=Quartiles.of(near),
        reached=sum(map(math.isfinite, near)),
        worse=Quartiles.of(worse).median if worse else 0.0,
    )


def _last(one: Played, share: float) -> int:
    return max(1, math.ceil(share * len(one.best))) - 1


def _paying(rows: Sequence[Row], times: Sequence[float]) -> str:
    """Up to how many slots more of them pay, as the end of a sentence."""
    if len(rows) == 1:
        return f"{rows[0].slots} slots were played only."
    for row, more, time, less in zip(rows, rows[1:], times, times[1:], strict=False):
        doublings = math.log2(more.slots / row.slots)
        saved = 1 - (less / time) ** (1 / doublings)
        if saved < PAYS:
            effect = f"save only {percent(saved)}" if saved > 0 else "save nothing"
            return (
                f"more slots pay up to {row.slots}: from there to {more.slots}, twice as many "
                f"{effect} of the time."
            )
    last, before = rows[-1].slots, rows[-2].slots
    return (
        f"more slots pay as far as was played: from {before} to {last}, twice as many still save "
        f"{percent(saved)} of the time (50 % would be ideal)."
    )
