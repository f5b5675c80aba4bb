"""The report's figures as Vega-Lite specifications: plain data computed from a study.

Each specification is complete. Those that draw trials contain the same data set, ``trials``, so a
page with several of them can store it once. Texts from users and programs (names, reasons, values)
appear only where Vega-Lite takes them literally: as data, titles and domains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from dsice.domain import Domain
from dsice.goal import Bound
from dsice.report import words
from dsice.report.board import Board
from dsice.report.curve_figures import curve_figures
from dsice.report.facts import Facts
from dsice.report.job_figures import running_figure, slots_figure
from dsice.report.scales import (
    TICKS,
    Figure,
    Row,
    Spec,
    framed,
    mark,
    parameter,
    quantity,
    tip,
)
from dsice.report.space_figures import parallel_figure
from dsice.report.timeline import Timeline
from dsice.study.facts import Trial
from dsice.study.state import Study
from dsice.text import plain


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a study, without empty ones.

    Attributes:
        bounds: the objective against each bounded metric (the poster's Fig. 3).
        progress: the objective in the order of ends, with the best so far.
        axes: the objective against each parameter.
        jobs: when each job ran, and how many at once (the poster's Fig. 4).
        curves: the learning curves of trials.
        space: each trial as a line across all parameters, none or one figure.
    """

    bounds: tuple[Figure, ...] = ()
    progress: tuple[Figure, ...] = ()
    axes: tuple[Figure, ...] = ()
    jobs: tuple[Figure, ...] = ()
    curves: tuple[Figure, ...] = ()
    space: tuple[Figure, ...] = ()

    @classmethod
    def of(cls, study: Study) -> Self:
        """The figures of a study in any state."""
        return cls.on(Board.of(Facts.of(study)), Timeline.of(study))

    @classmethod
    def on(cls, board: Board, timeline: Timeline) -> Self:
        """The figures of the study of a board and a timeline."""
        curves = tuple(curve_figures(board.facts))
        jobs: tuple[Figure, ...] = ()
        if timeline.spans and timeline.seconds:
            jobs = (slots_figure(timeline), running_figure(timeline))
        if not board.facts.measured:
            return cls(jobs=jobs, curves=curves)
        return cls(
            bounds=tuple(bound_figures(board)),
            progress=(progress_figure(board),),
            axes=tuple(axis_figures(board)),
            jobs=jobs,
            curves=curves,
            space=tuple(parallel_figure(board)),
        )

    def __iter__(self) -> Iterator[Figure]:
        return iter(
            (*self.bounds, *self.progress, *self.axes, *self.jobs, *self.curves, *self.space)
        )


def bound_figures(board: Board) -> list[Figure]:
    """The objective against each bounded metric, with the best at each possible bound.

    Two bounds on one metric, an upper and a lower one, are two rules in one figure.
    """
    return [_bound_figure(board, name) for name in _bounded(board.facts)]


def progress_figure(board: Board) -> Figure:
    """The objective of each trial in the order of ends, with the best so far."""
    facts, groups = board.facts, board.groups
    metric, domain = board.objective, board.domain("y")
    ended = len(facts.study.finished)
    x, y = _order(ended), quantity("y", metric, domain)
    best = _best_so_far(facts)
    failed = ended - len(facts.measured)
    start_text = mark("text", "startnote", align="right", baseline="bottom", dy=-4)
    rug = {"type": "tick", "style": "rug"}
    layers: list[Spec] = [
        {
            "data": {"values": board.starts},
            "mark": mark("rule", "start"),
            "encoding": {"y": y, "tooltip": tip()},
        },
        {
            "data": {"values": board.starts},
            "mark": start_text,
            "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "text"}},
        },
        {
            "data": {"values": best},
            "mark": mark("line", "frontier", interpolate="step-after"),
            "encoding": {"x": x, "y": y},
        },
        *board.layers(x, y, []),
        {
            "data": {"name": "trials"},
            "transform": [{"filter": "datum.group === 'failed'"}],
            "mark": {**rug, "orient": "vertical", "size": 12, "cursor": "pointer"},
            "encoding": {"x": x, "y": {"value": {"expr": "height - 6"}}, "tooltip": tip()},
        },
    ]
    kept = f" {groups.within}" if facts.goal.bounds and facts.settled else ""
    notes = [
        f"The line is the best {metric}{kept} so far." if best else "",
        "A point counts by the median of its measurements: the line goes back where measuring the "
        "best point again showed that it had been lucky."
        if _gets_worse(facts, best)
        else "",
        "Short strokes at the bottom are failed trials." if failed else "",
        board.left_out(y=domain),
    ]
    return Figure(
        name="progress",
        title=f"How {metric} improved",
        note=" ".join(filter(None, notes)),
        spec=framed(
            f"{metric} of each trial in the order of ends", layers, 300, trials=board.trials
        ),
    )


def axis_figures(board: Board) -> list[Figure]:
    """The objective against the level of each parameter."""
    metric = board.objective
    y = quantity("y", metric, board.domain("y"), tickCount=5)
    figures = []
    for index, axis in enumerate(board.facts.study.config.grid.axes):
        layers = board.layers(parameter(axis, f"p{index}"), y, [], small=True)
        spec = framed(f"{metric} against {axis.name}", layers, 190, trials=board.trials)
        figures.append(Figure(f"axis-{index}", axis.name, "", spec))
    return figures


