"""Sources to learn from: other studies, and whatever ``dsice import`` reads.

A study is read with its own grid and all its metrics. Of other formats, a grid is made of the
values that occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.columns import found_metrics, found_params
from dsice.exchange.formats import READERS, guess
from dsice.exchange.levels import Levels
from dsice.exchange.source import Row, RowState, Source, is_blank, number
from dsice.exchange.tabular import interpreted
from dsice.grid import Axis, Grid, Value
from dsice.study.config import StudyConfig
from dsice.study.learned import Learned
from dsice.study.state import Study
from dsice.study.task import Status

AUTO: Final = "auto"
_NEWEST: Final = 5  # studies that "auto" learns from at most


def sources_of(config: StudyConfig, directory: Path) -> list[Learned]:
    """What a study that begins in ``directory`` learns from, by its ``learn_from``.

    Raises:
        InvalidInput: a source cannot be read, or has no result that teaches something.
    """
    if config.learn_from == AUTO:
        return related_studies(config, directory)
    return [read(place, config) for place in config.learn_from]


def read(place: str, config: StudyConfig) -> Learned:
    """Read one source: a study's directory, or a file or storage that ``dsice import`` reads.

    Relative places begin at the study file's folder.

    Raises:
        InvalidInput: it cannot be read, has no parameter of the study or nothing of its goal.
    """
    there = place if "://" in place else str(config.folder / place)
    kind = guess(there)
    if kind == "dsice":
        found = of_study(Study.open(there), place)
    else:
        found = _of_rows(READERS[kind](there, config, None), place, config)
    _require_use(found, config)
    return found


def of_study(study: Study, name: str) -> Learned:
    """What a study has measured, and knows from elsewhere."""
    results = tuple(
        (each.point, dict(each.metrics) if each.status is Status.DONE else None)
        for each, ended in study.history
        if ended
    )
    grid = study.config.grid
    return Learned(name, Grid(grid.axes), results)


def related_studies(config: StudyConfig, directory: Path) -> list[Learned]:
    """Earlier studies under the same folder with this program, parameters and objective.

    The newest ones; those of other versions of dsice, or damaged, are passed over.
    """
    directory = directory.resolve()
    found: list[tuple[float, str, Learned]] = []
    places = sorted(directory.parent.iterdir()) if directory.parent.is_dir() else []
    for place in places:
        journal = place / "journal.jsonl"
        if place.resolve() == directory or not journal.is_file():
            continue
        try:
            study = Study.open(place)
            learned = of_study(study, str(place))
            _require_use(learned, config)
        except InvalidInput:
            continue
        other = study.config
        same = set(other.grid.names) == set(config.grid.names)
        if same and other.trial.command == config.trial.command and learned.results:
            found.append((journal.stat().st_mtime, str(place), learned))
    return [learned for *_, learned in sorted(found, key=lambda each: each[:2])[-_NEWEST:]]


def _require_use(found: Learned, config: StudyConfig) -> None:
    shared = set(found.grid.names) & set(config.grid.names)
    if not shared:
        raise InvalidInput(
            f"key 'learn_from': {found.name!r} has none of the parameters "
            f"{', '.join(config.grid.names)}"
        )
    metric = config.goal.metric
    if not any(metrics and metric in metrics for _, metrics in found.results):
        known = sorted({name for _, metrics in found.results for name in metrics or ()})
        raise InvalidInput(
            f"key 'learn_from': {found.name!r} has no result with the metric {metric!r}"
            + (f": there are {', '.join(known)}" if known else "")
        )


def _of_rows(source: Source, name: str, config: StudyConfig) -> Learned:
    """A source made of rows: its axes are the parameters that it shares with the study."""
    grid = config.grid
    columns = found_params(source.names, grid.names)
    if not columns:
        raise InvalidInput(
            f"key 'learn_from': {name!r} has none of the parameters {', '.join(grid.names)}"
        )
    if source.is_table:
        source = interpreted(source, columns, config.goal, frozenset())
    rows = [row for row in source.rows if row.state is not RowState.OPEN]
    axes, values = [], []
    for axis in grid.axes:
        if axis.name in columns:
            column = [_value(row.values.get(columns[axis.name]), axis) for row in rows]
            axes.append(Axis(axis.name, _levels(column, axis), ordered=axis.ordered))
            values.append(column)
    used = {*columns.values(), *source.facts.values(), *(source.params or ())}
    metrics = found_metrics([each for each in source.names if each not in used], grid.names)
    if source.objective:
        metrics.setdefault(config.goal.metric, source.objective)
    whole = Grid(axes)
    results = [
        (
            whole.point(dict(zip(whole.names, params, strict=True))),
            _metrics(row, metrics, config.goal.metric),
        )
        for row, params in zip(rows, zip(*values, strict=True), strict=True)
        if None not in params
    ]
    return Learned(name, whole, tuple(results))


def _value(value: object, axis: Axis) -> Value | None:
    """The level of the study that a value is, or the number or text itself; None if nothing."""
    if (index := Levels(axis).index(value)) is not None:
        return axis.levels[index]
    if is_blank(value):
        return None
    size = number(value)
    if size is not None and math.isfinite(size):
        return int(size) if size.is_integer() and abs(size) < 1e15 else size
    return value if isinstance(value, bool | str) else None


def _levels(column: Iterable[Value | None], axis: Axis) -> Sequence[Value]:
    """The levels that occur: numbers in the order of the study's, others in that of the study."""
    found = list(dict.fromkeys(value for value in column if value is not None))
    numbers = [v for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
    if axis.ordered and len(numbers) == len(found):
        first, last = axis.levels[0], axis.levels[-1]
        falls = isinstance(first, int | float) and isinstance(last, int | float) and last < first
        return sorted(numbers, reverse=falls) or [axis.levels[0]]
    place = {level: k for k, level in enumerate(axis.levels)}
    return sorted(found, key=lambda value: place.get(value, len(place))) or [axis.levels[0]]


def _metrics(row: Row, columns: Mapping[str, str], objective: str) -> dict[str, float] | None:
    if row.state is RowState.FAILED:
        return None
    sizes = {name: number(row.values.get(column)) for name, column in columns.items()}
    found = {n: size for n, size in sizes.items() if size is not None and math.isfinite(size)}
    return found if objective in found else None
