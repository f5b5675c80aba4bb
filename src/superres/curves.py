"""The curves of a training run, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from superres.files import write_whole
from superres.monitor import Report

# What the curves are of, and what they are over: terms of the loss have no unit.
_TITLES = {
    "loss": "weighted loss",
    "mse": "pixel term",
    "vgg": "perceptual term",
    "adv": "adversarial term",
    "style": "style term",
    "discriminator": "discriminator's loss",
    "rmse": "RMSE of patches",
    "val_rmse": "RMSE of test images",
    "val_niqe": "NIQE of test images",
    "val_psnr": "PSNR of test images",
    "val_ma": "Ma's score of test images",
    "val_pi": "PI of test images",
}


def write_curves(reports: Sequence[Report], folder: Path) -> None:
    """Write `curves.json`, all reports, and `curves.svg`, a panel for each of their names."""
    numbers = json.dumps(list(reports)) + "\n"
    write_whole(folder / "curves.json", lambda file: file.write(numbers.encode()))
    # Imported here, as it takes a second and only this function needs it.
    import vl_convert

    svg = vl_convert.vegalite_to_svg(_chart(reports))
    write_whole(folder / "curves.svg", lambda file: file.write(svg.encode()))


def _chart(reports: Sequence[Report]) -> dict[str, Any]:
    points = [
        {"step": report["step"], "what": _TITLES[name], "value": value}
        for report in reports
        for name, value in report.items()
        if name in _TITLES
    ]
    there = {point["what"] for point in points}
    line = {
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step"},
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False, "nice": True},
            },
        },
        "width": 220,
        "height": 130,
    }
    return {
        "data": {"values": points},
        "facet": {
            "field": "what",
            "type": "nominal",
            "title": None,
            "sort": [title for title in _TITLES.values() if title in there],
        },
        "columns": 3,
        "spec": line,
        "resolve": {"scale": {"y": "independent"}, "axis": {"x": "independent"}},
        "config": {"background": "white", "view": {"stroke": None}},
    }
