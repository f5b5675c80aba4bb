"""Printing lists and comparisons of studies to a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dsice.several.comparison import Agreement, Comparison
from dsice.several.listing import Entry
from dsice.study.summary import metric_text
from dsice.terminal import standing_line
from dsice.text import one_line
from dsice.units import count, duration, number, setting

_LOOKS = {"running": "bold green", "damaged": "red", "killed": "yellow"}


def show_list(console: Console, entries: Sequence[Entry]) -> None:
    """Print a line for each study."""
    table = _table("study", "state", "trials", "best", "last event", "in")
    now = time.time()
    for each in entries:
        of = f" of {each.budget}" if each.budget else ""
        failed = f", {each.failed} failed" if each.failed else ""
        table.add_row(
            one_line(each.name),
            Text(each.state, style=_LOOKS.get(each.state, "")),
            f"{each.done}{of}{failed}" if each.state != "damaged" else "",
            one_line(each.best or (each.why if each.state == "damaged" else "none yet")),
            f"{duration(max(now - each.seen, 0.0))} ago" if each.seen else "",
            one_line(each.path),
        )
    console.print(table)


def show_comparison(console: Console, found: Comparison) -> None:
    """Print a comparison of studies."""
    goal = found.goal
    console.print(Text(one_line(f"By the goal of {found.sides[0].label}: {goal}"), style="bold"))
    table = _table("", *(one_line(side.label) for side in found.sides))
    table.add_row(
        "best", *(standing_line(s.best, goal) if s.best else "none in bounds" for s in found.sides)
    )
    table.add_row("in trial", *(str(s.best.counted.number) if s.best else "" for s in found.sides))
    table.add_row("measured", *(count(side.measured, "trial") for side in found.sides))
    table.add_row("failed", *(str(side.failed) for side in found.sides))
    table.add_row("wall time", *(duration(side.wall) for side in found.sides))
    table.add_row("time of jobs", *(duration(side.work) for side in found.sides))
    console.print(table)

    console.print(
        Text(f"\nBest {one_line(goal.metric)} after so many measured trials", style="bold")
    )
    table = _table("trials", *(one_line(side.label) for side in found.sides))
    for step in found.steps:
        values = [side.after(goal, step) for side in found.sides]
        there = [value for value in values if value is not None]
        best = min(there, key=lambda v: goal.cost({goal.metric: v}), default=None)
        table.add_row(
            str(step),
            *(
                Text("-" if v is None else metric_text(goal.metric, v, goal), _won(v, best))
                for v in values
            ),
        )
    console.print(table)

    console.print(Text("\nThe best parameters", style="bold"))
    table = _table("", *(one_line(side.label) for side in found.sides))
    for name, params in found.params.items():
        same = len({repr(value) for value in params}) == 1
        texts = ["-" if value is None else setting(value) for value in params]
        table.add_row(name, *(Text(text, "dim" if same else "") for text in texts))
    console.print(table)
    for side, each in zip(found.sides[1:], found.agreements, strict=True):
        console.print(one_line(f"{found.sides[0].label} and {side.label}: {agreement_text(each)}."))


def agreement_text(each: Agreement) -> str:
    """The agreement of two studies, in words."""
    if not each.points:
        return "no point was measured by both"
    said = [f"{count(each.points, 'point')} measured by both"]
    if each.ratio is not None:
        said.append(f"the second has {number(each.ratio)} times the value there (median)")
    if each.rank is not None:
        said.append(f"rank correlation {each.rank:.2f}")
    return ", ".join(said)


def _won(value: float | None, best: float | None) -> str:
    return "bold green" if value is not None and value == best else ""


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
