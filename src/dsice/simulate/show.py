"""The answer of a simulation in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dsice.console import notices
from dsice.simulate.answer import NEAR, SHARES, Answer, Quartiles, Row
from dsice.simulate.learning import Gain
from dsice.units import count, duration, hours, number, percent, span

_BAR = 16  # characters


class Counter:
    """Tells on standard error how many plays are done: a bar, or lines where there is no terminal.

    Use it as a context manager, and call it with the number of plays done and that of all.
    """

    def __init__(self) -> None:
        self._console = notices()
        columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("playing", total=None)

    def __enter__(self) -> Counter:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """So many plays are done."""
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, total=total)
        elif done % max(1, total // 5) == 0:
            with suppress(OSError):  # nobody listens any more: the answer is what counts
                self._console.print(f"[{done}/{total}] plays")


def show(answer: Answer, words: Sequence[str], console: Console) -> None:
    """Print what the plays say; ``words`` tell where the worlds come from."""
    times = "once" if answer.repetitions == 1 else f"{answer.repetitions} times"
    console.print(f"{answer.trials} trials, played {times} with each number of slots.")
    for line in words:
        console.print(f"  {line}")
    console.print(_table(answer, "#" if console.options.ascii_only else ""))
    for line in answer.sentences():
        console.print(line)
    console.print(f"Jobs one after another take {_spelled(answer.rows[0].work)}.")
    if answer.goal is not None:
        cost = duration(answer.cpu)
        console.print(f"Not counted: the search's own computing, here {cost} a trial.")


def show_gain(gain: Gain, console: Console) -> None:
    """Print the curves with and without what the study learns from."""
    console.print(
        f"What it learns from earlier studies, with {count(gain.slots, 'slot')}: the best "
        f"{gain.goal.metric} so far."
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for k in gain.shown:
        table.add_column(f"after {gain.trials[k]}", justify="right")
    for name, curve in (("with it", gain.informed), ("without", gain.alone)):
        table.add_row(name, *(_value(curve[k]) for k in gain.shown))
    console.print(table)
    for line in gain.sentences():
        console.print(line)


def _table(answer: Answer, block: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    unit, name = _unit(answer.rows)
    table.add_column("slots", justify="right")
    fewer = any(row.trials.low < answer.trials for row in answer.rows)
    if fewer:
        table.add_column("trials", justify="right")
    table.add_column(name, justify="right")
    table.add_column("", no_wrap=True)
    table.add_column("speed-up", justify="right")
    table.add_column("efficiency", justify="right")
    if answer.goal is not None:
        for share in SHARES:
            after = math.ceil(share * answer.trials)
            table.add_column(f"{answer.goal.metric} after {after}", justify="right")
        fewest = answer.rows[0].slots
        table.add_column(f"{name} to {percent(NEAR)} of\nthe best with {fewest}", justify="right")
    longest = max(row.wall.median for row in answer.rows) or 1.0
    for row in answer.rows:
        cells = [
            str(row.slots),
            *([number(row.trials.median)] if fewer else []),
            number(row.wall.median / unit),
            _bar(row.wall.median / longest, block),
            number(row.speed_up.median),
            percent(row.efficiency),
            *map(_value, row.best),
        ]
        if row.near is not None:
            cells.append(_near(row, unit, answer.repetitions))
        table.add_row(*cells)
    return table


def _unit(rows: Sequence[Row]) -> tuple[float, str]:
    shortest = min(row.wall.median for row in rows)
    for unit, name in ((3600.0, "hours"), (60.0, "minutes")):
        if shortest >= unit:
            return unit, name
    return 1.0, "seconds"


def _bar(share: float, block: str) -> str:
    """A bar of eighths of a character, or of whole ``block`` characters."""
    eighths = max(1, round(8 * _BAR * share))
    if block:
        return block * -(-eighths // 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _value(values: Quartiles) -> str:
    """``5.68 (5.61 to 5.7)``: the median and the quartiles."""
    if not math.isfinite(values.median):
        return "none keeps the bounds"
    low, high = sorted((values.low, values.high))
    spread = span(low, high) if math.isfinite(low + high) else "..."
    return number(values.median) + (f" ({spread})" if spread != number(values.median) else "")


def _near(row: Row, unit: float, repetitions: int) -> str:
    if row.near is None or not math.isfinite(row.near.median):
        return f"not in most ({row.reached} of {repetitions})"
    missed = f" ({row.reached} of {repetitions})" if row.reached < repetitions else ""
    return number(row.near.median / unit) + missed


def _spelled(work: Quartiles) -> str:
    return f"{hours(work.median)} hours" if work.median >= 36000 else duration(work.median)
