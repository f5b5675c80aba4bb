"""Comparison of studies, by the goal of the first one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Params, Value
from dsice.incumbent import Incumbent, Standing
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status

_STEPS: Final = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the compared studies.

    Attributes:
        label: a unique label: its name, or its directory where names coincide.
        study: as it stands.
        best: all measurements of its best point; None if no point satisfies the bounds.
        incumbents: its incumbents over time.
        measured: number of trials that have the goal's metrics.
        failed: number of trials that failed.
        wall: seconds during which a driver was running.
        work: total seconds of all jobs.
    """

    label: str
    study: Study
    best: Standing[Trial] | None
    incumbents: tuple[Incumbent[Trial], ...]
    measured: int
    failed: int
    wall: float
    work: float

    def after(self, goal: Goal, trials: int) -> float | None:
        """The best objective after so many measured trials; None if none satisfied the bounds."""
        found = None
        for each in self.incumbents:
            if each.after > trials:
                break
            found = each.best
        if found is None or not goal.feasible(found.metrics):
            return None
        return found.metrics[goal.metric]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two studies at the points that both have measured.

    Attributes:
        points: how many there are.
        ratio: median ratio of the second's objective to the first's; None if not meaningful.
        rank: Spearman's rank correlation of the objective; None with fewer than three points.
    """

    points: int
    ratio: float | None
    rank: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of studies.

    Attributes:
        goal: the goal of the first study, by which all are compared.
        sides: the studies, in the order in which they were given.
        agreements: of each further study with the first.
    """

    goal: Goal
    sides: tuple[Side, ...]
    agreements: tuple[Agreement, ...]

    @classmethod
    def of(cls, studies: Sequence[Study]) -> Self:
        """Compare studies.

        Raises:
            InvalidInput: there are fewer than two, one is given twice, the goal waits for the
                result of a stage, or one has measured none of the goal's metrics.
        """
        if len(studies) < 2:
            raise InvalidInput("two studies or more are needed to compare")
        paths = [study.directory.path for study in studies]
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise InvalidInput(f"{twice[0]} is there twice")
        goal = studies[0].goal
        if any(bound.limit is None for bound in goal.bounds):
            raise InvalidInput(f"{paths[0]}: a bound waits for the result of a stage")
        labels = _labels(studies)
        sides = tuple(map(_side, labels, studies, [goal] * len(studies)))
        agreements = tuple(_agreement(goal, studies[0], other) for other in studies[1:])
        return cls(goal, sides, agreements)

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of trials after which to compare, up to the length of the shortest study."""
        most = min(side.measured for side in self.sides)
        return (*(step for step in _STEPS if step < most), most)

    @property
    def params(self) -> dict[str, list[Value | None]]:
        """By parameter, its best value in each study; None where a study has none."""
        best: list[Params] = [
            {} if side.best is None else side.best.counted.params for side in self.sides
        ]
        names = dict.fromkeys(name for params in best for name in params)
        return {name: [params.get(name) for params in best] for name in names}

    def as_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return {
            "goal": str(self.goal),
            "studies": [
                {
                    "label": side.label,
                    "directory": str(side.study.directory.path),
                    "measured": side.measured,
                    "failed": side.failed,
                    "wall_hours": side.wall / 3600,
                    "job_hours": side.work / 3600,
                    "best": None
                    if side.best is None
                    else {
                        "trial": side.best.counted.number,
                        "params": side.best.counted.params,
                        "metrics": dict(side.best.counted.metrics),
                        "measured": len(side.best.of),
                    },
                    "after": {step: side.after(self.goal, step) for step in self.steps},
                }
                for side in self.sides
            ],
            "agreement_with_the_first": [
                {"points": each.points, "median_ratio": each.ratio, "rank_correlation": each.rank}
                for each in self.agreements
            ],
        }


def _labels(studies: Sequence[Study]) -> list[str]:
    names = [study.config.name for study in studies]
    paths = [study.directory.path for study in studies]
    if len(set(names)) == len(names):
        return names
    folders = [path.name for path in paths]
    if len(set(folders)) == len(folders):
        return folders
    common = Path(*_common([path.parts for path in paths]))
    return [str(path.relative_to(common)) for path in paths]


def _common(paths: Sequence[tuple[str, ...]]) -> list[str]:
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return shared


def _side(label: str, study: Study, goal: Goal) -> Side:
    measured = study.measured_for(goal)
    if not measured:
        lacks = f"has measured nothing with {' and '.join(goal.metrics)}"
        raise InvalidInput(f"{study.directory.path} {lacks}: it cannot be compared")
    return Side(
        label=label,
        study=study,
        best=study.best_standing(goal),
        incumbents=tuple(study.incumbents_for(goal)),
        measured=len(measured),
        failed=len(study.with_status(Status.FAILED)),
        wall=study.wall_seconds,
        work=study.job_seconds,
    )


def _agreement(goal: Goal, first: Study, other: Study) -> Agreement:
    ours, theirs = (_values(goal, study) for study in (first, other))
    shared = [key for key in ours if key in theirs]
    a, b = [ours[key] for key in shared], [theirs[key] for key in shared]
    positive = shared and min(a) > 0 and min(b) > 0
    ratio = statistics.median(y / x for x, y in zip(a, b, strict=True)) if positive else None
    rank = None
    if len(shared) > 2 and len(set(a)) > 1 and len(set(b)) > 1:
        from scipy.stats import spearmanr  # loading SciPy takes longer than a short command

        rank = float(spearmanr(a, b).statistic)
    return Agreement(len(shared), ratio, rank)


def _values(goal: Goal, study: Study) -> dict[tuple[tuple[str, Value], ...], float]:
    """The objective by parameter values; of several measurements of a point, the median."""
    points: dict[tuple[tuple[str, Value], ...], list[float]] = {}
    for trial in study.measured_for(goal):
        key = tuple(sorted(trial.params.items()))
        points.setdefault(key, []).append(trial.metrics[goal.metric])
    return {key: statistics.median(values) for key, values in points.items()}