def _order(ended: int) -> Spec:
    x = quantity("order", "trials ended", Domain(0.5, ended + 0.5), tickCount=TICKS, tickMinStep=1)
    x["axis"] |= {"grid": False, "format": "d"}
    return x


def _bounded(facts: Facts) -> list[str]:
    return list(dict.fromkeys(bound.metric for bound in facts.goal.bounds))


def _bound_figure(board: Board, metric: str) -> Figure:
    facts, goal = board.facts, board.facts.goal
    bounds = [bound for bound in goal.bounds if bound.metric == metric]
    field = f"b{goal.bounds.index(bounds[0])}"
    starts = [row for row in board.starts if field in row]
    domain = board.domain(field, [bound.limit for bound in bounds if bound.limit is not None])
    y_domain = board.domain("y")
    shown, objective = plain(metric, 60), board.objective
    x, y = quantity(field, shown, domain, tickCount=TICKS), quantity("y", objective, y_domain)
    layers = [layer for bound in bounds for layer in _limit_layers(bound, x, domain)]
    for bound in bounds:
        step = "step-after" if _from_above(bound) else "step-before"
        layers.append(
            {
                "data": {"values": _frontier(facts, bound, field, domain)},
                "mark": mark("line", "frontier", interpolate=step),
                "encoding": {"x": x, "y": y},
            }
        )
    layers += board.layers(x, y, starts)
    others = " (with the other bounds kept)" if len(_bounded(facts)) > 1 else ""
    far = board.left_out(**{field: domain, "y": y_domain})
    several = any(len(standing.of) > 1 for standing in facts.standings)
    repeats = "; a point counts by the median of its measurements" if several else ""
    return Figure(
        name=f"bound-{field}",
        title=f"{objective} against {shown}",
        note=f"Each mark is a trial. The stepped line is the best {objective} that is attainable "
        f"at each bound on {shown}{others}{repeats}. {far}".strip(),
        spec=framed(f"{objective} against {shown}", layers, 360, trials=board.trials),
    )


def _limit_layers(bound: Bound, x: Spec, domain: Domain) -> list[Spec]:
    """The rule at a limit, its label, and the shaded infeasible side."""
    if bound.limit is None:
        return []
    edge = domain.high if _from_above(bound) else domain.low
    data = {"values": [{x["field"]: bound.limit, "edge": edge, "text": words.bound(bound)}]}
    in_left_part = domain.place(bound.limit) < 0.6
    text = {"type": "text", "style": "note", "baseline": "top", "y": 4}
    text |= {"align": "left", "dx": 6} if in_left_part else {"align": "right", "dx": -6}
    return [
        {
            "data": data,
            "mark": mark("rect", "forbidden"),
            "encoding": {"x": x, "x2": {"field": "edge"}},
        },
        {"data": data, "mark": mark("rule", "limit"), "encoding": {"x": x}},
        {"data": data, "mark": text, "encoding": {"x": x, "text": {"field": "text"}}},
    ]


def _frontier(facts: Facts, bound: Bound, field: str, domain: Domain) -> list[Row]:
    """The best objective among trials that would keep ``bound``, for each limit on the axis."""
    others = [b for b in facts.goal.bounds if b.metric != bound.metric]
    if any(b.limit is None for b in others):
        return []
    sign, edge = (1, domain.high) if _from_above(bound) else (-1, domain.low)
    points = [standing.counted for standing in facts.standings]
    trials = [t for t in points if all(not b.excess(t.metrics[b.metric]) for b in others)]
    trials.sort(key=lambda t: (sign * t.metrics[bound.metric], facts.goal.cost(t.metrics)))
    steps = [
        {field: t.metrics[bound.metric], "y": _objective(facts, t)} for t in _records(facts, trials)
    ]
    return [*steps, {field: edge, "y": steps[-1]["y"]}] if steps else []


def _best_so_far(facts: Facts) -> list[Row]:
    """The objective of the best feasible point, each time that it changed.

    In the order of ends; None where no point is feasible any more.
    """
    goal = facts.goal
    steps: list[Row] = []
    for each in facts.incumbents:
        kept = goal.feasible(each.best.metrics)
        y = _objective(facts, each.best) if kept else None
        if (steps or kept) and (not steps or steps[-1]["y"] != y):
            steps.append({"order": facts.order[each.latest.number], "y": y})
    end = len(facts.study.finished) + 0.5
    return [*steps, {"order": end, "y": steps[-1]["y"]}] if steps else []


def _gets_worse(facts: Facts, steps: Iterable[Row]) -> bool:
    """Whether the best so far became worse at some time, after a repeated measurement."""
    sign = 1.0 if facts.goal.maximize is None else -1.0
    costs = [math.inf if step["y"] is None else sign * step["y"] for step in steps]
    return any(after > before for before, after in itertools.pairwise(costs))


def _records(facts: Facts, trials: Iterable[Trial]) -> list[Trial]:
    """The trials that are better than all before them."""
    records: list[Trial] = []
    for trial in trials:
        cost = facts.goal.cost(trial.metrics)
        if not records or cost < facts.goal.cost(records[-1].metrics):
            records.append(trial)
    return records


def _from_above(bound: Bound) -> bool:
    return bound.relation.startswith("<")


def _objective(facts: Facts, trial: Trial) -> float:
    return trial.metrics[facts.goal.metric]
