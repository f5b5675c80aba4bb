"""The answers over a range of bounds, in a terminal."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dsice.sweep.answer import Answer, Evidence, Row
from dsice.terminal import number

_WIDTH: Final = 28  # of the picture
_STYLES: Final = {
    Evidence.WELL: "green",
    Evidence.THIN: "yellow",
    Evidence.NONE: "red",
    Evidence.UNKNOWN: "dim",
}


def show(answer: Answer, console: Console) -> None:
    """Print the front as a table and a picture, and where the evidence is thin."""
    goal, swept = answer.goal, answer.swept
    console.print(f"{goal}: {answer.measured} trials measured.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in (f"{swept.metric} {swept.relation}", goal.metric, "trial", "margin"):
        table.add_column(heading, justify="right")
    table.add_column("near", justify="right")
    table.add_column("may gain", justify="right")
    table.add_column("")
    table.add_column(_scale(answer))
    for row in answer.rows:
        table.add_row(
            number(row.limit),
            "-" if row.objective is None else number(row.objective),
            "-" if row.trial is None else str(row.trial),
            "-" if row.margin is None else number(row.margin),
            str(row.near),
            "-" if row.gain is None else _rounded(row.gain),
            Text(row.evidence, style=_STYLES[row.evidence]),
            _picture(answer, row),
        )
    console.print(table)
    for line in _words(answer):
        console.print(line)


def _words(answer: Answer) -> list[str]:
    goal, swept = answer.goal, answer.swept
    best, limit = answer.reference
    lines = [
        "o is the best known, < how far one more trial may be expected to go; near: trials within "
        f"a row of the bound in {swept.metric}.",
        f"The front has {len(answer.front)} trials. Hypervolume {answer.hypervolume:.5g}, counted "
        f"up to {goal.metric} {number(best)} (the worst that keeps the loosest bound) and "
        f"{swept.metric} {number(limit)}.",
    ]
    if answer.thin:
        limits = ", ".join(number(row.limit) for row in answer.thin)
        lines.append(f"The evidence is thin at {swept.metric} {swept.relation} {limits}.")
    elif all(row.evidence is Evidence.WELL for row in answer.rows):
        lines.append("The evidence is good at all of these bounds.")
    return lines


def _rounded(gain: float) -> str:
    return "0" if gain == 0 else f"{gain:.2g}"


def _ends(answer: Answer) -> tuple[float, float]:
    """The better and the worse end of the picture."""
    sign = 1.0 if answer.goal.maximize is None else -1.0
    reached = [
        sign * row.objective - (row.gain or 0.0) for row in answer.rows if row.objective is not None
    ]
    worst = [sign * row.objective for row in answer.rows if row.objective is not None]
    return sign * min(reached), sign * max(worst)


def _scale(answer: Answer) -> str:
    if not any(row.objective is not None for row in answer.rows):
        return ""
    better, worse = map(number, _ends(answer))
    return f"{better}{worse:>{max(_WIDTH - len(better), len(worse) + 1)}}"


def _picture(answer: Answer, row: Row) -> str:
    if row.objective is None:
        return ""
    better, worse = _ends(answer)
    length = abs(worse - better) or 1.0
    at = round(abs(row.objective - better) / length * (_WIDTH - 1))
    reach = round((row.gain or 0.0) / length * (_WIDTH - 1))
    return " " * max(0, at - reach) + "<" * min(at, reach) + "o"
