"""The pictures of one study, as Vega-Lite specifications."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.algorithm.moment import Moment, Surface, result
from dsice.grid import Axis, Point
from dsice.report.scales import focus
from dsice.report.themes import FONT, THEMES
from dsice.report.words import count, number
from dsice.search.start import FirstPoints
from dsice.study.state import Status, Study, Trial
from dsice.surface.axis import Array

Spec = dict[str, Any]
Row = dict[str, Any]

WIDTH: Final = 640
INK: Final = "#1c2330"
SOFT: Final = "#5d6778"
BLUE: Final = "#0b63b5"
ORANGE: Final = "#b45f06"
RED: Final = "#c2183c"
GOOD_TO_POOR: Final = ("#08306b", "#2e7ab8", "#8fbfe0", "#d3e2f0")
CROSS: Final = "M-0.7,-0.7L0.7,0.7M-0.7,0.7L0.7,-0.7"
STAR: Final = (
    "M0,-1L0.247,-0.34L0.951,-0.309L0.4,0.13L0.588,0.809L0,0.42"
    "L-0.588,0.809L-0.4,0.13L-0.951,-0.309L-0.247,-0.34Z"
)
_TAKEOVER: Final = 5  # results before which no surface is worth a picture


@dataclass(frozen=True)
class Step:
    """A trial that differs from the best point at its proposal on one axis.

    Attributes:
        trial: as it ended.
        moment: when it was proposed.
        base: the best point then.
        axis: the axis.
    """

    trial: Trial
    moment: Moment
    base: Point
    axis: int

    @property
    def line(self) -> list[Point]:
        """All points of the grid on it."""
        return self.moment.line(self.base, self.axis)


def step_of(study: Study, trial: Trial) -> Step | None:
    """The step that a trial is, None if it is none."""
    moment = Moment.before(study, trial)
    base = moment.history.best()
    if base is None or trial.status is not Status.DONE or len(moment.history) < _TAKEOVER:
        return None
    axes = [
        axis for axis, pair in enumerate(zip(base, trial.point, strict=True)) if len({*pair}) > 1
    ]
    return Step(trial, moment, base, axes[0]) if len(axes) == 1 else None


def chosen_step(study: Study) -> Step | None:
    """A telling step: a new best first, then a point under way and many measured on its line."""

    def rank(step: Step) -> tuple[bool, float, int]:
        history, line = step.moment.history, step.line
        after = Moment.before(study, None).history
        waiting = sum(point in step.moment.pending for point in line)
        measured = sum(point in history for point in line)
        improves = after.key(step.trial.point) < history.key(step.base)
        return improves, measured + 1.5 * waiting, -step.trial.number

    long = [axis for axis, levels in enumerate(study.config.grid.axes) if len(levels) > 4]
    steps = [step for trial in study.trials if (step := step_of(study, trial)) is not None]
    return max((step for step in steps if step.axis in long), key=rank, default=None)


# -- the surface along a line ----------------------------------------------------------------------


def line_figure(step: Step) -> Spec:
    """The surface along a line, and below it how promising each of its free points is."""
    moment, goal = step.moment, step.moment.study.goal
    axis = moment.study.config.grid.axes[step.axis]
    across = _levels_axis(axis)
    bare = {**across, "title": None, "axis": None}
    later = moment.target_of(goal.cost(step.trial.metrics))
    mean, deviation = Surface(moment, goal.metric).along(step.line)
    band = [
        {"x": k, "mean": m, "low": m - d, "high": m + d}
        for k, (m, d) in enumerate(zip(mean.tolist(), deviation.tolist(), strict=True))
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
    best = {"y": moment.target_of(_cost(moment, step.base)), "text": "best so far", "x": 0}
    next_row = next(row for row in points if row["kind"] == _PROPOSED)
    upper: list[Spec] = [
        _layer(band, _area(), x=bare, y={**y, "field": "low"}, y2={"field": "high"}),
        _layer([best], _rule(), y=y),
        _layer(band, {"type": "line", "color": BLUE, "strokeWidth": 2}, x=bare, y=_of(y, "mean")),
        _layer(
            [{"x": next_row["x"], "y": next_row["y"], "y2": later}],
            {"type": "rule", "color": RED, "strokeWidth": 1.2, "strokeDash": [2, 2]},
            x=bare,
            y=y,
            y2={"field": "y2"},
        ),
        _layer(points, {"type": "point", "size": 95, "opacity": 1}, x=bare, y=y, **_kinds(points)),
    ]
    wide = max(band, key=lambda row: row["high"] - row["low"])
    labels = [{"x": wide["x"], "y": wide["high"], "text": "mean ± one deviation"}]
    inside = _text(BLUE, align="center", baseline="top", dy=7)
    upper.append(_layer(labels, inside, x=bare, y=y, text={"field": "text"}))
    others = len(moment.pending)
    return {
        "title": {
            "text": f"Trial {step.trial.number}: a step along {axis.name} from the best point",
            "subtitle": f"the surface on that line after {count(len(moment.history), 'result')}, "
            f"with {count(others, 'point')} under way; the step found "
            f"{goal.metric} {number(step.trial.metrics[goal.metric])}",
        },
        "spacing": 26,
        "vconcat": [
            {"width": WIDTH - 70, "height": 270, "layer": upper},
            {"width": WIDTH - 70, "height": 66, "layer": _promise(step, across)},
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


def _promise(step: Step, across: Spec) -> list[Spec]:
    """How promising each free point is, in parts of the most promising one's."""
    moment, line = step.moment, step.line
    grid = moment.study.config.grid
    taken = {*moment.measured, *moment.pending}
    free = [k for k, point in enumerate(line) if point not in taken and grid.allows(point)]
    ratings = moment.ratings([line[k] for k in free])
    shares = np.exp(ratings - ratings.max()).tolist()
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
    bounds = moment.study.goal.bounds
    chance = f" × probability that the {'bound holds' if len(bounds) == 1 else 'bounds hold'}"
    words = [{"text": "expected improvement" + (chance if bounds else "")}]
    above = _text(SOFT, align="left", baseline="bottom", dy=-4)
    said = _layer(words, above, x={"value": 0}, y={"value": 0}, text={"field": "text"})
    return [
        said,
        _layer(rows, {**bar, "color": "#8fbce6"}, x=shown, y=y),
        _layer(proposed, {**bar, "color": RED}, x=shown, y=y),
    ]


