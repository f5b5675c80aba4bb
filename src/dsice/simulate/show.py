"""The answer of a simulation in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dsice.simulate.answer import NEAR, SHARES, Answer, Quartiles, Row
from dsice.terminal import number
from dsice.units import duration

_BAR = 16  # characters


class Counter:
    """Tells on standard error how many plays are done: a bar, or lines where there is no terminal.

    Use it as a context manager, and call it with the number of plays done and that of all.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
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
            self._console.print(f"[{done}/{total}] plays")


def show(answer: Answer, words: Sequence[str], console: Console) -> None:
    """Print what the plays say; ``words`` tell where the worlds come from."""
    times = "once" if answer.repetitions == 1 else f"{answer.repetitions} times"
    console.print(f"{answer.trials} trials, played {times} with each number of slots.")
    for line in words:
        console.print(f"  {line}")
    console.print(_table(answer))
    for line in answer.sentences():
        console.print(line)
    console.print(f"Jobs one after another take {_spelled(answer.rows[0].work)}.")
    if answer.goal is not None:
        cost = duration(answer.cpu) if answer.cpu >= 0.95 else f"{1000 * answer.cpu:.1f} ms"
        console.print(f"Not counted: the search's own computing, here {cost} a trial.")


def _table(answer: Answer) -> Table:
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
        table.add_column(f"{name} to {NEAR:.0%} of\nthe best with {fewest}", justify="right")
    longest = max(row.wall.median for row in answer.rows) or 1.0
    for row in answer.rows:
        cells = [
            str(row.slots),
            *([f"{row.trials.median:.0f}"] if fewer else []),
            _time(row.wall.median / unit),
            _bar(row.wall.median / longest),
            f"{row.speed_up.median:.1f}",
            f"{row.efficiency:.0%}",
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


def _bar(share: float) -> str:
    eighths = max(1, round(8 * _BAR * share))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _time(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 99.5 else f"{amount:.1f}"


def _value(values: Quartiles) -> str:
    """``5.68 (5.61 to 5.7)``: the median and the quartiles."""
    if not math.isfinite(values.median):
        return "none keeps the bounds"
    if values.low == values.high:
        return _short(values.median)
    low, high = sorted((values.low, values.high))
    spread = f"{_short(low)} to {_short(high)}" if math.isfinite(low + high) else "..."
    return f"{_short(values.median)} ({spread})"


def _short(value: float) -> str:
    plain = value == 0 or 1e-3 <= abs(value) < 1e5
    return f"{value:.4g}" if plain else number(value)


def _near(row: Row, unit: float, repetitions: int) -> str:
    if row.near is None or not math.isfinite(row.near.median):
        return f"not in most ({row.reached} of {repetitions})"
    missed = f" ({row.reached} of {repetitions})" if row.reached < repetitions else ""
    return _time(row.near.median / unit) + missed


def _spelled(work: Quartiles) -> str:
    hours = work.median / 3600
    return f"{hours:,.0f} hours" if hours >= 10 else duration(work.median)
