"""What to measure next, by the surfaces of everything the goal reads.

A `Guide` lives from one fit of the surfaces to the next. It is built from all that is known at that
moment and then told, in their order, which points are under way and which results arrived.
"""

from __future__ import annotations

import bisect
import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.candidates import (
    axis_line,
    far_points,
    learned_direction,
    line,
    oblique_direction,
)
from dsice.search.forecasts import forecasts, outputs
from dsice.search.history import History
from dsice.search.outputs import Output
from dsice.search.ranking import ranked
from dsice.search.tradeoff import Prospect, Tradeoff
from dsice.search.why import Direction, Forecast, Origin, Ray, Role
from dsice.surface.anova import Anova, Points
from dsice.surface.axis import Array

POOL: Final = 800  # candidates kept when room is short; there is room for twice as many
FAR: Final = 200  # candidates from anywhere, at each fit ...
FAR_MORE: Final = 50  # ... and for each proposal while nothing promises much
CENTRES: Final = 6  # best points through which lines are laid
OBLIQUE: Final = 40  # oblique lines through each of them ...
OBLIQUE_ON_WALKS: Final = 4  # ... and through each candidate that a walk comes to
LEARNED: Final = 10  # lines along differences of good points, likewise
LEARNED_ON_WALKS: Final = 1
WALKS: Final = 2  # steps along the surface for each proposal
ACTIVE: Final = 600  # measured points that the surfaces stand on at most
FITTED: Final = 300  # measured points that strengths are learned from at most
# How much central levels of long ordered axes are preferred: while little is known, fading as 1/n;
# and always, as the surface is least certain at the ends of its axes and would draw trials there.
CENTRALITY: Final = 0.0
LASTING: Final = 0.0
LONG_AXIS: Final = 5
# Expected improvement, in units of the targets' deviation, below which far points are added.
SPENT: Final = 3e-3

_ANYWHERE: Final = Origin(Role.FAR)


