"""Figures of when jobs ran: one row per slot, and the number of running jobs below."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from dsice.domain import Domain
from dsice.report.scales import TICKS, Figure, Row, Spec, framed, mark, quantity, tip
from dsice.report.timeline import OUTCOMES, Span, Timeline, outcome
from dsice.study.facts import Stage, Trial
from dsice.text import plain
from dsice.units import count, duration

_UNITS: Final = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86400.0))
_BINS: Final = 250
_HIGHEST: Final = 420  # pixels of the figure of slots
_MANY: Final = 5_000  # jobs; of more, bars that are no wider than a column become one
_ROWS: Final = 100  # slots that are drawn of more jobs
_LABELLED: Final = 6
"""Most pauses whose lengths are written beside them; of more, the tooltips tell."""


def slots_figure(timeline: Timeline) -> Figure:
    """When each job ran, in as many rows as jobs ran at once."""
    unit, seconds = _unit(timeline)
    x = _time(timeline, None)
    many = len(timeline.spans) > _MANY
    every = math.ceil(timeline.slots / (_ROWS if many else _HIGHEST))
    slots = range(1, timeline.slots + 1, every)
    height = round(min(max(len(slots) * 22, 44), _HIGHEST) / len(slots)) * len(slots)
    wide = timeline.seconds * 0.12
    spans = [span for span in timeline.spans if every == 1 or span.slot % every == 1]
    column = timeline.seconds * len(slots) / _MANY if many else 0.0
    rows = [_bar(bar, seconds, wide) for bar in _bars(spans, column)]
    y: Spec = {
        "field": "slot",
        "type": "ordinal",
        "title": "slot",
        "scale": {"domain": list(slots), "padding": 0.12},
        "axis": {"labelOverlap": True, "minExtent": 34, "maxExtent": 34, "grid": False},
    }
    domain = [name for name in OUTCOMES if any(row["outcome"] == name for row in rows)]
    legend = {"orient": "top", "values": domain}
    field = {"field": "outcome", "type": "nominal", "legend": legend}
    bars: Spec = {
        "data": {"values": rows},
        "mark": mark("bar", "job", cornerRadius=1.5, cursor="pointer"),
        "encoding": {
            "x": x,
            "x2": {"field": "end"},
            "y": y,
            "fill": {**field, "scale": {"domain": list(OUTCOMES), "range": "outcomefill"}},
            "stroke": {**field, "scale": {"domain": list(OUTCOMES), "range": "outcome"}},
            "tooltip": tip(),
        },
    }
    names: Spec = {
        "data": {"values": [row for row in rows if row["text"]]},
        "mark": {"type": "text", "style": "onbar", "align": "left", "dx": 6, "clip": True},
        "encoding": {"x": x, "y": y, "text": {"field": "text"}},
    }
    notes = []
    if every > 1:
        notes.append(f"Drawn are {len(slots)} of {timeline.slots:,} slots.")
    if len(rows) < len(spans):
        notes.append("Short jobs that follow each other are one bar.")
    if timeline.pauses:
        idle = duration(sum(pause.seconds for pause in timeline.pauses))
        notes.append(f"Dashed rules: the study stood still, for {idle} in all, not drawn.")
    if timeline.unattended:
        notes.append("Shaded: jobs went on while no driver was there.")
    if timeline.vanished:
        lost = count(timeline.vanished, "job")
        notes.append(f"{lost} vanished, after a time that is not known.")
    return Figure(
        name="slots",
        title="Which jobs ran when",
        note=" ".join(notes),
        spec=framed(
            f"Jobs by slot, over {unit}",
            [*_unattended(timeline, x), bars, names, *_pauses(timeline, x, named=True)],
            height,
        ),
    )


def running_figure(timeline: Timeline) -> Figure:
    """How many jobs ran at once."""
    unit, seconds = _unit(timeline)
    steps = _drawn(timeline)
    most = max(number for _, number in steps)
    x = _time(timeline, unit)
    y = quantity("running", "running", Domain(0, most * 1.05 or 1))
    ticks = range(0, most + 1, max(1, math.ceil(most / 4)))
    y["axis"] = {"minExtent": 34, "maxExtent": 34, "format": "d", "values": list(ticks)}
    rows = [{"begin": since / seconds, "running": number} for since, number in steps]
    area: Spec = {
        "data": {"values": rows},
        "mark": mark("area", "area", interpolate="step-after", line=True),
        "encoding": {"x": x, "y": y},
    }
    return Figure(
        name="running",
        title="How many ran at once",
        note="",
        spec=framed(
            f"Number of running jobs over {unit}, at most {most}",
            [*_unattended(timeline, x), area, *_pauses(timeline, x, named=False)],
            110,
        ),
    )


def _drawn(timeline: Timeline) -> list[tuple[float, int]]:
    """The number of running jobs without invisible gaps: the maximum in each bin of the axis."""
    width = timeline.seconds / _BINS or 1.0
    bins = [0] * (_BINS + 1)
    steps = timeline.running()
    for (since, number), (until, _) in zip(steps, [*steps[1:], steps[-1]], strict=True):
        for k in range(int(since / width), min(int(until / width), _BINS) + 1):
            bins[k] = max(bins[k], number)
    bins[-1] = bins[-2]
    changes = [k for k in range(_BINS + 1) if k in (0, _BINS) or bins[k] != bins[k - 1]]
    return [(k * width, bins[k]) for k in changes]


def _unit(timeline: Timeline) -> tuple[str, float]:
    """The unit of the time axis: the largest one that fits at least three times."""
    fitting = [unit for unit in _UNITS if timeline.seconds >= 3 * unit[1]]
    # Machine time is commonly counted in hours, up to some weeks.
    if timeline.seconds < 30 * 86400:
        fitting = [unit for unit in fitting if unit[0] != "days"]
    return fitting[-1] if fitting else _UNITS[0]


def _time(timeline: Timeline, title: str | None) -> Spec:
    _, seconds = _unit(timeline)
    domain = Domain(0.0, timeline.seconds / seconds or 1.0)
    return quantity("begin", title, domain, grid=False, tickCount=TICKS)


def _bars(spans: Sequence[Span], column: float) -> list[list[Span]]:
    """The jobs of each bar: those of one slot that end within a ``column`` of its beginning."""
    bars: list[list[Span]] = []
    last: dict[int, list[Span]] = {}  # by slot
    for span in spans:
        bar = last.get(span.slot)
        if bar is not None and span.end - bar[0].begin <= column:
            bar.append(span)
        else:
            last[span.slot] = bar = [span]
            bars.append(bar)
    return bars


def _bar(bar: Sequence[Span], seconds: float, wide: float) -> Row:
    """The row of a bar: of one job, or of several, which has the most frequent outcome."""
    if len(bar) > 1:
        outcomes = Counter(map(outcome, bar)).most_common()
        told = ", ".join(f"{number} {name}" for name, number in outcomes)
        return {
            "begin": bar[0].begin / seconds,
            "end": bar[-1].end / seconds,
            "slot": bar[0].slot,
            "outcome": outcomes[0][0],
            "text": "",
            "tip": f"{len(bar)} jobs in {duration(bar[-1].end - bar[0].begin)}: {told}",
        }
    span = bar[0]
    lines = [
        f"{span.name[0].upper()}{span.name[1:]}: {outcome(span)}",
        f"attempt {span.attempt.number}" if len(span.task.attempts) > 1 else "",
        plain(span.attempt.reason, 200),
        f"{duration(span.end - span.begin)}{' so far' if span.running else ''}",
        f"on {plain(span.attempt.host, 60)}" if span.attempt.host else "",
    ]
    named = isinstance(span.task, Stage) and span.end - span.begin >= wide
    number = {"trial": span.task.number} if isinstance(span.task, Trial) else {}
    return {
        **number,
        "begin": span.begin / seconds,
        "end": span.end / seconds,
        "slot": span.slot,
        "outcome": outcome(span),
        "text": span.task.name if named and isinstance(span.task, Stage) else "",
        "tip": "\n".join(filter(None, lines)),
    }


def _unattended(timeline: Timeline, x: Spec) -> list[Spec]:
    _, seconds = _unit(timeline)
    rows = [{"begin": a / seconds, "end": b / seconds} for a, b in timeline.unattended]
    if not rows:
        return []
    encoding = {"x": x, "x2": {"field": "end"}}
    return [{"data": {"values": rows}, "mark": mark("rect", "forbidden"), "encoding": encoding}]


def _pauses(timeline: Timeline, x: Spec, *, named: bool) -> list[Spec]:
    _, seconds = _unit(timeline)
    rows = [
        {"begin": pause.at / seconds, "tip": f"{duration(pause.seconds)} pause"}
        for pause in timeline.pauses
    ]
    if not rows:
        return []
    data, rule = {"values": rows}, {"x": x, "tooltip": tip()}
    layers: list[Spec] = [{"data": data, "mark": mark("rule", "limit"), "encoding": rule}]
    if named and len(rows) <= _LABELLED:
        text = {"type": "text", "style": "note", "align": "left", "dx": 4, "y": -6}
        name = {"x": x, "text": {"field": "tip"}}
        layers.append({"data": data, "mark": text, "encoding": name})
    return layers
