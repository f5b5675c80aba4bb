"""The points in figures of trials: trials by group, the best one, and results of stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from dsice.domain import Domain, focus
from dsice.goal import Metrics
from dsice.report import words
from dsice.report.facts import Facts
from dsice.report.scales import Row, Spec, is_labelled, tip
from dsice.text import plain
from dsice.units import count

_MANY: Final = 300
_STAR: Final = (
    "M0,-1L0.247,-0.34L0.951,-0.309L0.4,0.13L0.588,0.809L0,0.42"
    "L-0.588,0.809L-0.4,0.13L-0.951,-0.309L-0.247,-0.34Z"
)
_CROSS: Final = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of points in figures, by their names in legends.

    Attributes:
        within: trials that keep all bounds; all measured ones if nothing is bounded.
        outside: trials that break a bound.
        best: the best trial.
        start: results of stages.
    """

    within: str
    outside: str
    best: str
    start: str

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """The names for a study."""
        bounds = "bound" if len(facts.goal.bounds) == 1 else "bounds"
        stages = facts.starting_points
        return cls(
            within=f"within the {bounds}" if facts.settled and facts.goal.bounds else "measured",
            outside=f"outside the {bounds}",
            best=f"best: trial {facts.best.number}" if facts.best else "best",
            start=f"stage {stages[0].name} alone" if len(stages) == 1 else "stages alone",
        )

    def encoding(self, shown: Iterable[str]) -> Spec:
        """Colour and shape by the field ``group``, with a legend of the groups in ``shown``."""
        domain = [self.within, self.outside, self.best, self.start]
        listed = set(shown)
        legend: Spec | None = {
            "orient": "top",
            "values": [name for name in domain if name in listed],
        }
        group = {"field": "group", "type": "nominal", "legend": legend if listed else None}
        return {
            "fill": {**group, "scale": {"domain": domain, "range": "group"}},
            "stroke": {**group, "scale": {"domain": domain, "range": "group"}},
            "shape": {
                **group,
                "scale": {"domain": domain, "range": ["circle", _CROSS, _STAR, "diamond"]},
            },
        }


@dataclass(frozen=True, slots=True)
class Board:
    """The points of a study.

    Attributes:
        facts: the study.
        groups: names of the groups.
        trials: the data set ``trials`` that figures share, one row per finished trial of
            `Facts.shown`: ``order`` is its place in the order of ends, ``y`` the objective,
            ``b0, b1...`` the bounded metrics, ``p0, p1...`` the parameters, ``tip`` a description.
            A failed trial has the group ``failed`` and neither ``y`` nor ``b0...``.
        starts: results of stages in the same form, with ``text`` as their label.
    """

    facts: Facts
    groups: Groups
    trials: list[Row]
    starts: list[Row]

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """The points of a study in any state."""
        groups = Groups.of(facts)
        return cls(
            facts=facts,
            groups=groups,
            trials=_trials(facts, groups),
            starts=_starts(facts, groups),
        )

    def domain(self, field: str, keep: Iterable[float] = ()) -> Domain:
        """The range of ``y`` or of a bounded metric to draw, the same in all figures.

        It contains ``keep``, the best trial and the last stage's result, where tuning started.
        """
        always = [*self.best, *self.starts[-1:]]
        values = [row[field] for row in [*self.trials, *self.starts] if field in row]
        bounds = self.facts.goal.bounds
        metric = self.facts.goal.metric if field == "y" else bounds[int(field[1:])].metric
        kept = [*keep, *(row[field] for row in always if field in row)]
        return focus(values, kept, log=self.facts.spans_decades(metric))

    def left_out(self, **domains: Domain) -> str:
        """A sentence about the points outside the ranges drawn; empty if there is none."""
        far = sum(
            any(not domain.holds(row[field]) for field, domain in domains.items())
            for row in [*self.trials, *self.starts]
            if domains.keys() <= row.keys()
        )
        if not far:
            return ""
        lie = "lies" if far == 1 else "lie"
        return f"{count(far, 'point')} far from the others {lie} outside the picture."

    def layers(self, x: Spec, y: Spec, starts: list[Row], *, small: bool = False) -> list[Spec]:
        """Layers of points: the measured trials, the results of stages, and the best on top.

        A ``small`` figure has smaller points and no legend.
        """
        field = x["field"]
        best = [{**row, "group": self.groups.best} for row in self.best if field in row]
        number = self.facts.best.number if self.facts.best else 0
        present = {row["group"] for row in self.trials if "y" in row and row["trial"] != number}
        present |= {row["group"] for row in [*starts, *best]}
        encoding = {"x": x, "y": y, **self.groups.encoding(present if not small else ())}
        encoding["tooltip"] = tip()
        size = 24 if small or len(self.trials) > _MANY else 42
        point = {"type": "point", "clip": True, "cursor": "pointer"}
        drawn = f"isValid(datum.y) && datum.trial !== {number}"
        if any(field not in row for row in self.trials):  # a parameter that does not always apply
            drawn += f" && isValid(datum.{field})"
        layers: list[Spec] = [
            {
                "data": {"name": "trials"},
                "transform": [{"filter": drawn}],
                "mark": {**point, "size": size, "opacity": 0.85},
                "encoding": encoding,
            }
        ]
        for rows, size in ((starts, 110), (best, 170)):
            if rows:
                look = {**point, "size": size, "opacity": 1}
                layers.append({"data": {"values": rows}, "mark": look, "encoding": encoding})
        if len(starts) > 1:
            upwards = self.facts.goal.maximize is not None
            layers += [_name_layer(row, x, y, upwards) for row in starts]
        return layers

    @property
    def best(self) -> list[Row]:
        """The row of ``trials`` that is the best trial, none or one."""
        best = self.facts.best
        return [row for row in self.trials if best is not None and row["trial"] == best.number]

    @property
    def objective(self) -> str:
        """The objective's name, as a title."""
        return plain(self.facts.goal.metric, 60)


