"""Figures of several parameters: parallel coordinates, and the posterior mean over two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dsice.domain import focus
from dsice.explain.effects import Effects
from dsice.grid import Axis, Grid
from dsice.report import words
from dsice.report.board import Board
from dsice.report.scales import FREE, Figure, Row, Spec, framed, mark, tip
from dsice.study.facts import Trial
from dsice.text import plain
from dsice.units import number, percent

_TRIALS: Final = 300
_LABELS: Final = 6  # labelled levels per axis
_ABSENT: Final = -0.09  # position of parameters that do not apply
_NAMES: Final = -0.2  # position of the axes' names
_RATIO: Final = 20.0  # ratio of predicted values from which colours are logarithmic
_NARROW: Final = 90  # pixels between two axes below which their names would overlap
_SHORT: Final = 10  # characters of a label


def parallel_figure(board: Board) -> list[Figure]:
    """Each trial as a line across all parameters and the objective (parallel coordinates).

    Where a parameter does not apply to a trial, the line goes through a dash below the axis.
    """
    facts, grid = board.facts, board.facts.study.config.grid
    axes = [axis for axis in grid.axes if len(axis) > 1]
    measured = _chosen(board)
    if len(axes) < 2 or len(measured) < 2:
        return []
    metric = board.objective
    domain = board.domain("y")
    upwards = facts.goal.maximize is not None
    chosen = {trial.number for trial in measured}
    ranking = [trial.number for trial in facts.ranking if trial.number in chosen]
    rank = {number: k / max(len(ranking) - 1, 1) for k, number in enumerate(ranking)}
    names = [*(plain(axis.name, 30) for axis in axes), metric]
    rows: list[Row] = []
    for trial in measured:
        value = domain.place(trial.metrics[facts.goal.metric])
        places = [*(_place(axis, trial) for axis in axes), value if upwards else 1 - value]
        told = facts.describe(trial)
        rows += [
            {"trial": trial.number, "axis": k, "at": at, "rank": rank[trial.number], "tip": told}
            for k, at in enumerate(places)
        ]
    values = [trial.metrics[facts.goal.metric] for trial in measured]
    inside = [value for value in values if domain.holds(value)] or values
    labels: list[Row] = [
        {"axis": k, "at": at, "text": text}
        for k, axis in enumerate(axes)
        for at, text in _labels(axis, measured)
    ]
    for value in {min(inside), max(inside)}:
        at = domain.place(value) if upwards else 1 - domain.place(value)
        labels.append({"axis": len(axes), "at": at, "text": facts.metric(facts.goal.metric, value)})
    x: Spec = {
        "field": "axis",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [-0.18, len(axes) + 0.35], "nice": False, "zero": False},
        "axis": {
            "values": list(range(len(names))),
            "labels": False,
            "grid": True,
            "ticks": False,
            "domain": False,
        },
    }
    y: Spec = {
        "field": "at",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [_NAMES - 0.07, 1.03], "nice": False, "zero": False},
    }
    best = facts.best.number if facts.best else 0
    lines: Spec = {"x": x, "y": y, "detail": {"field": "trial"}, "tooltip": tip()}
    layers: list[Spec] = [
        {
            "data": {"values": rows},
            "mark": mark("line", "curve", cursor="pointer"),
            "encoding": {
                **lines,
                "order": {"field": "axis"},
                "stroke": {
                    "field": "rank",
                    "type": "quantitative",
                    "legend": None,
                    "scale": {"domain": [0, 1], "range": "quality"},
                },
            },
        },
        {
            "data": {"values": [row for row in rows if row["trial"] == best]},
            "mark": mark("line", "frontier", strokeWidth=2.5),
            "encoding": {**lines, "order": {"field": "axis"}},
        },
        *(
            {
                "data": {"values": labels},
                "mark": {"type": "text", "style": style, "align": "left", "dx": 6},
                "encoding": {"x": x, "y": y, "text": {"field": "text"}},
            }
            for style in ("halo", "note")  # lines must not cross out labels
        ),
        {
            "data": {
                "values": [{"axis": k, "at": _NAMES, "text": name} for k, name in enumerate(names)]
            },
            "mark": {
                "type": "text",
                "style": "note",
                "limit": max(40, 760 // len(names)),
                # On a narrow page every second name stands lower.
                "dy": {"expr": f"width / {len(names)} < {_NARROW} && datum.axis % 2 ? 13 : 0"},
                "fontWeight": 600,
            },
            "encoding": {"x": x, "y": y, "text": {"field": "text"}},
        },
    ]
    note = "Each line is a trial, the stronger the better; " + (
        f"the red one is trial {best}, the best. " if best else ""
    )
    note += f"At the right end, {metric}: up is better. Levels are evenly spaced."
    if len(measured) == _TRIALS:
        note += f" Drawn are {_TRIALS} trials, the best half and the latest."
    return [Figure("parallel", "All parameters at once", note, framed(note, layers, 320))]


def _chosen(board: Board) -> Sequence[Trial]:
    measured = board.facts.measured
    if len(measured) <= _TRIALS:
        return measured
    chosen = {trial.number for trial in board.facts.ranking[: _TRIALS // 2]}
    latest = [trial.number for trial in measured if trial.number not in chosen]
    chosen.update(latest[-(_TRIALS - len(chosen)) :])
    return [trial for trial in measured if trial.number in chosen]


def _place(axis: Axis, trial: Trial) -> float:
    """Where a trial crosses an axis: 0 at its first level, 1 at its last one."""
    value = trial.params.get(axis.name)
    if axis.name not in trial.params:
        return _ABSENT
    return axis.levels.index(value) / (len(axis) - 1)


def _labels(axis: Axis, measured: Sequence[Trial]) -> list[tuple[float, str]]:
    last = len(axis) - 1
    shown = sorted(
        {round(k * last / min(_LABELS - 1, last)) for k in range(min(_LABELS, last + 1))}
    )
    labels = [(k / last, _short(words.parameter(axis.levels[k]))) for k in shown]
    absent = any(axis.name not in trial.params for trial in measured)
    return [*labels, (_ABSENT, "–")] if absent else labels


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def surface_figure(effects: Effects, board: Board, log: bool) -> list[Figure]:
    """The prediction over the two most important parameters, and the positions of trials.

    ``log``: whether other figures draw the objective on a logarithmic scale.
    """
    joint, grid = effects.joint, board.facts.study.config.grid
    if joint is None:
        return []
    first, second = (next(e for e in effects.effects if e.axis == name) for name in joint.axes)
    means = [value for row in joint.means for value in row]
    # A few extreme corners must not reduce the rest to one colour.
    log = min(means) > 0 and (log or max(means) / min(means) >= _RATIO)
    domain = focus(means, means, log=log, margin=0)
    cells: list[Row] = [
        {
            "a": words.parameter(a),
            "b": words.parameter(b),
            "value": value,
            "tip": f"{first.axis} = {words.parameter(a)}\n{second.axis} = {words.parameter(b)}\n"
            f"{effects.metric} about {number(value)}",
        }
        for a, row in zip(first.levels, joint.means, strict=True)
        for b, value in zip(second.levels, row, strict=True)
    ]
    upwards = board.facts.goal.maximize is not None
    colour: dict[str, Any] = {"domain": [domain.low, domain.high], "range": "surface"}
    colour |= {"type": "log"} if domain.log else {}
    colour |= {"reverse": True} if upwards else {}
    x, y = _levels("a", grid, joint.axes[0]), _levels("b", grid, joint.axes[1])
    y["scale"] = {"domain": y["scale"]["domain"][::-1]}
    fill: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": colour,
        "legend": {"orient": "top", "gradientLength": 160, "tickCount": 3},
    }
    layers: list[Spec] = [
        {
            "data": {"values": cells},
            "mark": mark("rect", "together"),
            "encoding": {"x": x, "y": y, "fill": fill, "tooltip": tip()},
        }
    ]
    spot: Spec = {"field": "kind", "type": "nominal", "legend": None}
    spots: Spec = {
        "x": x,
        "y": y,
        "fill": {**spot, "scale": {"domain": ["trial", "best"], "range": "spot"}},
        "size": {"field": "size", "type": "quantitative", "scale": None, "legend": None},
        "tooltip": tip(),
    }
    point = {"type": "point", "style": "level", "cursor": "pointer", "opacity": 1}
    rows = _trials(board, joint.axes)
    layers.append({"data": {"values": rows}, "mark": point, "encoding": spots})
    share = percent(min(first.total + second.total, 1.0))
    title = f"{first.axis} and {second.axis}: {plain(effects.metric, 60)}"
    note = (
        "What the model of all results expects, averaged over all other parameters, for the "
        f"two that matter most ({share} of the variance). Marks are trials, whose other parameters "
        "differ; the red one is the best."
    )
    return [Figure("surface", title, note, framed(title, layers, 320))]


def _levels(field: str, grid: Grid, name: str) -> Spec:
    axis = grid.axes[grid.names.index(name)]
    levels = list(dict.fromkeys(map(words.parameter, axis.levels)))
    look: Spec = {"labelLimit": 90, "labelAngle": 0, "ticks": False, "labelPadding": 4, **FREE}
    return {
        "field": field,
        "type": "ordinal",
        "title": plain(name, 60),
        "scale": {"domain": levels},
        "axis": look,
    }


def _trials(board: Board, axes: tuple[str, str]) -> list[Row]:
    facts = board.facts
    rows = []
    for trial in _chosen(board):
        if all(name in trial.params for name in axes):
            a, b = (words.parameter(trial.params[name]) for name in axes)
            best = facts.best is not None and trial.number == facts.best.number
            kind, told = "best" if best else "trial", facts.describe(trial)
            row = {"trial": trial.number, "a": a, "b": b, "kind": kind, "tip": told}
            rows.append(row | {"size": 130 if best else 26})
    return sorted(rows, key=lambda row: bool(row["kind"] == "best"))  # the best one on top
