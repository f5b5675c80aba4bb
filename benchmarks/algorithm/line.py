"""The model along one line when a point on it was about to be proposed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from benchmarks.algorithm.drawing import (
    BLUE,
    CROSS,
    INK,
    ORANGE,
    RED,
    SOFT,
    STAR,
    WIDTH,
    Row,
    Spec,
    area,
    labelled,
    layer,
    levels_axis,
    of,
    rule,
    text,
)
from benchmarks.algorithm.moment import MetricModel, Moment
from benchmarks.algorithm.steps import Step
from dsice.units import count, number


def line_figure(step: Step) -> Spec:
    """The model along a line, and below it how promising each of its free points is."""
    moment, goal = step.moment, step.moment.study.goal
    axis = moment.study.config.grid.axes[step.axis]
    across = levels_axis(axis)
    bare = {**across, "title": None, "axis": None}
    later = moment.target_of(goal.cost(step.trial.metrics))
    mean, std = MetricModel(moment, goal.metric).along(step.line)
    band = [
        {"x": k, "mean": m, "low": m - d, "high": m + d}
        for k, (m, d) in enumerate(zip(mean.tolist(), std.tolist(), strict=True))
    ]
    points = _points_on(step, mean.tolist(), later)
    ends = [row["low"] for row in band] + [row["high"] for row in band] + [later]
    ends += [row["y"] for row in points]
    domain = (min(ends) - 0.12, max(ends) + 0.12)
    y = {
        "field": "y",
        "type": "quantitative",
        "title": goal.metric,
        "axis": _cost_axis(moment, domain),
        "scale": {"domain": domain, "nice": False},
    }
    best = {"y": moment.target_of(goal.cost(moment.metrics(step.base)))}
    next_row = next(row for row in points if row["kind"] == _PROPOSED)
    upper: list[Spec] = [
        layer(band, area(), x=bare, y={**y, "field": "low"}, y2={"field": "high"}),
        layer([best], rule(), y=y),
        layer(band, {"type": "line", "color": BLUE, "strokeWidth": 2}, x=bare, y=of(y, "mean")),
        layer(
            [{"x": next_row["x"], "y": next_row["y"], "y2": later}],
            {"type": "rule", "color": RED, "strokeWidth": 1.2, "strokeDash": [2, 2]},
            x=bare,
            y=y,
            y2={"field": "y2"},
        ),
        layer(points, {"type": "point", "size": 95, "opacity": 1}, x=bare, y=y, **_kinds(points)),
    ]
    waiting = count(len(moment.pending), "point") if moment.pending else "no point"
    found = step.trial.metrics[goal.metric]
    before = moment.metrics(step.base)[goal.metric]
    return {
        "title": {
            "text": f"Trial {step.trial.number}: a step along {axis.name} from the best point",
            "subtitle": [
                f"The model on that line after {count(len(moment.history), 'result')}, with "
                f"{waiting} under way: mean ± one standard deviation.",
                f"The step found {goal.metric} {number(found)}; the best before was "
                f"{number(before)}.",
            ],
        },
        "spacing": 26,
        "vconcat": [
            {"width": WIDTH - 70, "height": 270, "layer": upper},
            {"width": WIDTH - 70, "height": 66, "layer": _acquisition(step, across)},
        ],
        "resolve": {"scale": {"x": "shared"}},
    }


_MEASURED: Final = "measured"
_OUTSIDE: Final = "measured, breaks the bound"
_BEST: Final = "best so far"
_WAITING: Final = "under way"
_PROPOSED: Final = "proposed next"
_LATER: Final = "what it found"
_LOOKS: Final[Mapping[str, tuple[str, str, str]]] = {  # shape, stroke, fill
    _MEASURED: ("circle", BLUE, BLUE),
    _OUTSIDE: (CROSS, ORANGE, ORANGE),
    _BEST: (STAR, BLUE, BLUE),
    _WAITING: ("diamond", INK, "#ffffff"),
    _PROPOSED: ("triangle-down", RED, RED),
    _LATER: ("circle", RED, "#ffffff"),
}


def _points_on(step: Step, mean: Sequence[float], later: float) -> list[Row]:
    moment, goal = step.moment, step.moment.study.goal
    targets = dict(zip(moment.measured, moment.targets(goal.metric).tolist(), strict=True))
    rows = []
    for k, point in enumerate(step.line):
        metrics = moment.history.metrics(point) if point in moment.history else None
        if metrics is not None:
            kind = _MEASURED if goal.feasible(metrics) else _OUTSIDE
            kind = _BEST if point == step.base else kind
            rows.append({"x": k, "y": targets[point], "kind": kind})
        elif point in moment.pending:
            rows.append({"x": k, "y": mean[k], "kind": _WAITING})
    at = step.trial.point[step.axis]
    rows.append({"x": at, "y": later, "kind": _LATER})
    return [*rows, {"x": at, "y": mean[at], "kind": _PROPOSED}]


def _kinds(points: Sequence[Row]) -> Spec:
    present = [kind for kind in _LOOKS if any(row["kind"] == kind for row in points)]
    shapes, strokes, fills = zip(*(_LOOKS[kind] for kind in present), strict=True)
    legend = {"orient": "top", "columns": 6, "columnPadding": 18, "offset": 4}
    kind = {"field": "kind", "type": "nominal", "legend": legend}
    return {
        "shape": {**kind, "scale": {"domain": present, "range": list(shapes)}},
        "stroke": {**kind, "scale": {"domain": present, "range": list(strokes)}},
        "fill": {**kind, "scale": {"domain": present, "range": list(fills)}},
    }


def _acquisition(step: Step, across: Spec) -> list[Spec]:
    """The acquisition value of each free point, relative to the largest."""
    moment, line = step.moment, step.line
    grid = moment.study.config.grid
    taken = {*moment.measured, *moment.pending}
    free = [k for k, point in enumerate(line) if point not in taken and grid.allows(point)]
    logs = moment.log_acquisition([line[k] for k in free])
    shares = np.exp(logs - logs.max()).tolist()
    rows = [{"x": k, "y": share} for k, share in zip(free, shares, strict=True)]
    at = step.trial.point[step.axis]
    proposed = [row for row in rows if row["x"] == at]
    bar = {"type": "bar", "width": 12, "cornerRadiusEnd": 2}
    y = {
        "field": "y",
        "type": "quantitative",
        "title": None,
        "axis": {"values": [0, 1], "labelExpr": "datum.value ? 'most' : '0'", "grid": False},
        "scale": {"domain": [0, 1.05], "nice": False},
    }
    shown = {**across, "title": grid.axes[step.axis].name}
    words = [{"text": " × ".join(_factors(moment))}]
    above = text(SOFT, align="left", baseline="bottom", dy=-4)
    said = layer(words, above, x={"value": 0}, y={"value": 0}, text={"field": "text"})
    return [
        said,
        layer(rows, {**bar, "color": "#8fbce6"}, x=shown, y=y),
        layer(proposed, {**bar, "color": RED}, x=shown, y=y),
    ]


def _factors(moment: Moment) -> list[str]:
    """The factors of the acquisition function."""
    factors = ["expected improvement"]
    if bounds := moment.study.goal.bounds:
        holds = "bound holds" if len(bounds) == 1 else "bounds hold"
        factors.append(f"probability that the {holds}")
    if any(moment.history.metrics(point) is None for point in moment.measured):
        factors.append("probability of success")
    return factors


def _cost_axis(moment: Moment, domain: tuple[float, float]) -> Spec:
    """Ticks at round values of the objective, where they stand among the targets."""
    costs = [cost for cost, _ in moment.ladder()]
    width = costs[-1] - costs[0]
    sign = 1 if moment.study.goal.maximize is None else -1
    ticks: dict[float, str] = {}
    room = 0.075 * (domain[1] - domain[0])
    for step in _round_steps(width):
        first = math.ceil((costs[0] - width) / step)
        for k in range(first, math.floor(costs[-1] / step) + 1):
            place = moment.target_of(k * step)
            inside = domain[0] + room / 3 <= place <= domain[1]
            if inside and all(abs(other - place) > room for other in ticks):
                ticks[place] = f"{sign * k * step:.6g}"
    return {**labelled(ticks), "gridDash": [2, 3]}


def _round_steps(width: float) -> list[float]:
    """Distances of ticks, coarse to fine."""
    power = 10.0 ** math.floor(math.log10(width or 1.0))
    return [power * share for share in (1, 0.5, 0.2, 0.1, 0.05)]
