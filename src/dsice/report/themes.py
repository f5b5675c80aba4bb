"""The light and the dark theme of the figures, as Vega configurations.

A figure gives the meaning of its marks (``"style": "frontier"``); their look is defined only here.
The colours are distinguishable for colour-blind readers, and no figure relies on colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def _theme(ink: str, soft: str, grid: str, paper: str, colors: Mapping[str, str]) -> dict[str, Any]:
    label = {"labelColor": soft, "labelFontSize": 11, "labelFont": FONT}
    title = {"titleColor": ink, "titleFontSize": 12, "titleFont": FONT, "titleFontWeight": 600}
    return {
        "background": paper,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **label,
            **title,
            "domainColor": soft,
            "tickColor": soft,
            "gridColor": grid,
            "titlePadding": 8,
        },
        "axisX": {"titleLimit": 300},
        "axisY": {"titleLimit": 180},
        "legend": {
            **label,
            "labelColor": ink,
            "labelFontSize": 12,
            "title": None,
            "symbolSize": 90,
        },
        "range": {
            "group": [colors[k] for k in ("within", "outside", "best", "start")],
            "when": [colors["within"], colors["outside"], colors["best"], colors["idle"]],
            "quality": [colors["within"], colors["idle"]],
            "spot": [paper, colors["best"]],
            "surface": [colors["within"], grid],
            "study": [colors[k] for k in ("within", "outside", "start", "best", "idle", "running")],
            "curve": [colors[k] for k in ("within", "outside", "idle", "running", "outside")],
            "pair": [colors["within"], colors["outside"]],
            "outcome": [
                colors[k] for k in ("within", "outside", "start", "idle", "running", "idle")
            ],
            # Failed and repeated jobs are hollow, so that they differ not only by colour.
            "outcomefill": [
                *(colors["within"], paper, colors["start"]),
                *(paper, colors["running"], colors["idle"]),
            ],
        },
        "point": {"strokeWidth": 1.5},
        "style": {
            "limit": {"color": ink, "strokeWidth": 1.5, "strokeDash": [5, 3]},
            "forbidden": {"color": soft, "fillOpacity": 0.12},
            "frontier": {"color": colors["best"], "strokeWidth": 2},
            "start": {"color": colors["start"], "strokeWidth": 1.5, "strokeDash": [2, 2]},
            "rug": {"color": colors["outside"], "thickness": 2},
            "curve": {"strokeWidth": 1.2, "opacity": 0.5},
            "several": {"strokeWidth": 2},
            "chosen": {"color": colors["best"], "fill": colors["best"]},
            "effect": {"color": colors["within"], "strokeWidth": 2},
            "level": {"color": colors["within"], "stroke": ink},
            "together": {"stroke": None},
            "job": {"fillOpacity": 0.8, "strokeWidth": 1.2},
            "area": {"color": colors["within"], "fillOpacity": 0.18},
            "note": {"color": ink, "fontSize": 11},
            "halo": {"color": paper, "stroke": paper, "strokeWidth": 4, "fontSize": 11},
            "startnote": {"color": colors["start"], "fontSize": 11},
            "onbar": {"color": paper, "fontSize": 11, "fontWeight": 600},
        },
    }


THEMES: Final[Mapping[str, dict[str, Any]]] = {
    "light": _theme(
        ink="#1c2330",
        soft="#5d6778",
        grid="#e6e9ee",
        paper="#ffffff",
        colors={
            "within": "#0b63b5",
            "outside": "#b45f06",
            "best": "#c2183c",
            "start": "#6b3fa0",
            "idle": "#9aa3b2",
            "running": "#8fbce6",
        },
    ),
    "dark": _theme(
        ink="#e8ebf0",
        soft="#a3acba",
        grid="#2c333f",
        paper="#171b22",
        colors={
            "within": "#62b0f4",
            "outside": "#f0a04b",
            "best": "#ff6b88",
            "start": "#c4a3f5",
            "idle": "#6d7686",
            "running": "#35597d",
        },
    ),
}
"""``config`` for Vega-Embed, by the reader's preferred colour scheme."""
