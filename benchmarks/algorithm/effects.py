"""What each axis does by itself, by the models learned from all results."""

from __future__ import annotations

import numpy as np

from benchmarks.algorithm.drawing import (
    BLUE,
    SOFT,
    WIDTH,
    Row,
    Spec,
    area,
    few,
    layer,
    levels_axis,
    of,
    text,
)
from benchmarks.algorithm.moment import MetricModel, Moment
from dsice.gp.axis import Array
from dsice.grid import Axis
from dsice.study.state import Study
from dsice.units import count


def effects_figure(study: Study) -> Spec:
    """What each axis does to the objective, and to the bounded metrics, by itself."""
    moment = Moment.before(study, None)
    goal, axes = study.goal, study.config.grid.axes
    metrics = [m for m in goal.metrics if np.ptp(_known(moment, m)) > 0]
    width = (WIDTH - 70 - 16 * len(axes)) // len(axes)
    panels = []
    for place, metric in enumerate(metrics):
        model = MetricModel(moment, metric)
        bands, variances = [], []
        for k in range(len(axes)):
            mean, std, variance = model.effect(k)
            both = zip(mean.tolist(), std.tolist(), strict=True)
            bands.append(
                [{"x": x, "mean": m, "low": m - d, "high": m + d} for x, (m, d) in enumerate(both)]
            )
            variances.append(variance)
        rows = [row for band in bands for row in band]
        domain = [min(row["low"] for row in rows) - 0.05, max(row["high"] for row in rows) + 0.05]
        for k, (axis, band, variance) in enumerate(zip(axes, bands, variances, strict=True)):
            y = {
                "field": "mean",
                "type": "quantitative",
                "title": metric if k == 0 else None,
                "axis": {"tickCount": 3, "labels": k == 0, "ticks": k == 0, "domain": False},
                "scale": {"domain": domain, "nice": False},
            }
            look = {"labels": place == len(metrics) - 1, "grid": False, **few(axis, 3)}
            panel = _effect_panel(axis, band, variance, y, look)
            title = {"text": axis.name, "frame": "group", "fontSize": 12, "offset": 4}
            panel |= {"width": width, "height": 110, "title": title if place == 0 else None}
            panels.append(panel)
    return {
        "title": {
            "text": "What each axis does by itself",
            "subtitle": "mean over all other axes ± one standard deviation, in the units of the "
            f"targets; learned from {count(len(moment.history), 'result')}",
        },
        "spacing": {"row": 8, "column": 16},
        "align": "all",
        "columns": len(axes),
        "concat": panels,
    }


def _known(moment: Moment, metric: str) -> Array:
    targets = moment.targets(metric)
    return targets[~np.isnan(targets)]


def _effect_panel(axis: Axis, band: list[Row], variance: float, y: Spec, look: Spec) -> Spec:
    across = levels_axis(axis)
    x = {**across, "title": None, "axis": {**across["axis"], **look}}
    words = [{"text": "variance " + (f"{variance:.2f}" if variance >= 0.005 else "0.00")}]
    above = text(SOFT, align="left", baseline="bottom", dy=-3)
    spread, middle = area(), {"type": "line", "color": BLUE, "strokeWidth": 2}
    if not axis.ordered:
        spread = {"type": "rule", "color": BLUE, "opacity": 0.25, "strokeWidth": 5}
        middle = {"type": "point", "filled": True, "color": BLUE, "size": 60, "opacity": 1}
    return {
        "layer": [
            layer(band, spread, x=x, y=of(y, "low"), y2={"field": "high"}),
            layer(band, middle, x=x, y=y),
            layer(words, above, x={"value": 0}, y={"value": 0}, text={"field": "text"}),
        ],
    }
