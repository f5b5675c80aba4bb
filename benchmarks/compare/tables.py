"""The tables of the comparison, as Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.compare import peers
from benchmarks.compare.problems import GROUPS
from benchmarks.compare.summary import Cell, Runs, near, needed, ratio

PUBLISHED: Final = ("dsice-2017", "dsice-2018", "dsice-2024")


def scores(cell: Cell, reference: str) -> str:
    """All tuners in one situation, the best area first."""
    header = ["tuner", "auc", *GROUPS, "fin", "auc_t", "busy", "repeats", "CPU"]
    header += [f"auc / {reference}", "runs"]
    rows = []
    for tuner in cell.ranked():
        auc = cell.means(tuner, "auc")
        row = [_named(tuner, reference), *(_number(auc.get(g)) for g in ("overall", *GROUPS))]
        row += [_number(cell.means(tuner, field)["overall"]) for field in ("fin", "auc_t")]
        row += [*_habits(cell.runs[tuner]), _ratio(cell, tuner, reference)]
        rows.append([*row, _runs(cell, tuner)])
    return _markdown(header, rows)


def bounded(cell: Cell, reference: str) -> str:
    """The same on problems with a bound on a second metric, in short."""
    header = ["tuner", "takes bounds", "auc", "fin", "near the best after", "reached", "runs"]
    rows = []
    for tuner in cell.ranked():
        count, share = near(cell, tuner)
        rows.append(
            [
                _named(tuner, reference),
                "yes" if peers.kind(tuner).bounds else "no",
                _number(cell.means(tuner, "auc")["overall"]),
                _number(cell.means(tuner, "fin")["overall"]),
                f"{count:.0f}" if count <= cell.budget else f"> {cell.budget}",
                f"{100 * share:.0f} %",
                _runs(cell, tuner),
            ]
        )
    return _markdown(header, rows)


def savings(cell: Cell, reference: str) -> str:
    """How soon the reference has what the published forms of DSICE have in the end."""
    header = ["reaches what", "median over problems", "not reached on", "aggregated"]
    rows = []
    for other in PUBLISHED:
        if other not in cell.runs or reference not in cell.runs or other == reference:
            continue
        found = needed(cell, reference, other)
        if found is None:
            continue
        missed = sum(count is None for count in found.by_problem.values())
        median = found.median(cell.budget)
        rows.append(
            [
                f"{other} reaches with {cell.budget}",
                f"{median:.0f}" if median <= cell.budget else f"> {cell.budget}",
                f"{missed} of {len(found.by_problem)}",
                f"> {cell.budget}" if found.aggregated is None else str(found.aggregated),
            ]
        )
    return _markdown(header, rows) if rows else ""


def _habits(runs: Runs) -> list[str]:
    """Busy workers, repeated proposals, CPU milliseconds an evaluation."""
    all_runs = [one for found in runs.values() for one in found]
    repeats = sum(sum(one.run.repeats) for one in all_runs)
    evaluations = sum(len(one.run.costs) for one in all_runs)
    cpu = 1000 * sum(sum(one.run.cpu) for one in all_runs) / evaluations
    return [
        f"{100 * np.mean([one.scores.busy for one in all_runs]):.0f} %",
        f"{100 * repeats / (repeats + evaluations):.0f} %",
        f"{cpu:.2f}" if cpu < 1 else f"{cpu:.0f}",
    ]


def _ratio(cell: Cell, tuner: str, reference: str) -> str:
    if tuner == reference or reference not in cell.runs:
        return "-"
    found = ratio(cell, tuner, reference)
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else "-"


def _runs(cell: Cell, tuner: str) -> str:
    """Seeds and problems; a tuner that lacks some says so."""
    runs = cell.runs[tuner]
    seeds = sorted({len(found) for found in runs.values()})
    text = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    missing = len(cell.problems) - len(runs)
    return f"{text} x {len(runs)}" + (f", {missing} missing" if missing else "")


def _named(tuner: str, reference: str) -> str:
    return f"**{tuner}**" if tuner == reference else tuner


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]
        return f"| {' | '.join(parts)} |"

    rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])