class Guide:
    """Surfaces, candidates and their ranking.

    Args:
        grid: the points.
        goal: with settled bounds.
        history: measurements so far, one successful at least; when it grows, `learn` must follow.
        pending: points under way.
        seed: of the random choices.
    """

    def __init__(
        self, grid: Grid, goal: Goal, history: History, pending: Iterable[Point], seed: str
    ) -> None:
        self._grid = grid
        self._goal = goal
        self._history = history
        self._random = Random(seed)
        measured = self._active()
        waiting = [point for point in pending if point not in history]
        self._taken = {grid.program(point) for point in (*history, *waiting)}
        self._row = {point: row for row, point in enumerate([*measured, *waiting])}
        results = [history.metrics(point) for point in measured]
        self._objective, self._limited, self._success = outputs(goal, results)
        self._outputs: list[Output | Tradeoff] = [self._objective, *self._limited, *self._success]
        self._fit(measured, waiting)
        self._slot: dict[Point, int] = {}  # of each candidate
        self._at: list[Point] = [()] * (2 * POOL)
        self._programs: list[Point] = [()] * (2 * POOL)  # of the candidates
        self._origins = [_ANYWHERE] * (2 * POOL)
        self._apart: set[Point] = set()  # candidates that lie on no line
        self._free = list(range(2 * POOL - 1, -1, -1))
        self._centrality = np.zeros(2 * POOL)
        self._ratings = np.full(2 * POOL, -np.inf)
        axes = range(len(grid.shape))
        self._axis_steps = [tuple(float(other == axis) for other in axes) for axis in axes]
        self._crossed: set[Point] = set()  # points through which lines were laid
        self._ranking: list[tuple[Any, Point]] = []  # the successes, best first
        self._rank_all([p for p, m in zip(measured, results, strict=True) if m is not None])
        self._stale = True
        self._proposal: Point | None = None
        self._update()
        if grid.size <= POOL:
            self._scatter(grid, Origin(Role.GRID))
        else:
            self._scatter(far_points(grid, FAR, measured[:1], self._random), _ANYWHERE)

    def _active(self) -> list[Point]:
        """The measured points that the surfaces stand on: the best, the latest and some others."""
        known = list(self._history)
        if len(known) <= ACTIVE:
            return known
        chosen = set(ranked(known, self._history, self._goal)[: ACTIVE // 2])
        chosen.update(known[-ACTIVE // 4 :])
        others = [point for point in known if point not in chosen]
        chosen.update(self._random.sample(others, ACTIVE - len(chosen)))
        return [point for point in known if point in chosen]

    def _fit(self, measured: list[Point], waiting: list[Point]) -> None:
        points = np.array([*measured, *waiting], dtype=np.intp)
        weights = np.array([self._history.weight(p) for p in measured] + [1] * len(waiting), float)
        sample = list(range(len(measured)))
        if len(measured) > FITTED:
            row_of = {point: row for row, point in enumerate(measured)}
            sample = [row_of[point] for point in ranked(measured, self._history, self._goal)]
            half = FITTED // 2
            sample = sorted(sample[:half] + self._random.sample(sample[half:], FITTED - half))
        covariance = Anova(self._grid.shape, [axis.ordered for axis in self._grid.axes])
        for output in self._outputs:
            for row, point in enumerate(measured):
                output.append()
                output.learn(row, self._history.metrics(point))
            for _ in waiting:
                output.append()
            output.fit(covariance, points, weights, np.array(sample), 2 * POOL)

    # -- events ------------------------------------------------------------------------------------

    def pend(self, point: Point) -> None:
        """``point`` is under way; it need not be the one proposed."""
        self.propose()
        self._proposal = None
        self._take(point)

    def learn(self, point: Point) -> None:
        """The history has a new result at ``point``."""
        if point not in self._row:
            self._take(point)
        for output in self._outputs:
            output.learn(self._row[point], self._history.metrics(point))
        self._rank(point)
        self._stale = True

    def _rank(self, point: Point) -> None:
        """Keep the successes in order, best first."""
        self._ranking = [entry for entry in self._ranking if entry[1] != point]
        if self._goal.swept:  # who is on the front depends on all
            succeeded = self._history.metrics(point) is not None
            self._rank_all([p for _, p in self._ranking] + [point] * succeeded)
        elif self._history.metrics(point) is not None:
            bisect.insort(self._ranking, (self._history.key(point), point))

    def _rank_all(self, points: list[Point]) -> None:
        if self._goal.swept:
            self._ranking = list(enumerate(ranked(points, self._history, self._goal)))
        else:
            self._ranking = sorted((self._history.key(point), point) for point in points)

    def _best(self, count: int) -> list[Point]:
        return [point for _, point in self._ranking[:count]]

    def _take(self, point: Point) -> None:
        self._taken.add(self._grid.program(point))
        if point in self._row:
            return
        self._row[point] = len(self._row)
        self._forget(self._alike(point))
        for output in self._outputs:
            output.add(point)
        self._stale = True

    def _alike(self, point: Point) -> list[Point]:
        """The candidates that are the same program as ``point``."""
        if not self._grid.only_ratios_of:
            return [point] if point in self._slot else []
        program = self._grid.program(point)
        return [other for other, slot in self._slot.items() if self._programs[slot] == program]

    # -- reasons -----------------------------------------------------------------------------------

    def origin(self, point: Point) -> Origin | None:
        """Where a candidate came from; None if ``point`` is none."""
        slot = self._slot.get(point)
        return None if slot is None else self._origins[slot]

    def forecast(self, points: Sequence[Point]) -> list[Forecast]:
        """What is expected at ``points``, candidates or not, given all that is known."""
        self._update()
        at = np.array(points, dtype=np.intp)
        preferences = self._central(at) * self._preference()
        return forecasts(self._objective, self._limited, self._success, at, preferences)

    def rival(self, point: Point) -> Point | None:
        """The best measured point at the bound for which ``point`` gains most, if one is swept."""
        if not isinstance(self._objective, Tradeoff):
            return self._history.best()
        self._update()
        return self._at_row(self._objective.best_for(point))

    def _at_row(self, row: int | None) -> Point | None:
        return next((point for point, at in self._row.items() if at == row), None)

    def prospects(self, limits: Sequence[Sequence[float]]) -> list[Prospect]:
        """What is to be gained at each of ``limits`` of the swept metrics; changes nothing."""
        probe = self._probe()
        probe.propose()
        return probe._prospects(limits)

    def _prospects(self, limits: Sequence[Sequence[float]]) -> list[Prospect]:
        if not isinstance(self._objective, Tradeoff):  # nothing is feasible
            return [Prospect(tuple(each), None, None, 0.0, 0.0) for each in limits]
        slots = np.array(list(self._slot.values()), dtype=np.intp)
        others = np.zeros(len(slots))
        for output in (*self._limited, *self._success):
            others += output.rate(slots)
        found = self._objective.prospects(limits, slots, others)
        return [
            Prospect(
                tuple(each), self._at_row(row), None if slot is None else self._at[slot], gain, p
            )
            for each, (row, slot, gain, p) in zip(limits, found, strict=True)
        ]

    # -- candidates --------------------------------------------------------------------------------

    def propose(self) -> Point | None:
        """The most promising candidate, the same until `pend`; None if there is none left."""
        if self._proposal is None:
            self._update()
            for point in self._best(CENTRES):
                self._cross(point, OBLIQUE, LEARNED)
            for _ in range(WALKS):
                leader = self._leader()
                if leader is None or not self._cross(leader, OBLIQUE_ON_WALKS, LEARNED_ON_WALKS):
                    break
            if self._is_spent():
                far = far_points(self._grid, FAR_MORE, self._best(1), self._random)
                self._scatter(far, _ANYWHERE)
            self._proposal = self._leader()
        return self._proposal

    def gain(self) -> float:
        """By how much the best point may be expected to improve, in the objective's unit.

        Infinite while nothing is feasible or a neighbour of the best point along an axis is not
        measured.
        """
        best = self._history.best()
        if best is None or not self._objective.unit or self._is_open(best):
            return math.inf
        return self._probe()._largest_gain()

    def _probe(self) -> Guide:
        """A copy to ask: a proposal changes what later ones are chosen from."""
        shared = (self._grid, self._goal, self._history, *self._origins)
        return copy.deepcopy(self, {id(each): each for each in shared})

    def _largest_gain(self) -> float:
        self.propose()
        if not self._slot:
            return 0.0
        slots = np.array(list(self._slot.values()))
        ratings = np.sum([output.rate(slots) for output in self._outputs], axis=0)
        return math.exp(float(ratings.max())) * self._objective.unit

    def _is_open(self, point: Point) -> bool:
        """Whether a neighbour along an axis is allowed and not taken."""
        for axis, levels in enumerate(self._grid.axes):
            at = point[axis]
            near = (at - 1, at + 1) if levels.ordered else range(len(levels))
            for level in near:
                neighbour = (*point[:axis], level, *point[axis + 1 :])
                if (
                    0 <= level < len(levels)
                    and self._grid.program(neighbour) not in self._taken
                    and self._grid.allows(neighbour)
                ):
                    return True
        return False

    def _is_spent(self) -> bool:
        """Whether no candidate promises much: it is time to look elsewhere."""
        return self._grid.size > POOL and bool(self._ratings.max() < math.log(SPENT))

    def _leader(self) -> Point | None:
        return self._at[int(np.argmax(self._ratings))] if self._slot else None

    def _update(self) -> None:
        """Take notice of what happened since the last proposal."""
        if not self._stale:
            return
        for output in self._outputs:
            output.update()
        self._rate(np.array(sorted(self._slot.values()), dtype=np.intp))
        self._stale = False

    def _cross(self, point: Point, oblique: int, learned: int) -> bool:
        """Lay lines through ``point``, once; whether that gave new candidates."""
        if point in self._crossed:
            return False
        self._crossed.add(point)
        on_axes: dict[Point, Origin] = {}
        for axis, step in enumerate(self._axis_steps):
            origin = Origin(Role.AXIS, Ray(point, step))
            on_axes.update(dict.fromkeys(axis_line(point, axis, self._grid), origin))
        found = on_axes.copy()

        def lay(role: Role, step: Direction | None) -> None:
            if step is not None:
                points = line(point, step, self._grid, self._random)
                found.update(dict.fromkeys(points, Origin(role, Ray(point, step))))

        for _ in range(oblique):
            lay(Role.OBLIQUE, oblique_direction(self._grid, self._random))
        good = self._best(max(8, len(self._ranking) // 10))
        for _ in range(learned):
            lay(Role.LEARNED, learned_direction(point, good, self._random))
        found.update(on_axes)  # a learned line may be an axis line
        return self._take_up(found)

    def _scatter(self, points: Iterable[Point], origin: Origin) -> None:
        """Make candidates of points that lie on no line."""
        found = dict.fromkeys(points, origin)
        self._take_up(found)
        self._apart.update(p for p in found if self.origin(p) is origin)

    def _take_up(self, found: Mapping[Point, Origin]) -> bool:
        """Make candidates of those points that are new and allowed; whether there were any."""
        for point in self._apart & found.keys():
            if found[point].line is not None:  # on a line after all
                self._origins[self._slot[point]] = found[point]
                self._apart.discard(point)
        new = [
            point
            for point in found
            if point not in self._slot
            and self._grid.program(point) not in self._taken
            and self._grid.allows(point)
        ]
        if len(new) > len(self._free):
            ranking = sorted(self._slot, key=lambda point: -self._ratings[self._slot[point]])
            self._forget(ranking[max(0, 2 * POOL - max(len(new), POOL)) :])
            new = new[: len(self._free)]
        if not new:
            return False
        slots = np.array([self._free.pop() for _ in new], dtype=np.intp)
        for point, slot in zip(new, slots.tolist(), strict=True):
            self._slot[point] = slot
            self._at[slot] = point
            self._origins[slot] = found[point]
            self._programs[slot] = self._grid.program(point)
        points = np.array(new, dtype=np.intp)
        for output in self._outputs:
            output.fill(slots, points)
        self._centrality[slots] = self._central(points)
        self._rate(slots)
        return True

    def _central(self, points: Points) -> Array:
        """Logarithm of a bump over the grid, 0 in the centre: good points are likelier there.

        Its influence on the rating shrinks as results come in, to a small rest (C. Hvarfner et
        al., "piBO: Augmenting acquisition functions with user beliefs for Bayesian optimization",
        ICLR 2022, section 4; the rest is ours).
        """
        long = [axis.ordered and len(axis) >= LONG_AXIS for axis in self._grid.axes]
        u = (points + 0.5) / np.array(self._grid.shape)
        return np.asarray(np.log(4 * u * (1 - u)) @ np.array(long, dtype=float))

    def _forget(self, candidates: Iterable[Point]) -> None:
        for point in candidates:
            slot = self._slot.pop(point)
            self._apart.discard(point)
            self._ratings[slot] = -np.inf
            self._free.append(slot)

    def _rate(self, slots: NDArray[np.intp]) -> None:
        if len(slots):
            self._ratings[slots] = sum(output.rate(slots) for output in self._outputs)
            self._ratings[slots] += self._centrality[slots] * self._preference()

    def _preference(self) -> float:
        """How much the middle of the grid is preferred."""
        return CENTRALITY / len(self._ranking) + LASTING
