"""The measurements of a search: raw metrics of every point so far, and their ranking."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from typing import Final

from dsice.errors import InvalidInput
from dsice.goal import Goal, Metrics
from dsice.grid import Grid, Point

Key = tuple[bool, bool, float, float]

# Merits are fitted by least squares, where costs and violations beyond these sizes would overflow.
_LARGEST_COST: Final = 1e100
_LARGEST_VIOLATION: Final = 1e6


class History:
    """Raw metrics by point; feasibility and merit are computed on demand.

    A point may be measured several times: its metrics are the means over its measurements, or those
    of the best one (`Goal.of_repeats`), and its weight is their number. A point has *failed* if all
    its measurements did.

    A measurement is valid for all equivalent points (`Grid.program`); the first one that was added
    is the canonical one.

    All results depend on the measurements alone, not on the order in which they arrived.
    """

    def __init__(self, grid: Grid, goal: Goal) -> None:
        self._grid = grid
        self._goal = goal
        self._measured: dict[Point, list[Metrics]] = {}  # by `Grid.program`
        self._points: dict[Point, Point] = {}  # canonical points, by `Grid.program`
        self._foreseen: dict[Point, Metrics] = {}  # by `Grid.program`
        self._seconds: dict[Point, list[float]] = {}  # by `Grid.program`
        self._expected: dict[Point, float] = {}  # seconds that are foreseen, by `Grid.program`
        self._keys: dict[Point, Key] = {}  # of `key`, once computed, by `Grid.program`

    def add(self, point: Point, metrics: Metrics | None, seconds: float | None = None) -> None:
        """Record one measurement, None if it failed, and its duration, if known.

        Raises:
            InvalidInput: a metric of the goal is missing or not a finite number.
        """
        checked = None if metrics is None else self._checked(metrics)
        program = self._grid.program(point)
        self._points.setdefault(program, point)
        self._foreseen.pop(program, None)
        self._keys.pop(program, None)
        if seconds is not None:
            self._seconds.setdefault(program, []).append(seconds)
        measurements = self._measured.setdefault(program, [])
        if checked is not None:
            measurements.append(checked)

    def foresee(self, point: Point, metrics: Metrics, seconds: float | None = None) -> None:
        """Use ``metrics``, after ``seconds``, as the result at ``point`` until there is one."""
        program = self._grid.program(point)
        self._points.setdefault(program, point)
        self._measured.setdefault(program, [])
        self._foreseen[program] = metrics
        if seconds is not None:
            self._expected[program] = seconds
        self._keys.pop(program, None)

    def _checked(self, metrics: Metrics) -> Metrics:
        checked = {}
        for name in self._goal.metrics:
            if name not in metrics:
                raise InvalidInput(
                    f"the metric {name!r} is missing: the goal is to {self._goal}, and the "
                    f"measurement has {sorted(metrics)}"
                )
            value = metrics[name]
            if type(value) is not float:  # the test for other numbers takes long
                if not isinstance(value, Real) or isinstance(value, bool):
                    value = math.nan
                value = float(value)
            if not math.isfinite(value):
                what = f"the metric {name!r} is {metrics[name]!r}: a finite number is needed"
                raise InvalidInput(what)
            checked[name] = value
        return checked

    def take_over(self, other: History) -> None:
        """Copy all measurements of a history with the same goal into this empty one."""
        self._points.update(other._points)
        self._measured.update((program, found.copy()) for program, found in other._measured.items())
        self._seconds.update((program, found.copy()) for program, found in other._seconds.items())
        self._keys.update(other._keys)

    def __contains__(self, point: Point) -> bool:
        return self._grid.program(point) in self._measured

    def __iter__(self) -> Iterator[Point]:
        return iter(self._points.values())

    def __len__(self) -> int:
        """Number of points, failed ones included, equivalent ones counted once."""
        return len(self._measured)

    def metrics(self, point: Point) -> Metrics | None:
        """The mean, or best, metrics at ``point``, or None if it is unknown or failed."""
        program = self._grid.program(point)
        measurements = self._measured.get(program)
        if not measurements:
            return self._foreseen.get(program)
        if len(measurements) == 1:
            return measurements[0]
        if self._goal.of_repeats == "best":
            return min(measurements, key=self._goal.key)
        # fsum rounds once: the mean does not depend on the order of arrival. Dividing first keeps
        # it finite.
        count = len(measurements)
        return {
            name: math.fsum(metrics[name] / count for metrics in measurements)
            for name in self._goal.metrics
        }

    def seconds(self, point: Point) -> float | None:
        """How long a measurement at ``point`` took on average, or may take; None if unknown."""
        program = self._grid.program(point)
        found = self._seconds.get(program)
        if not found:
            return self._expected.get(program)
        return math.fsum(each / len(found) for each in found)

    def succeeded(self, point: Point) -> bool:
        """Whether ``point`` has been measured and has not failed."""
        return bool(self._measured.get(self._grid.program(point)))

    def weight(self, point: Point) -> int:
        """The number of measurements behind the metrics of ``point``; 1 for a failed point."""
        return max(len(self._measured[self._grid.program(point)]), 1)

    def key(self, point: Point) -> Key:
        """The sort key of points, best first: feasible, infeasible by violation, failed."""
        program = self._grid.program(point)
        if (found := self._keys.get(program)) is None:
            metrics = self.metrics(point)
            found = (True, True, 0.0, 0.0)
            if metrics is not None:
                found = (False, *self._goal.key(metrics))
            self._keys[program] = found
        return found

    def best(self) -> Point | None:
        """The best measured point, or None if none succeeded.

        Points that the grid's rule excludes do not count. Among equals the first in index order.
        """
        succeeded = [
            point
            for point, found in zip(self, self._measured.values(), strict=True)
            if found and self._grid.allows(point)
        ]
        return min(succeeded, key=lambda point: (self.key(point), point), default=None)  # (1)

    def merits(self, points: Sequence[Point], reference: float | None = None) -> list[float]:
        """Compute a finite number for each of the measured ``points``; smaller is better.

        The merit of a feasible point is its cost (`Goal.cost`), that of an infeasible one is
        ``reference`` plus its violation (`Goal.violation`), and that of a failed one is the largest
        merit of an infeasible point here. The reference must exceed every expected cost. By
        default, it is the worst feasible cost of ``points`` plus their spread, and the spread is
        also the unit of the violation, so that the scale of the objective does not matter.
        """
        known = [self.metrics(point) for point in points]
        violations = [
            None if metrics is None else min(self._goal.violation(metrics), _LARGEST_VIOLATION)
            for metrics in known
        ]
        costs = [0.0 if metrics is None else self._goal.cost(metrics) for metrics in known]
        costs = [min(max(cost, -_LARGEST_COST), _LARGEST_COST) for cost in costs]
        unit = 1.0
        if reference is None:
            unit, reference = _scale(c for c, v in zip(costs, violations, strict=True) if v == 0)
        largest = max((v for v in violations if v is not None), default=0.0)
        return [
            cost
            if violation == 0
            else reference + unit * (largest if violation is None else violation)
            for cost, violation in zip(costs, violations, strict=True)
        ]


def _scale(costs: Iterable[float]) -> tuple[float, float]:
    """The spread of ``costs`` and a reference one spread above the worst."""
    costs = list(costs)
    if not costs:
        return 1.0, 0.0
    worst = max(costs)
    spread = (worst - min(costs)) or abs(worst) or 1.0
    return spread, worst + spread
