"""Figures of learning curves: the reports of all trials, with one trial highlighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dsice.domain import Domain, focus
from dsice.report.facts import Facts
from dsice.report.scales import TICKS, Figure, Row, Spec, framed, mark, quantity, tip
from dsice.study.curves import Curves, curves_of
from dsice.study.facts import Trial
from dsice.study.task import Status
from dsice.text import plain
from dsice.units import count

DATA: Final = "curves"
"""Name of the data set: a row for each trial and step, with the metrics as ``y0``, ``y1``..."""

_FIGURES: Final = 4
_LATEST: Final = 1_000  # trials that are looked at for reports, which most programs lack
_TRIALS: Final = 250
_POINTS: Final = 6_000  # total for all curves
_FEWEST, _MOST = 12, 200  # points per curve
Drawn = list[tuple[Trial, Curves]]
_WITHIN, _OUTSIDE, _LOST, _RUNNING, _ENDED = range(5)


def curve_figures(facts: Facts) -> list[Figure]:
    """A figure for each metric that trials reported, those of the goal first.

    Their parameter ``chosen`` is the number of the highlighted trial: the best one, until the page
    selects another.
    """
    curves = _drawn(facts)
    names = _metrics(facts, curves)
    if not names:
        return []
    groups = _groups(facts)
    rows = _rows(facts, curves, names, groups)
    counted = list(dict.fromkeys(each.counted for _, each in curves))
    x = quantity("step", plain(counted[0], 40) if len(counted) == 1 else "step", None, grid=False)
    x["axis"]["tickCount"] = TICKS
    steps = [row["step"] for row in rows]
    x["scale"]["domain"] = [min(steps), max(steps) if max(steps) > min(steps) else min(steps) + 1]
    return [_figure(facts, k, name, curves, rows, x, groups) for k, name in enumerate(names)]


def _figure(
    facts: Facts,
    index: int,
    name: str,
    curves: Drawn,
    rows: list[Row],
    x: Spec,
    groups: Sequence[str],
) -> Figure:
    field, title = f"y{index}", plain(name, 60)
    values = [row[field] for row in rows if field in row]
    domain = _domain(facts, name, curves, values)
    y = quantity(field, title, domain)
    present = {row["group"] for row in rows if field in row}
    listed = [group for group in groups if group in present]
    look = {"symbolOpacity": 1, "symbolStrokeWidth": 2, "symbolSize": 200}
    legend = {"orient": "top", "values": listed, **look} if len(listed) > 1 else None
    group: Spec = {"field": "group", "type": "nominal", "legend": legend}
    best = facts.best.number if facts.best else 0
    line = {"data": {"name": DATA}, "transform": [{"filter": f"isValid(datum.{field})"}]}
    chosen = [*line["transform"], {"filter": "datum.trial === chosen"}]
    order: Spec = {"x": x, "y": y, "detail": {"field": "trial"}}
    layers: list[Spec] = [
        {
            **line,
            "mark": mark("line", "curve", cursor="pointer"),
            "encoding": {
                **order,
                "stroke": {**group, "scale": {"domain": list(groups), "range": "curve"}},
                "strokeDash": {
                    **group,
                    "scale": {
                        "domain": list(groups),
                        "range": [[1, 0], [6, 3], [2, 3], [1, 0], [4, 2]],
                    },
                },
                "tooltip": tip(),
            },
        },
        {
            **line,
            "transform": chosen,
            "mark": mark("line", "frontier", strokeWidth=2.5),
            "encoding": {**order, "tooltip": tip()},
        },
        {
            **line,
            "transform": chosen,
            "mark": {**mark("point", "chosen", size=10, opacity=1), "clip": False},
            "encoding": {**order, "tooltip": tip()},
        },
    ]
    far = sum(not domain.holds(value) for value in values)
    notes = [
        f"The thick line is trial {best}, the best." if best else "",
        f"Drawn are the latest {_TRIALS} trials." if len(curves) == _TRIALS else "",
        f"{count(far, 'value')} far from the others {_lie(far)} outside the picture."
        if far
        else "",
        "A click on a line shows its trial.",
    ]
    spec = framed(f"{title} of each trial while it ran", layers, 300, **{DATA: rows})
    spec["params"] = [{"name": "chosen", "value": best}]
    return Figure(
        f"curve-{index}", f"{title} while trials ran", " ".join(filter(None, notes)), spec
    )


def _lie(number: int) -> str:
    return "lies" if number == 1 else "lie"


def _drawn(facts: Facts) -> Drawn:
    """The curves to draw: those of the best trial, of running ones, and of the latest."""
    running = facts.study.with_status(Status.RUNNING)
    wanted = [*([facts.best] if facts.best else []), *running[:_TRIALS]]
    ended = [*facts.study.finished, *facts.study.with_status(Status.STOPPED)]
    wanted += sorted(ended, key=lambda trial: -trial.attempts[-1].ended)[:_LATEST]
    found: dict[int, tuple[Trial, Curves]] = {}
    for trial in wanted:
        if len(found) == _TRIALS:
            break
        if trial.number not in found and (curves := curves_of(trial)).of:
            found[trial.number] = trial, curves
    return [found[number] for number in sorted(found)]


def _metrics(facts: Facts, curves: Drawn) -> list[str]:
    """The metrics to draw: of the reported ones, the goal's and the most frequent."""
    reported: dict[str, int] = {}
    for _, each in curves:
        for name, curve in each.of.items():
            reported[name] = reported.get(name, 0) + (len(curve.steps) > 1)
    many = [name for name, number in reported.items() if number]
    goal = [name for name in facts.goal.metrics if name in many]
    others = sorted((n for n in many if n not in goal), key=lambda n: -reported[n])
    return [*goal, *others][:_FIGURES]


def _groups(facts: Facts) -> tuple[str, ...]:
    bounds = "bound" if len(facts.goal.bounds) == 1 else "bounds"
    within = f"within the {bounds}" if facts.settled and facts.goal.bounds else "measured"
    return within, f"outside the {bounds}", "failed", "running", "ended early"


def _group(facts: Facts, trial: Trial) -> int:
    if trial.status is Status.RUNNING:
        return _RUNNING
    if trial.status is Status.STOPPED:
        return _ENDED
    if trial.status is not Status.DONE:
        return _LOST
    return _OUTSIDE if facts.within(trial) is False else _WITHIN


def _rows(facts: Facts, curves: Drawn, names: Sequence[str], groups: Sequence[str]) -> list[Row]:
    most = min(max(_POINTS // max(len(curves), 1), _FEWEST), _MOST)
    rows: list[Row] = []
    for trial, each in curves:
        at: dict[float, Row] = {}
        for k, name in enumerate(names):
            if name not in each.of:
                continue
            thin = each.of[name].thinned(most)
            for step, value in zip(thin.steps, thin.values, strict=True):
                at.setdefault(step, {})[f"y{k}"] = float(f"{value:.6g}")
        group = groups[_group(facts, trial)]
        told = f"Trial {trial.number}"
        if trial.ending is not None:
            told += f" ended early, {trial.ending}"
        rows += [
            {"trial": trial.number, "step": step, **at[step], "group": group, "tip": told}
            for step in sorted(at)
        ]
    return rows


def _domain(facts: Facts, name: str, curves: Drawn, values: Sequence[float]) -> Domain:
    """The range to draw: all of the best trial's, and the others without outliers."""
    best = next((each for trial, each in curves if trial is facts.best), Curves())
    return focus(values, best.of[name].values if name in best.of else ())
