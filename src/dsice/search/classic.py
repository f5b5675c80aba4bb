"""The three published forms of DSICE, d-spline iterative collinear exploration.

All of them repeat two steps from a *base*, which starts at the centre of the grid. *Directional
exploration* chooses a line through the base; *collinear exploration*
(`dsice.search.line.Exploration`) finds the best point on it, which becomes the next base. The
searches proceed in rounds and wait for all results of each.

The published forms support ordered axes only: the values of an unordered axis are used in the order
in which they are given.

Sources: M. Mochizuki, A. Fujii, T. Tanaka, T. Katagiri, "Fast multidimensional performance
parameter estimation with multiple one-dimensional d-spline parameter search", IPDPS Workshops
(2017), doi 10.1109/IPDPSW.2017.132; IPSJ technical report 190744 (2018) for the staged directions;
DSICE 1.0.1 of Kogakuin University (2025) for the radial form, rebuilt from a description.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Final, Literal

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.base import NOTHING_ALLOWED, at_least, positive
from dsice.search.line import Exploration, Line, directions, moved
from dsice.search.rounds import Rounds, RoundSearch
from dsice.search.why import Ray, Role
from dsice.spline import DEFAULT_ALPHA

NO_LINE_LEADS_ON: Final = "no line through the best point leads to a better one"
_MOST_DIRECTIONS: Final = 100_000


class ClassicSearch(RoundSearch):
    """Base class of the published forms.

    With prior knowledge, the first base is the best known point instead of the centre. If the rule
    excludes the centre, the nearest allowed point replaces it.

    Args:
        grid: the points.
        goal: what to look for.
        seed: unused; these forms are deterministic.
        capacity: how many points can be measured at the same time.
        batch: number of settings that one update of a collinear exploration suggests. By default,
            the capacity is shared among the lines being explored, at least 1 each.
        alpha: smoothing of the d-Spline, a positive number or ``"abic"`` (`dsice.spline.fit`).
        reference: merit of a point at the edge of feasibility; it must exceed every expected cost.
            By default it is derived on each line (`History.merits`).
        max_changes: how many axes a direction may change at once. All by default; with more than 10
            axes, `Dsice2017` and `Dsice2024` use as many as keep them below 100 000 directions.
        count_measurements: compatibility with DSICE 1.0.1, see `Exploration`.
    """

    _staged: bool  # whether directions are added level by level or tried all at once

    def __init__(
        self,
        grid: Grid,
        goal: Goal,
        *,
        seed: int = 0,
        capacity: int = 1,
        batch: int | None = None,
        alpha: float | Literal["abic"] = DEFAULT_ALPHA,
        reference: float | None = None,
        max_changes: int | None = None,
        count_measurements: bool = False,
    ) -> None:
        super().__init__(grid, goal, seed=seed, capacity=capacity)
        self._batch = None if batch is None else at_least("batch", batch, 1)
        self._alpha = alpha if alpha == "abic" else positive("alpha", alpha)
        if reference is not None and not (
            isinstance(reference, int | float) and math.isfinite(reference)
        ):
            raise InvalidInput(f"reference = {reference!r}: a finite number is needed")
        self._reference = reference
        if not isinstance(count_measurements, bool):
            raise InvalidInput(f"count_measurements = {count_measurements!r}: True or False")
        self._count_measurements = count_measurements
        self._axes = [axis for axis, n in enumerate(grid.shape) if n > 1]
        self._most_changes = len(self._axes) if self._staged else _affordable(len(self._axes))
        if max_changes is not None:
            at_least("max_changes", max_changes, 1)
            if self._most_changes < min(max_changes, len(self._axes)):
                raise InvalidInput(
                    f"max_changes = {max_changes}: as all directions are tried at once, at most "
                    f"{self._most_changes} of {len(self._axes)} axes can change together"
                )
            self._most_changes = min(max_changes, self._most_changes)

    def _first_base(self) -> Point | None:
        return self.ledger.incumbent or self.grid.nearest(self.grid.centre)

    def _directions(self, changes: int) -> Iterator[Point]:
        """The directions that change ``changes`` axes; axes with a single level never change."""
        for direction in directions(len(self._axes), changes):
            steps = [0] * len(self.grid.shape)
            for axis, step in zip(self._axes, direction, strict=True):
                steps[axis] = step
            yield tuple(steps)

    def _neighbours(self, base: Point, changes: int) -> Iterator[tuple[Point, Line]]:
        """Allowed neighbours of ``base`` in ``changes`` axes, each with the line through both."""
        for direction in self._directions(changes):
            point = moved(base, direction)
            if point in self.grid and self.grid.allows(point):
                yield point, Line.through(self.grid, base, direction)

    def _lines(self, base: Point, changes: int) -> Iterator[Line]:
        """The lines through ``base`` along which ``changes`` axes change."""
        for direction in self._directions(changes):
            line = Line.through(self.grid, base, direction)
            # Of the two opposite directions of a line, one is the line's own.
            if line.direction == direction and len(line) > 1:
                yield line

    def _explore(self, line: Line) -> Exploration:
        return Exploration(
            line,
            self.grid,
            self.history,
            alpha=self._alpha,
            reference=self._reference,
            count_measurements=self._count_measurements,
        )

    def _share(self, lines: int) -> int:
        """How many settings an update may suggest on each of ``lines`` lines."""
        return self._batch or max(1, self.capacity // max(lines, 1))

    def _better(self, base: Point) -> Point | None:
        """The best measured point if it is better than ``base``, else None."""
        best = self.ledger.incumbent
        if best is None or self.history.key(best) >= self.history.key(base):
            return None
        return best


class Dsice2018(ClassicSearch):
    """Staged directions: axes first, then oblique lines (``"dsice-2018"``, IPSJ 190744).

    1. Measure the base's neighbours that differ from it in up to `level` axes, except along lines
       already travelled and except those already compared around this base. At first, `level` is 1.
    2. Explore the whole line through the base and the best of them, even if that is worse.
    3. If a better point was found, it is the new base. Otherwise increase `level`, which is never
       reset; past the number of axes, stop.
    """

    _staged = True

    def _rounds(self) -> Rounds:
        base = self._first_base()
        if base is None:
            return NOTHING_ALLOWED
        self._note([base], Role.START)
        level = 1 if self._staged else self._most_changes
        compared = 0  # neighbours in up to this many axes have been compared around this base
        travelled: set[Line] = set()
        while True:
            around = {
                point: line
                for changes in range(compared + 1, level + 1)
                for point, line in self._neighbours(base, changes)
                if line not in travelled
            }
            for point, line in around.items():
                self._note([point], _role(line), _ray(base, line))
            yield [base, *around]
            if around:
                line = around[min(around, key=self.history.key)]
                travelled.add(line)
                exploration = self._explore(line)
                while points := exploration.suggest(self._share(1)):
                    self._note(points, Role.COLLINEAR, _ray(base, line))
                    yield points
            if better := self._better(base):
                base, compared = better, 0
            elif level < self._most_changes:
                compared, level = level, level + 1
            else:
                return NO_LINE_LEADS_ON


class Dsice2017(Dsice2018):
    """All neighbours at once (``"dsice-2017"``, Mochizuki et al. 2017).

    As `Dsice2018` with `level` the number of axes from the start: all 3^d - 1 neighbours are
    compared around each base, and the first line without an improvement ends the search.
    """

    _staged = False


class Dsice2024(ClassicSearch):
    """Radial: all lines through the base at once (``"dsice-2024"``, DSICE 1.0.1).

    1. Explore all lines through the base that have not been travelled yet, side by side. A round is
       the next suggestions of all lines that have not stopped: lines with fewer changed axes come
       first, and lines with equally many take turns.
    2. When every line has stopped, the best measured point is the new base. If it is the old one,
       stop.

    The search never stalls: a round without new points to measure ends at once, and without any
    suggestion every line has stopped.
    """

    _staged = False

    def _rounds(self) -> Rounds:
        base = self._first_base()
        if base is None:
            return NOTHING_ALLOWED
        self._note([base], Role.START)
        travelled: set[Line] = set()
        while True:
            active = {
                line: self._explore(line)
                for changes in range(1, self._most_changes + 1)
                for line in self._lines(base, changes)
                if line not in travelled
            }
            travelled.update(active)
            while True:
                share = self._share(len(active))
                suggestions = {line: active[line].suggest(share) for line in active}
                active = {line: active[line] for line in active if suggestions[line]}
                for line, points in suggestions.items():
                    self._note(points, Role.COLLINEAR, _ray(base, line))
                yield [base, *_interleaved(suggestions)]
                if not active:
                    break
            if (better := self._better(base)) is None:
                return NO_LINE_LEADS_ON
            base = better


def _role(line: Line) -> Role:
    """The role of a neighbour that is compared to choose a line."""
    return Role.AXIS if line.changes == 1 else Role.OBLIQUE


def _ray(base: Point, line: Line) -> Ray:
    return Ray(base, tuple(map(float, line.direction)))


def _interleaved(suggestions: Mapping[Line, Sequence[Point]]) -> Iterator[Point]:
    """Merge the suggestions of lines, sorted by changed axes; equally many take turns."""
    for _, lines in groupby(suggestions, key=lambda line: line.changes):
        for turn in zip_longest(*(suggestions[line] for line in lines)):
            yield from (point for point in turn if point is not None)


def _affordable(axes: int) -> int:
    """The largest number of changes with at most `_MOST_DIRECTIONS` directions in all."""
    total = 0
    for changes in range(1, axes + 1):
        total += 2**changes * math.comb(axes, changes)
        if total > _MOST_DIRECTIONS:
            return changes - 1
    return axes
