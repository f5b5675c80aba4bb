"""Figures that explain a study: a trial's line, the incumbents over time, effects of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dsice.domain import Domain, covers_decades, focus
from dsice.explain.effects import Effect, Effects, Interaction
from dsice.explain.line import OnLine, Position, TrialLine, When
from dsice.explain.walk import Step
from dsice.grid import Grid, Value
from dsice.report import words
from dsice.report.scales import (
    FREE,
    Figure,
    Row,
    Spec,
    framed,
    is_labelled,
    mark,
    parameter,
    quantity,
    tip,
)
from dsice.search.why import Estimate
from dsice.text import plain
from dsice.units import ABSENT, number, percent

STEPS: Final = 24
"""Most steps of a walk that are drawn: the last ones."""
_WHEN: Final = {
    When.BEFORE: "measured before",
    When.PENDING: "under way then",
    When.ITSELF: "this trial",
    When.LATER: "measured later",
}


def line_figure(line: TrialLine, grid: Grid, metric: str, log: bool = False) -> Figure:
    """The line on which a trial was found (the poster's Fig. 1): predictions and measurements.

    The curve and its band of one standard deviation are the search's prediction of the objective,
    ``metric``, when it proposed the trial. ``log``: the scale of the objective is logarithmic.
    """
    along = line.axes[0] if len(line.axes) == 1 else ""
    rows = [_position(position, along, grid) for position in line.positions]
    points = [
        {**_position(position, along, grid), **_measured(seen, position)}
        for position in line.positions
        for seen in position.trials
        # Until a point was feasible, the search predicted the violation instead of the objective.
        if seen.value is not None and line.quantity == metric
    ]
    measured = [point["value"] for point in points]
    estimates = [position.expected for position in line.positions if position.expected]
    y_domain = _domain(estimates, measured, log and line.quantity == metric)
    expected = [_clipped(row, y_domain) for row in rows if "mean" in row]
    y = quantity("mean", line.quantity, y_domain)
    x: Spec = {"field": "x", "type": "quantitative", "title": "steps along the line"}
    x |= {
        "scale": {"nice": False, "zero": False, "padding": 12},
        "axis": {"grid": False, "tickMinStep": 1, "format": "d"},
    }
    if along:
        x = parameter(grid.axes[grid.names.index(along)], "x")
    groups = [text for text in _WHEN.values() if any(p["group"] == text for p in points)]
    group = {"field": "group", "type": "nominal", "legend": {"orient": "top", "values": groups}}
    domain = list(_WHEN.values())
    layers: list[Spec] = [
        {
            "data": {"values": expected},
            "mark": mark("area", "area", interpolate="monotone"),
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": expected},
            "mark": mark("line", "start", interpolate="monotone", point=True),
            "encoding": {"x": x, "y": y, "tooltip": tip()},
        },
        {
            "data": {"values": points},
            "mark": {"type": "point", "clip": True, "cursor": "pointer", "opacity": 1, "size": 90},
            "encoding": {
                "x": x,
                "y": {**y, "field": "value"},
                "fill": {**group, "scale": {"domain": domain, "range": "when"}},
                "stroke": {**group, "scale": {"domain": domain, "range": "when"}},
                "shape": {
                    **group,
                    "scale": {
                        "domain": domain,
                        "range": ["circle", "triangle-up", "diamond", "square"],
                    },
                },
                "tooltip": tip(),
            },
        },
    ]
    way = f"along {plain(along)}" if along else f"over {', '.join(line.axes)} together"
    return Figure(
        name=f"line-{line.trial}",
        title=f"The line of trial {line.trial}, {way}",
        note="The curve is what the search expected when it proposed the trial, the band one "
        "standard deviation to either side.",
        spec=framed(f"{line.quantity} {way}, expected and measured", layers, 260),
    )


def walk_figure(walk: tuple[Step, ...], grid: Grid) -> Figure:
    """The incumbents over time: the levels of the best point, each time that it changed."""
    steps = walk[-STEPS:]
    rows: list[Row] = []
    columns = [f"{column} {step.trial}" for column, step in enumerate(steps)]
    for column, step in zip(columns, steps, strict=True):
        said = ", ".join(filter(None, (number(step.value), step.repeats)))
        for axis, level in zip(grid.axes, step.point, strict=True):
            applies = axis.name in step.params
            value = words.parameter(axis.levels[level]) if applies else ABSENT
            rows.append(
                {
                    "trial": step.trial,
                    "step": column,
                    "axis": axis.name,
                    "level": 0.06 + 0.5 * level / max(len(axis.levels) - 1, 1) if applies else 0.0,
                    "text": _short(axis.levels[level]) if applies else ABSENT,
                    "changed": axis.name in step.changed,
                    "tip": f"Trial {step.trial}: {said}\n{axis.name} = {value}",
                }
            )
    x: Spec = {"field": "step", "type": "ordinal", "title": "best from then on: trial"}
    # A point may become the best again, so columns are identified by their place.
    x |= {
        "scale": {"domain": columns},
        "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, ' ')[1]", **FREE},
    }
    y: Spec = {"field": "axis", "type": "ordinal", "title": None}
    y |= {"scale": {"domain": list(grid.names)}, "axis": {"labelLimit": 90}}
    cells: Spec = {
        "data": {"values": rows},
        "mark": mark("rect", "level", cursor="pointer"),
        "encoding": {
            "x": x,
            "y": y,
            "fillOpacity": {"field": "level", "type": "quantitative", "scale": None},
            "strokeWidth": {
                "condition": {"test": "datum.changed", "value": 2},
                "value": 0,
            },
            "tooltip": tip(),
        },
    }
    names: Spec = {
        "data": {"values": rows},
        "mark": mark("text", "note", opacity={"expr": f"width / {len(steps)} < 54 ? 0 : 1"}),
        "encoding": {"x": x, "y": y, "text": {"field": "text"}, "tooltip": tip()},
    }
    return Figure(
        name="walk",
        title="The walk of the best point over the grid",
        note="One column each time that another point became the best; the stronger the colour, "
        "the higher the level; framed where it changed."
        + (f" The last {STEPS} of {len(walk)}." if len(walk) > STEPS else ""),
        spec=framed("Levels of each new best", [cells, names], 34 * len(grid.axes)),
    )


def effect_figures(effects: Effects, grid: Grid, log: bool = False) -> list[Figure]:
    """The main effects of the axes with one standard deviation, the most important first.

    ``log``: the scale of the metric is logarithmic.
    """
    estimates = [each for effect in effects.effects for each in effect.estimates]
    means = [each.mean for each in estimates]
    log = log or covers_decades(means)  # averages over the grid vary more than the measurements
    domain = _domain(estimates, means, log)
    return [_effect(effect, effects.metric, domain, grid) for effect in effects.by_weight]


def _domain(estimates: Sequence[Estimate], keep: Sequence[float], log: bool) -> Domain:
    """The range to draw: most of the estimates' intervals, and all of ``keep``."""
    values = [value for each in estimates for value in (each.mean, each.low, each.high)]
    return focus(values, keep, log=log)


def _clipped(row: Row, domain: Domain) -> Row:
    """A row with values that can be drawn on a logarithmic scale."""
    if not domain.log:
        return row
    return row | {key: max(row[key], domain.low) for key in ("mean", "low", "high")}


def _effect(effect: Effect, metric: str, domain: Domain, grid: Grid) -> Figure:
    axis = grid.axes[grid.names.index(effect.axis)]
    labelled = is_labelled(axis)
    rows: list[Row] = [
        {
            "x": words.parameter(level) if labelled else level,
            "mean": estimate.mean,
            "low": estimate.low,
            "high": estimate.high,
            "tip": f"{effect.axis} = {words.parameter(level)}\n{metric} about "
            f"{number(estimate.mean)}\n{number(estimate.low)} to "
            f"{number(estimate.high)}",
        }
        for level, estimate in zip(effect.levels, effect.estimates, strict=True)
    ]
    x = parameter(axis, "x")
    x["title"] = f"{effect.axis} ({percent(effect.total)})"
    y = quantity("mean", metric, domain, tickCount=5)
    data = {"values": [_clipped(row, domain) for row in rows]}
    spread: Spec = {
        "data": data,
        "mark": mark("area", "area") if axis.ordered else mark("rule", "start"),
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }
    middle: Spec = {
        "data": data,
        "mark": mark("line", "effect", point=True) if axis.ordered else mark("point", "effect"),
        "encoding": {"x": x, "y": y, "tooltip": tip()},
    }
    index = grid.names.index(effect.axis)
    spec = framed(f"{metric} by {effect.axis}, all others averaged", [spread, middle], 190)
    return Figure(f"effect-{index}", effect.axis, "", spec)


def pair_figure(pair: Interaction, effects: Effects, grid: Grid) -> Figure:
    """The interaction of two axes: their joint effect beyond the main effects."""
    first, second = (next(e for e in effects.effects if e.axis == name) for name in pair.axes)
    most = max(abs(value) for row in pair.mean for value in row) or 1.0
    rows: list[Row] = [
        {
            "a": words.parameter(a),
            "b": words.parameter(b),
            "sign": "better together" if value < 0 else "worse together",
            "size": 0.85 * abs(value) / most,
            "tip": f"{first.axis} = {words.parameter(a)}\n{second.axis} = {words.parameter(b)}\n"
            f"{'better' if value < 0 else 'worse'} by {number(abs(value))} standard deviations",
        }
        for a, row in zip(first.levels, pair.mean, strict=True)
        for b, value in zip(second.levels, row, strict=True)
    ]

    def place(field: str, effect: Effect) -> Spec:
        levels = list(dict.fromkeys(map(words.parameter, effect.levels)))
        axis: Spec = {"labelLimit": 90, "labelAngle": 0, "ticks": False, "labelPadding": 4, **FREE}
        return {
            "field": field,
            "type": "ordinal",
            "title": effect.axis,
            "scale": {"domain": levels},
            "axis": axis,
        }

    y = place("b", second)
    y["sort"] = "descending"
    y["scale"] = {"domain": y["scale"]["domain"][::-1]}
    cells: Spec = {
        "data": {"values": rows},
        "mark": mark("rect", "together"),
        "encoding": {
            "x": place("a", first),
            "y": y,
            "fill": {
                "field": "sign",
                "type": "nominal",
                "legend": {"orient": "top"},
                "scale": {"domain": ["better together", "worse together"], "range": "pair"},
            },
            "fillOpacity": {"field": "size", "type": "quantitative", "scale": None},
            "tooltip": tip(),
        },
    }
    at = "-".join(str(grid.names.index(name)) for name in pair.axes)
    return Figure(
        name=f"pair-{at}",
        title=f"{first.axis} and {second.axis} ({percent(pair.share)})",
        note="",
        spec=framed(f"{first.axis} and {second.axis} together", [cells], 220),
    )


def _short(value: Value) -> str:
    text = number(value) if isinstance(value, float) else words.parameter(value)
    return text if len(text) <= 8 else f"{text[:7]}…"


def _position(position: Position, along: str, grid: Grid) -> Row:
    row: Row = {"x": position.step}
    if along:
        value = position.params[along]
        labelled = is_labelled(grid.axes[grid.names.index(along)])
        row["x"] = words.parameter(value) if labelled else value
    lines = [f"{name} = {words.parameter(value)}" for name, value in position.params.items()]
    if position.expected is not None:
        expected = position.expected
        row |= {"mean": expected.mean, "low": expected.low, "high": expected.high}
        low, high = number(expected.low), number(expected.high)
        lines.insert(0, f"expected {number(expected.mean)} ({low} to {high})")
    return {**row, "tip": "\n".join(lines)}


def _measured(seen: OnLine, position: Position) -> Row:
    assert seen.value is not None
    lines = [f"Trial {seen.trial}: {number(seen.value)}, {_WHEN[seen.when]}"]
    lines += [f"{name} = {words.parameter(value)}" for name, value in position.params.items()]
    return {
        "trial": seen.trial,
        "value": seen.value,
        "group": _WHEN[seen.when],
        "tip": "\n".join(lines),
    }