def _cost(moment: Moment, point: Point) -> float:
    metrics = moment.history.metrics(point)
    return math.nan if metrics is None else moment.study.goal.cost(metrics)


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
    return {**_labelled(ticks), "gridDash": [2, 3]}


def _round_steps(width: float) -> list[float]:
    """Distances of ticks, coarse to fine."""
    power = 10.0 ** math.floor(math.log10(width or 1.0))
    return [power * share for share in (1, 0.5, 0.2, 0.1, 0.05)]


# -- the walk over the grid ------------------------------------------------------------------------


def walk_figure(study: Study) -> Spec:
    """The objective and the level of each axis of all trials, in the order of proposal."""
    goal, grid = study.goal, study.config.grid
    rows = _trial_rows(study)
    x = {
        "field": "trial",
        "type": "quantitative",
        "scale": {"domain": [0.3, len(study.trials) + 0.7], "nice": False},
        "title": None,
        "axis": {"labels": False, "ticks": False, "grid": False, "domain": False},
    }
    values = [row["value"] for row in rows if "value" in row]
    best = study.best
    keep = [] if best is None else [best.metrics[goal.metric]]
    first = _first_points(study)
    start = {"trial": 0.5, "end": first + 0.5}
    top = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 4, "gridDash": [2, 3]},
        "scale": {"domain": list(focus(values, keep)), "nice": False, "zero": False},
    }
    panels = [_walk_panel(rows, _best_steps(study, None), x, top, start, 96, goal.metric)]
    for k, axis in enumerate(grid.axes):
        y = {**_levels_axis(axis), "field": f"p{k}", "title": None}
        y["axis"] = {**y["axis"], **_few(axis, 4), "grid": False, "labelAngle": 0}
        last = k == len(grid.axes) - 1
        below = {**x, "title": "trial", "axis": {"grid": False, "tickMinStep": 1}} if last else x
        steps = _best_steps(study, k)
        panels.append(_walk_panel(rows, steps, below, y, start, 74, axis.name))
    return {
        "title": {
            "text": f"{len(study.trials)} trials in the order of proposal",
            "subtitle": _how_to_read(rows, goal.metric, first),
        },
        "spacing": 4,
        "vconcat": panels,
    }


def _how_to_read(rows: list[Row], metric: str, first: int) -> list[str]:
    lines = [f"{metric} and the level of each axis; darker is better, red is the best so far."]
    kinds = {row["kind"] for row in rows}
    crosses = {"outside": "orange crosses break a bound", "failed": "grey crosses failed"}
    words = [text for kind, text in crosses.items() if kind in kinds]
    if first:
        words.insert(0, "shaded: the first points, before a surface decides")
    text = "; ".join(words)
    return [*lines, text[:1].upper() + text[1:] + "."] if words else lines


