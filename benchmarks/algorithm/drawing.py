"""What the pictures share: colours, layers, axes of levels, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dsice.grid import Axis
from dsice.report.themes import FONT, THEMES

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


def layer(rows: Sequence[Row], mark: Spec, **encoding: Spec) -> Spec:
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": encoding}


def of(encoding: Spec, field: str) -> Spec:
    return {**encoding, "field": field}


def area() -> Spec:
    return {"type": "area", "color": BLUE, "opacity": 1, "fillOpacity": 0.15}


def rule() -> Spec:
    return {"type": "rule", "color": SOFT, "strokeDash": [4, 3], "strokeWidth": 1}


def text(color: str, **more: Any) -> Spec:
    return {"type": "text", "color": color, "fontSize": 11, "baseline": "middle", **more}


def levels_axis(axis: Axis) -> Spec:
    """Levels, evenly spaced, labelled by their values."""
    labels = {float(k): _short(value) for k, value in enumerate(axis.levels)}
    return {
        "field": "x",
        "type": "quantitative",
        "axis": {**labelled(labels), "labelOverlap": "greedy", "grid": False},
        "scale": {"domain": [-0.5, len(axis) - 0.5], "nice": False},
    }


def few(axis: Axis, labels: int) -> Spec:
    """So many levels labelled at most."""
    last = len(axis) - 1
    return {"values": sorted({round(last * k / (labels - 1)) for k in range(labels)})}


def _short(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def labelled(ticks: Mapping[float, str]) -> Spec:
    texts = {str(round(place * 1e6)): text for place, text in ticks.items()}
    return {
        "values": sorted(ticks),
        "labelExpr": f"({json.dumps(texts)})[round(datum.value * 1e6)]",
    }