def _name_layer(start: Row, x: Spec, y: Spec, upwards: bool) -> Spec:
    """The label of a starting point, beside it and within the frame.

    Args:
        start: the point.
        x: encoding of the horizontal axis.
        y: encoding of the objective.
        upwards: whether the objective is maximised.
    """
    low, high = x["scale"]["domain"]
    domain = Domain(low, high, log=x["scale"].get("type") == "log")
    mark = {"type": "text", "style": "startnote", "clip": True, "dy": 15 if upwards else -12}
    # No trial is better than the frontier, so the space left of and beyond it is free.
    if domain.place(start[x["field"]]) < 0.2:
        mark |= {"align": "left", "dx": -4, "dy": -12 if upwards else 15}
    names = {"x": x, "y": y, "text": {"field": "text"}}
    return {"data": {"values": [start]}, "mark": mark, "encoding": names}


def _trials(facts: Facts, groups: Groups) -> list[Row]:
    axes = facts.study.config.grid.axes
    labelled = [is_labelled(axis) for axis in axes]
    measured = {trial.number for trial in facts.measured}
    rows = []
    shown = {trial.number for trial in facts.shown}
    for trial in facts.study.finished:
        if trial.number not in shown:
            continue
        row: Row = {"trial": trial.number, "order": facts.order[trial.number], "group": "failed"}
        if trial.number in measured:
            row["group"] = groups.outside if facts.within(trial) is False else groups.within
            row |= _goal_values(facts, trial.metrics)
        for k, axis in enumerate(axes):
            if (value := trial.params.get(axis.name)) is not None:
                row[f"p{k}"] = words.parameter(value) if labelled[k] else value
        row["tip"] = facts.describe(trial)
        rows.append(row)
    return rows


def _starts(facts: Facts, groups: Groups) -> list[Row]:
    rows = []
    for stage in facts.starting_points:
        text = f"stage {stage.name} alone"
        lines = [f"{plain(n, 60)}: {facts.metric(n, v)}" for n, v in stage.metrics.items()]
        rows.append(
            {
                "group": groups.start,
                **_goal_values(facts, stage.metrics),
                "text": text,
                "tip": "\n".join([text, *lines]),
            }
        )
    return rows


def _goal_values(facts: Facts, metrics: Metrics) -> Row:
    row: Row = {"y": metrics[facts.goal.metric]}
    for k, bound in enumerate(facts.goal.bounds):
        if bound.metric in metrics:
            row[f"b{k}"] = metrics[bound.metric]
    return row