def _walk_panel(
    rows: list[Row],
    steps: list[Row],
    x: Spec,
    y: Spec,
    start: Row,
    height: int,
    title: str,
) -> Spec:
    shade = {"type": "rect", "color": SOFT, "opacity": 0.08}
    layers = [
        _layer([start], shade, x={**x, "field": "trial"}, x2={"field": "end"}),
        _layer(
            steps,
            {"type": "line", "interpolate": "step-after", "color": RED, "strokeWidth": 1.4},
            x=x,
            y=y,
        ),
    ]
    look = {"type": "point", "opacity": 1, "clip": y["field"] == "value"}
    color = {
        "field": "rank",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 0.33, 0.67, 1], "range": list(GOOD_TO_POOR)},
    }
    size = 34 if len(rows) > 150 else 52
    for kind in ("failed", "outside", "within"):
        chosen = [row for row in rows if row["kind"] == kind and y["field"] in row]
        if kind == "within":
            layers.append(
                _layer(
                    chosen,
                    {**look, "filled": True, "size": size, "stroke": "#ffffff", "strokeWidth": 0.6},
                    x=x,
                    y=y,
                    fill=color,
                )
            )
        elif chosen:
            tint = ORANGE if kind == "outside" else SOFT
            mark = {**look, "shape": CROSS, "size": 26, "stroke": tint, "strokeWidth": 1.3}
            layers.append(_layer(chosen, {**mark, "opacity": 0.75}, x=x, y=y))
    star = [row for row in rows if row["best"]]
    mark = {
        **look,
        "shape": STAR,
        "size": 190,
        "fill": RED,
        "stroke": "#ffffff",
        "strokeWidth": 0.8,
    }
    layers.append(_layer(star, mark, x=x, y=y))
    name = {"text": title, "anchor": "start", "fontSize": 12, "frame": "group", "offset": 5}
    return {"title": name, "width": WIDTH - 70, "height": height, "layer": layers}


def _trial_rows(study: Study) -> list[Row]:
    """All trials that have ended: value, kind, levels, and 0 (best) to 1 by rank among the able."""
    goal = study.goal
    able = [t for t in study.trials if t.status is Status.DONE and goal.feasible(t.metrics)]
    order = {t.number: k for k, t in enumerate(sorted(able, key=lambda t: goal.cost(t.metrics)))}
    rows = []
    for trial in study.trials:
        if trial.status not in (Status.DONE, Status.FAILED):
            continue
        row: Row = {"trial": trial.number, "kind": "failed", "best": trial is study.best}
        if (metrics := result(trial)) is not None:
            row["value"] = metrics[goal.metric]
            row["kind"] = "within" if trial.number in order else "outside"
            row["rank"] = order.get(trial.number, 0) / max(1, len(able) - 1)
        rows.append(row | {f"p{k}": level for k, level in enumerate(trial.point)})
    return rows


def _best_steps(study: Study, axis: int | None) -> list[Row]:
    """The best trial so far in order of proposal: its level on an axis, or its value."""
    goal = study.goal
    field = "value" if axis is None else f"p{axis}"
    rows: list[Row] = []
    best: Trial | None = None
    for trial in study.trials:
        if trial.status is not Status.DONE or not goal.feasible(trial.metrics):
            continue
        if best is None or goal.cost(trial.metrics) < goal.cost(best.metrics):
            best = trial
            at = best.metrics[goal.metric] if axis is None else best.point[axis]
            rows.append({"trial": trial.number, field: at})
    return [*rows, {"trial": len(study.trials) + 0.7, field: rows[-1][field]}] if rows else []


def _first_points(study: Study) -> int:
    """How many trials, from the first, were the search's first points."""
    start = FirstPoints(study.config.grid, study.config.seed)
    taken: set[Point] = set()
    for trial in study.trials:
        if start.first(taken) != trial.point:
            break
        taken.add(trial.point)
    return len(taken)


# -- what each axis does ---------------------------------------------------------------------------


