"""Pictures of the comparison: how the regret falls, as Vega-Lite specifications."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.compare.problems import GROUPS, Array
from benchmarks.compare.scores import FLOOR
from benchmarks.compare.summary import Cell, aggregate
from dsice.report.themes import FONT, THEMES

Spec = dict[str, Any]

HEIGHT: Final = 380
WIDTH: Final = 270
LABEL: Final = 11
"""Font size of the names, which stand one line apart at least."""
TOP: Final = 8.0
"""The largest regret shown, in those of random search with the whole budget."""
POINTS: Final = 273
"""Of each line."""

_TITLES: Final = {
    "autotune": "kernels (auto-tuning)",
    "hpo": "hyperparameters",
    "synthetic": "textbook functions",
}
_ACCENT: Final = "#c2183c"
_REST: Final = "#8a8f98"
_FAMILIES: Final[Mapping[str, str]] = {
    "dsice": "#7fa8d6",
    "local-search": "#3c4350",
    "random": "#9aa3b2",
    "optuna": "#5f9e94",
    "nevergrad": "#a99a4e",
    "kernel-tuner": "#a583b5",
    "opentuner": "#b3794c",
    "smac": "#7d8f5a",
    "botorch": "#b0727c",
    "ax": "#8c6d9c",
    "deephyper": "#6d86a8",
    "syne-tune": "#a3875f",
}


def regret(cell: Cell, reference: str, *, in_time: bool = False) -> Spec:
    """How it falls with every evaluation, or in time, where idle workers show.

    One panel for each group of problems; the names stand at the ends of their lines.
    """
    groups = {group: _lines(cell, group, in_time) for group in GROUPS}
    groups = {group: lines for group, lines in groups.items() if lines}
    least = min(float(line[-1]) for lines in groups.values() for line in lines.values())
    bottom = max(FLOOR, min(0.1, 0.8 * least))
    x = _moments() if in_time else np.arange(1.0, cell.budget + 1)
    title = "time, until never-idle workers have done all" if in_time else "evaluations"
    panels = [
        _panel(lines, (x, title), bottom, _TITLES[group], reference, first=number == 0)
        for number, (group, lines) in enumerate(groups.items())
    ]
    workers = "1 worker" if cell.workers == 1 else f"{cell.workers} workers"
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {
            "text": f"What is left to gain, with {workers}" + (", in time" if in_time else ""),
            "subtitle": "mean regret; 1 is what random search has after all evaluations",
            "anchor": "start",
            "offset": 14,
        },
        "spacing": 28,
        "hconcat": panels,
        # Panels may show different tuners: each maps names to colours by itself.
        "resolve": {"scale": {"color": "independent"}},
    }


def write(spec: Spec, path: Path) -> None:
    """To ``path``: an .svg or a .png."""
    import vl_convert  # imported here: it loads a JavaScript engine

    padding = {"left": 12, "top": 12, "bottom": 12, "right": 24}
    config = {**THEMES["light"], "title": _title(), "padding": padding}
    if path.suffix == ".png":
        path.write_bytes(vl_convert.vegalite_to_png(spec, config=config, scale=2))
    else:
        path.write_text(vl_convert.vegalite_to_svg(spec, config=config), encoding="utf-8")


def _title() -> Spec:
    return {"font": FONT, "fontSize": 15, "subtitleFont": FONT, "subtitleColor": "#5d6778"}


def _lines(cell: Cell, group: str, in_time: bool) -> dict[str, Array]:
    """The aggregated regret of each tuner that has all problems of the group."""
    problems = [name for name, problem in cell.problems.items() if problem.group == group]
    moments = _moments()
    lines = {}
    for tuner, runs in cell.runs.items():
        if problems and all(name in runs for name in problems):
            curves = cell.curves_in_time(tuner, moments) if in_time else cell.curves(tuner)
            lines[tuner] = aggregate(curves, cell, problems)
    return lines


def _moments() -> Array:
    return np.linspace(0, 1, POINTS + 1)[1:]


def _panel(
    lines: Mapping[str, Array],
    across: tuple[Array, str],
    bottom: float,
    title: str,
    reference: str,
    *,
    first: bool,
) -> Spec:
    # The reference is drawn last, above the others.
    order = sorted(lines, key=lambda tuner: tuner == reference)
    places_x, title_x = across
    last = float(places_x[-1])
    steps = sorted({round(step) for step in np.linspace(1, len(places_x), POINTS)})
    rows = [
        {
            "tuner": tuner,
            "x": float(places_x[step - 1]),
            "regret": max(float(lines[tuner][step - 1]), bottom),
        }
        for tuner in order
        for step in steps
    ]
    ends = {tuner: max(float(lines[tuner][-1]), bottom) for tuner in order}
    places = _apart(ends, bottom)
    labels = [{"tuner": t, "x": last * 1.055, "y": places[t]} for t in order]
    leaders = [
        {"tuner": t, "x": last * x, "y": y}
        for t in order
        for x, y in ((1.0, ends[t]), (1.045, places[t]))
    ]
    x = {"type": "quantitative", "scale": {"domain": [0, last], "nice": False}}
    y = {"type": "quantitative", "scale": {"type": "log", "domain": [bottom, TOP], "nice": False}}
    color = {
        "field": "tuner",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": order, "range": [_color(tuner, reference) for tuner in order]},
    }
    thick = {"condition": {"test": f"datum.tuner === '{reference}'", "value": 3}, "value": 1.4}
    bold = {"condition": {"test": f"datum.tuner === '{reference}'", "value": 13}, "value": LABEL}
    x_axis = {"title": title_x, "tickCount": 6, "grid": False}
    y_axis = {
        "title": "regret" if first else None,
        "values": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
        "format": "~r",
    }
    detail = {"field": "tuner", "type": "nominal"}
    return {
        "title": {"text": title, "anchor": "start", "fontSize": 12, "offset": 8},
        "width": WIDTH,
        "height": HEIGHT,
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "line", "clip": True, "interpolate": "step-after"},
                "encoding": {
                    "x": {"field": "x", **x, "axis": x_axis},
                    "y": {"field": "regret", **y, "axis": y_axis},
                    "color": color,
                    "strokeWidth": thick,
                },
            },
            {
                "data": {"values": leaders},
                "mark": {"type": "line", "strokeWidth": 0.7},
                "encoding": {
                    "x": {"field": "x", **x},
                    "y": {"field": "y", **y},
                    "color": color,
                    "detail": detail,
                },
            },
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "left", "baseline": "middle"},
                "encoding": {
                    "x": {"field": "x", **x},
                    "y": {"field": "y", **y},
                    "text": detail,
                    "color": color,
                    "size": bold,
                },
            },
        ],
    }


def _apart(ends: Mapping[str, float], bottom: float) -> dict[str, float]:
    """Where the names stand: near the ends of their lines, in their order, never over each other.

    Names that would overlap form a block around the mean of their places, and blocks that would
    overlap become one.
    """
    scale = HEIGHT / math.log(TOP / bottom)
    names = sorted(ends, key=lambda tuner: ends[tuner])
    blocks: list[tuple[list[str], float]] = []  # names, and the mean of their places
    for name in names:
        block = ([name], scale * math.log(ends[name] / bottom))
        while blocks and block[1] - _half(block[0]) < blocks[-1][1] + _half(blocks[-1][0]):
            below = blocks.pop()
            together = [*below[0], *block[0]]
            mean = (below[1] * len(below[0]) + block[1] * len(block[0])) / len(together)
            block = (together, max(mean, _half(together) - LABEL / 2))
        blocks.append(block)
    return {
        name: bottom * math.exp((centre + (k - (len(block) - 1) / 2) * (LABEL + 1)) / scale)
        for block, centre in blocks
        for k, name in enumerate(block)
    }


def _half(block: Sequence[str]) -> float:
    return len(block) * (LABEL + 1) / 2


def _color(tuner: str, reference: str) -> str:
    if tuner == reference:
        return _ACCENT
    return next((color for name, color in _FAMILIES.items() if tuner.startswith(name)), _REST)
