"""Sources: results of earlier studies of related programs, known before the first trial.

A *source* is a grid and its results, raw metrics. It provides a `Lesson` for each quantity of the
goal that it has measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import numpy as np

from dsice.errors import InvalidInput
from dsice.goal import Metrics
from dsice.gp.axis import Array
from dsice.grid import Axis, Grid, Point
from dsice.search.bridge import Bridge
from dsice.search.lesson import Lesson

Results = Sequence[tuple[Point, Metrics | None]]
Given = tuple[Grid, Results] | tuple[Grid, Results, str]

SIGNIFICANT: Final = 3.5  # `Lesson.significance` below which a source is ignored
LEAST: Final = 3  # minimum number of different values of a quantity


class Sources:
    """The sources of a search and their lessons, computed on first use.

    Args:
        grid: the target's grid.
        given: for each source its grid, its results and optionally its name. A result is a point of
            that grid and its metrics, None or empty if the measurement failed. A missing metric is
            unknown there.

    Raises:
        InvalidInput: not of that form, or a point outside its grid.
    """

    def __init__(self, grid: Grid, given: Sequence[Given]) -> None:
        self._grid = grid
        self._sources = [_Source(grid, k, each) for k, each in enumerate(given)]
        self._lessons: dict[str, list[Lesson]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self  # cached values change no result

    def lessons(
        self,
        key: str,
        read: Callable[[Metrics | None], float],
        transformed: Callable[[Array], Array],
    ) -> list[Lesson]:
        """The lessons of the sources about a quantity.

        Args:
            key: identifies the quantity.
            read: returns its value in a result; NaN or KeyError if there is none.
            transformed: converts values to targets.
        """
        if key not in self._lessons:
            found = [source.lesson(self._grid, read, transformed) for source in self._sources]
            self._lessons[key] = [lesson for lesson in found if lesson is not None]
        return self._lessons[key]

    @property
    def fail(self) -> bool:
        """Whether any source has failures."""
        return any(source.fails for source in self._sources)


NO_SOURCES: Final = Sources(Grid([Axis("none", [0])]), [])


class _Source:
    """One source: its points, each with all its measurements."""

    def __init__(self, target: Grid, number: int, given: Given) -> None:
        self.name, grid, results = _checked(number, given)
        self._bridge = Bridge(target, grid)
        self._measured: dict[Point, list[Metrics | None]] = {}
        for point, metrics in results:
            self._measured.setdefault(point, []).append(metrics or None)

    @property
    def fails(self) -> bool:
        """Whether a point failed at every measurement."""
        return any(not any(found) for found in self._measured.values())

    def lesson(
        self,
        grid: Grid,
        read: Callable[[Metrics | None], float],
        transformed: Callable[[Array], Array],
    ) -> Lesson | None:
        points, values, weights = [], [], []
        for point, measured in self._measured.items():
            known: list[Metrics | None] = [m for m in measured if m is not None]
            known = known or [None]
            found = [value for m in known if math.isfinite(value := _value(read, m))]
            if found:
                points.append(point)
                values.append(math.fsum(found) / len(found))
                weights.append(float(len(found)))
        if len(points) < LEAST or len(set(values)) < 2:
            return None
        targets = transformed(np.array(values))
        lesson = Lesson(
            self.name,
            grid,
            self._bridge,
            np.array(points, dtype=np.intp),
            np.array(values),
            targets,
            np.array(weights),
        )
        return lesson if lesson.significance > SIGNIFICANT else None


def _value(read: Callable[[Metrics | None], float], metrics: Metrics | None) -> float:
    try:
        return read(metrics)
    except (KeyError, TypeError):  # a metric that the source lacks
        return math.nan


def _checked(number: int, given: Given) -> tuple[str, Grid, list[tuple[Point, Metrics | None]]]:
    """Validate a source; return its name, grid and results."""
    what = f"source {number + 1}"
    form = isinstance(given, tuple | list) and len(given) in (2, 3)
    if not form or not isinstance(given[0], Grid) or isinstance(given[1], str):
        raise InvalidInput(f"{what}: a pair of a dsice.Grid and a list of its results is needed")
    grid, results = given[0], given[1]
    name = given[2] if len(given) == 3 else what
    found: list[tuple[Point, Metrics | None]] = []
    for each in results:
        if not isinstance(each, tuple | list) or len(each) not in (1, 2):
            raise InvalidInput(f"{what}: {each!r} is no pair of a point and its metrics")
        point, metrics = tuple(each[0]), each[1] if len(each) == 2 else None
        if point not in grid:
            raise InvalidInput(f"{what}: {point!r} is no point of a grid of shape {grid.shape}")
        if metrics is not None and not isinstance(metrics, Mapping):
            raise InvalidInput(f"{what}: {metrics!r} are no metrics by name, nor None")
        found.append((point, metrics))
    return name, grid, found