def effects_figure(study: Study) -> Spec:
    """What each axis does to the objective, and to the bounded metrics, by itself."""
    moment = Moment.before(study, None)
    goal, axes = study.goal, study.config.grid.axes
    metrics = [m for m in goal.metrics if np.ptp(_known(moment, m)) > 0]
    width = (WIDTH - 70 - 16 * len(axes)) // len(axes)
    panels = []
    for place, metric in enumerate(metrics):
        surface = Surface(moment, metric)
        bands, strengths = [], []
        for k in range(len(axes)):
            mean, deviation, strength = surface.effect(k)
            both = zip(mean.tolist(), deviation.tolist(), strict=True)
            bands.append(
                [{"x": x, "mean": m, "low": m - d, "high": m + d} for x, (m, d) in enumerate(both)]
            )
            strengths.append(strength)
        rows = [row for band in bands for row in band]
        domain = [min(row["low"] for row in rows) - 0.05, max(row["high"] for row in rows) + 0.05]
        for k, (axis, band, strength) in enumerate(zip(axes, bands, strengths, strict=True)):
            y = {
                "field": "mean",
                "type": "quantitative",
                "title": metric if k == 0 else None,
                "axis": {"tickCount": 3, "labels": k == 0, "ticks": k == 0, "domain": False},
                "scale": {"domain": domain, "nice": False},
            }
            look = {"labels": place == len(metrics) - 1, "grid": False, **_few(axis, 3)}
            panel = _effect_panel(axis, band, strength, y, look)
            title = {"text": axis.name, "frame": "group", "fontSize": 12, "offset": 4}
            panel |= {"width": width, "height": 110, "title": title if place == 0 else None}
            panels.append(panel)
    return {
        "title": {
            "text": "What each axis does by itself",
            "subtitle": "mean over all other axes ± one deviation, in the units of the targets; "
            f"learned from {count(len(moment.history), 'result')}",
        },
        "spacing": {"row": 8, "column": 16},
        "align": "all",
        "columns": len(axes),
        "concat": panels,
    }


def _known(moment: Moment, metric: str) -> Array:
    targets = moment.targets(metric)
    return targets[~np.isnan(targets)]


def _effect_panel(axis: Axis, band: list[Row], strength: float, y: Spec, look: Spec) -> Spec:
    across = _levels_axis(axis)
    x = {**across, "title": None, "axis": {**across["axis"], **look}}
    words = [{"text": "strength " + (f"{strength:.2f}" if strength >= 0.005 else "0.00")}]
    above = _text(SOFT, align="left", baseline="bottom", dy=-3)
    return {
        "layer": [
            _layer(band, _area(), x=x, y=_of(y, "low"), y2={"field": "high"}),
            _layer(band, {"type": "line", "color": BLUE, "strokeWidth": 2}, x=x, y=y),
            _layer(words, above, x={"value": 0}, y={"value": 0}, text={"field": "text"}),
        ],
    }


# -- common ----------------------------------------------------------------------------------------


def write(spec: Spec, path: Path) -> None:
    """As ``path`` with the suffixes .svg and .png."""
    import vl_convert  # imported here: it loads a JavaScript engine

    light = THEMES["light"]
    config = {
        **light,
        "axis": {**light["axis"], "labelFontSize": 11},
        "title": {
            "font": FONT,
            "fontSize": 15,
            "color": INK,
            "subtitleFont": FONT,
            "subtitleColor": SOFT,
            "subtitleFontSize": 12,
            "anchor": "start",
            "offset": 14,
        },
        "padding": {"left": 14, "top": 14, "bottom": 12, "right": 18},
    }
    spec = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", **spec}
    svg = vl_convert.vegalite_to_svg(spec, config=config)
    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    path.with_suffix(".png").write_bytes(vl_convert.vegalite_to_png(spec, config=config, scale=2))


def _layer(rows: Sequence[Row], mark: Spec, **encoding: Spec) -> Spec:
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": encoding}


def _of(encoding: Spec, field: str) -> Spec:
    return {**encoding, "field": field}


def _area() -> Spec:
    return {"type": "area", "color": BLUE, "opacity": 1, "fillOpacity": 0.15}


def _rule() -> Spec:
    return {"type": "rule", "color": SOFT, "strokeDash": [4, 3], "strokeWidth": 1}


def _text(color: str, **more: Any) -> Spec:
    return {"type": "text", "color": color, "fontSize": 11, "baseline": "middle", **more}


def _levels_axis(axis: Axis) -> Spec:
    """Levels, evenly spaced, labelled by their values."""
    labels = {float(k): _short(value) for k, value in enumerate(axis.levels)}
    return {
        "field": "x",
        "type": "quantitative",
        "axis": {**_labelled(labels), "labelOverlap": "greedy", "grid": False},
        "scale": {"domain": [-0.5, len(axis) - 0.5], "nice": False},
    }


def _few(axis: Axis, labels: int) -> Spec:
    """So many levels labelled at most."""
    last = len(axis) - 1
    return {"values": sorted({round(last * k / (labels - 1)) for k in range(labels)})}


def _short(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _labelled(ticks: Mapping[float, str]) -> Spec:
    texts = {str(round(place * 1e6)): text for place, text in ticks.items()}
    return {
        "values": sorted(ticks),
        "labelExpr": f"({json.dumps(texts)})[round(datum.value * 1e6)]",
    }
