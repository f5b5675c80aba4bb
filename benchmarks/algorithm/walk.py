"""All trials in the order of proposal: the objective, and where they lie on each axis."""

from __future__ import annotations

from benchmarks.algorithm.drawing import (
    CROSS,
    GOOD_TO_POOR,
    ORANGE,
    RED,
    SOFT,
    STAR,
    WIDTH,
    Row,
    Spec,
    few,
    layer,
    levels_axis,
)
from benchmarks.algorithm.moment import result
from dsice.domain import focus
from dsice.grid import Point
from dsice.search.start import FirstPoints
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.study.task import Status


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
    best = study.best_or_none
    keep = [] if best is None else [best.metrics[goal.metric]]
    first = _first_points(study)
    start = {"trial": 0.5, "end": first + 0.5}
    top = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "axis": {"tickCount": 4, "gridDash": [2, 3]},
        "scale": {"domain": list(focus(values, keep, log=False)[:2]), "nice": False, "zero": False},
    }
    panels = [_walk_panel(rows, _best_steps(study, None), x, top, start, 96, goal.metric)]
    for k, axis in enumerate(grid.axes):
        y = {**levels_axis(axis), "field": f"p{k}", "title": None}
        y["axis"] = {**y["axis"], **few(axis, 4), "grid": False, "labelAngle": 0}
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
        words.insert(0, "shaded: the first points, before a model decides")
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
        layer([start], shade, x={**x, "field": "trial"}, x2={"field": "end"}),
        layer(
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
                layer(
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
            layers.append(layer(chosen, {**mark, "opacity": 0.75}, x=x, y=y))
    star = [row for row in rows if row["best"]]
    mark = {
        **look,
        "shape": STAR,
        "size": 190,
        "fill": RED,
        "stroke": "#ffffff",
        "strokeWidth": 0.8,
    }
    layers.append(layer(star, mark, x=x, y=y))
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
        row: Row = {"trial": trial.number, "kind": "failed", "best": trial is study.best_or_none}
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
    grid = study.config.grid
    start = FirstPoints(grid, study.config.seed)
    taken: set[Point] = set()
    for trial in study.trials:
        if start.first(lambda point: grid.program(point) in taken) != trial.point:
            break
        taken.add(grid.program(trial.point))
    return len(taken)
