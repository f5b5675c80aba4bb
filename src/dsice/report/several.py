"""A page that compares several studies: the best so far over time, and the best of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from dsice import __version__
from dsice.domain import Domain, focus
from dsice.errors import DsiceError
from dsice.files import write_into
from dsice.report.html import page
from dsice.report.parts import SECTIONS, Parts, environment, packed
from dsice.report.scales import TICKS, Figure, Row, Spec, framed, mark, quantity, tip
from dsice.report.words import moment, parameter
from dsice.several.comparison import Comparison, Side
from dsice.several.show import agreement_text
from dsice.study.facts import Trial
from dsice.study.summary import metric_text, repeats_text
from dsice.text import plain
from dsice.units import count, duration

_DASHES: Final = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [12, 4]]
_RATIO: Final = 30.0
_UNITS: Final = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def write_comparison(found: Comparison, path: Path) -> Path:
    """Write the page of several studies, a file that works offline; return its path.

    Raises:
        DsiceError: the file cannot be written.
    """
    try:
        write_into(path, comparison_page(found))
    except OSError as error:
        raise DsiceError(f"cannot write the report to {path}: {error.strerror}") from error
    return path


def comparison_page(found: Comparison) -> str:
    """The page of several studies, as HTML text."""
    figures = [_trials_figure(found), *_time_figure(found)]
    values = {
        "goal": plain(str(found.goal)),
        "metric": plain(found.goal.metric, 60),
        "sides": [_side(found, side) for side in found.sides],
        "steps": [(str(step), _after(found, step)) for step in found.steps],
        "params": [
            (
                plain(name, 60),
                ["" if value is None else parameter(value) for value in values],
                len({repr(value) for value in values}) == 1,
            )
            for name, values in found.params.items()
        ],
        "agreements": [
            f"{plain(found.sides[0].label)} and {plain(side.label)}: {agreement_text(each)}."
            for side, each in zip(found.sides[1:], found.agreements, strict=True)
        ],
        "figures": figures,
        "made": moment(time.time()),
        "version": __version__,
    }
    template = environment().get_template("several.html")
    sections = dict.fromkeys(SECTIONS, "")
    for name, block in template.blocks.items():
        sections[name] = "".join(block(template.new_context(values))).strip()
    name = " and ".join(side.label for side in found.sides[:3])
    programs = ("data.js", "several.js", "figures.js")
    return page(name, Parts(sections, *packed(figures)), programs, {}, single=False)


def _side(found: Comparison, side: Side) -> dict[str, Any]:
    goal, best = found.goal, side.best
    value = "none within the bounds"
    if best is not None:
        value = metric_text(goal.metric, best.counted.metrics[goal.metric], goal)
    return {
        "label": plain(side.label),
        "directory": plain(str(side.study.directory.path)),
        "best": value,
        "spread": "" if best is None else repeats_text(best, goal.metric),
        "trial": "" if best is None else str(best.counted.number),
        "measured": count(side.measured, "trial"),
        "failed": str(side.failed),
        "wall": duration(side.wall),
        "work": duration(side.work),
    }


def _after(found: Comparison, step: int) -> list[str]:
    goal = found.goal
    values = [side.after(goal, step) for side in found.sides]
    return ["" if v is None else metric_text(goal.metric, v, goal) for v in values]


def _trials_figure(found: Comparison) -> Figure:
    """The best so far of each study over its measured trials."""
    rows: list[Row] = []
    for side in found.sides:
        steps = [(float(each.after), each.best) for each in side.incumbents]
        rows += _rows(found, side, steps, side.measured)
    most = max(side.measured for side in found.sides)
    x = quantity("x", "trials measured", Domain(0, most + 0.5), tickCount=TICKS, tickMinStep=1)
    x["axis"] |= {"grid": False, "format": "d"}
    title = f"Best {plain(found.goal.metric, 60)} over trials"
    note = "Each line is the best so far of one study that keeps the bounds of the first."
    return Figure("several-trials", title, note, _lines(found, title, rows, x))


def _time_figure(found: Comparison) -> list[Figure]:
    """The best so far over the total time of all jobs, the cost of each study."""
    seconds = max(side.work for side in found.sides)
    if not seconds:
        return []
    unit, size = next((u for u in _UNITS if seconds >= 3 * u[1]), _UNITS[-1])
    rows: list[Row] = []
    for side in found.sides:
        spent, at = 0.0, {}
        for trial in side.study.finished:
            spent += sum(attempt.seconds for attempt in trial.attempts)
            at[trial.number] = spent / size
        steps = [(at[each.latest.number], each.best) for each in side.incumbents]
        rows += _rows(found, side, steps, side.work / size)
    x = quantity("x", f"{unit} of jobs, one after another", Domain(0, seconds / size))
    x["axis"] |= {"grid": False, "tickCount": TICKS}
    title = f"Best {plain(found.goal.metric, 60)} over the time of jobs"
    return [Figure("several-time", title, "", _lines(found, title, rows, x))]


def _rows(
    found: Comparison, side: Side, steps: Sequence[tuple[float, Trial]], end: float
) -> list[Row]:
    """The line of a study: its best feasible value, from where it was found to ``end``."""
    goal, label = found.goal, plain(side.label, 40)
    rows: list[Row] = []
    for x, trial in steps:
        if not goal.feasible(trial.metrics):
            continue
        value = trial.metrics[goal.metric]
        told = f"{label}\ntrial {trial.number}: {metric_text(goal.metric, value, goal)}"
        rows.append({"x": x, "y": value, "study": label, "tip": told})
    return [*rows, {**rows[-1], "x": float(end)}] if rows else []


def _lines(found: Comparison, title: str, rows: list[Row], x: Spec) -> Spec:
    labels = [plain(side.label, 40) for side in found.sides]
    values = [row["y"] for row in rows]
    # A line that starts far off needs a logarithmic scale to be visible as a whole.
    log = bool(values) and min(values) > 0 and max(values) / min(values) >= _RATIO
    domain = focus(values, values if log else (), log=log)
    y = quantity("y", plain(found.goal.metric, 60), domain)
    legend = {"orient": "top", "symbolType": "stroke", "symbolStrokeWidth": 2, "symbolSize": 250}
    study: Spec = {"field": "study", "type": "nominal", "legend": legend}
    dashes = [_DASHES[k % len(_DASHES)] for k in range(len(labels))]
    stroke = {**study, "scale": {"domain": labels, "range": "study"}}
    dash = {**study, "scale": {"domain": labels, "range": dashes}}
    layers: list[Spec] = [
        {
            "data": {"values": rows},
            "mark": mark("line", "several", interpolate="step-after"),
            "encoding": {"x": x, "y": y, "stroke": stroke, "strokeDash": dash},
        },
        {
            "data": {"values": rows},
            "mark": mark("point", "several", size=30, opacity=1),
            "encoding": {"x": x, "y": y, "stroke": stroke, "tooltip": tip()},
        },
    ]
    return framed(title, layers, 320)
