"""Epochs: choosing the next point to evaluate, between two fits of the model.

An `Epoch` is created from the ledger at one moment, fits the model to it, and then applies the
events of the ledger one by one. Its state is a function of that moment, the seed and the events
since then.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from dsice.goal import Goal
from dsice.grid import Grid, Point
from dsice.search.guidance import NO_GUIDANCE, Guidance
from dsice.search.ledger import Event, Ledger
from dsice.search.lines import (
    axis_line,
    far_points,
    learned_direction,
    line,
    oblique_direction,
)
from dsice.search.model import Model
from dsice.search.pool import ANYWHERE, Pool
from dsice.search.ranking import Ranking
from dsice.search.why import Direction, Forecast, Origin, Prospect, Ray, Role

POOL: Final = 400  # candidates kept when full; the capacity is twice as large
TAKEN: Final = 64  # maximum number of candidates from the lines through each of them ...
TAKEN_ON_WALKS: Final = 32  # ... and through each candidate that a walk reaches
FAR: Final = 200  # candidates from the whole grid, at each fit ...
FAR_MORE: Final = 50  # ... and for each proposal while no candidate is promising,
FAR_TAKEN: Final = 8  # of which so many become candidates
CENTRES: Final = 6  # number of best points through which lines are laid
OBLIQUE: Final = 40  # oblique lines through each of them ...
OBLIQUE_ON_WALKS: Final = 4  # ... and through each candidate that a walk reaches
LEARNED: Final = 10  # lines along differences of good points, likewise
LEARNED_ON_WALKS: Final = 1
WALKS: Final = 2  # steps along the acquisition function for each proposal
BEST: Final = 1 / 3  # share of all trials that count as the best
CLEAR: Final = 0.35  # largest lag of an unfinished trial through which lines are laid
# Expected improvement, in standard deviations of the targets, below which far points are added.
SPENT: Final = 3e-3


class Epoch:
    """The model, the candidates and the next proposal.

    Args:
        grid: the points.
        goal: with settled bounds.
        ledger: the evaluated and pending points, with at least one success; the epoch owns it.
        seed: of the random choices.
        guidance: what guides the search besides its results.
    """

    def __init__(
        self,
        grid: Grid,
        goal: Goal,
        ledger: Ledger,
        seed: str,
        guidance: Guidance = NO_GUIDANCE,
    ) -> None:
        self._grid = grid
        self._goal = goal
        self._ledger = ledger
        self._random = Random(seed)
        unfinished = ledger.unfinished()
        lags = ledger.foreseen()
        self._model = Model(grid, goal, ledger, self._random, 2 * POOL, lags, guidance)
        self._model.update()
        self._is_ranked_otherwise = bool(guidance.beliefs) or guidance.durations
        self._ranking = Ranking(ledger.history, goal, self._clear(lags))
        self._pool = Pool(grid, self._model, POOL)
        self._crossed: set[Point] = set()  # points through which lines were laid
        self._stale = False
        self._proposal: Point | None = None
        # Whether all points are candidates.
        self._is_whole = (grid.allowed_count or math.inf) <= 2 * POOL
        if self._is_whole:
            self._pool.scatter(grid, Origin(Role.GRID))
        else:
            far = far_points(grid, FAR, self._model.evaluated[:1], self._random)
            self._pool.scatter(far, ANYWHERE)
        self._unfinished = unfinished
        self._chances: dict[Point, float] = {}
        self._standings: dict[Point, float] = {}
        self._lengths: dict[Point, float] = {}
        self._chance_of_new = 0.0
        if ledger.curves is not None:
            self._judge()

    def _clear(self, lags: Mapping[str, Mapping[Point, float]]) -> list[Point]:
        """The points to lay lines through: measured ones, and those with a reliable prediction.

        While these are too few, all points with any information.
        """
        evaluated = self._model.evaluated
        unclear = {point for each in lags.values() for point, lag in each.items() if lag > CLEAR}
        found = [point for point in evaluated if point not in unclear]
        return found if len(found) >= CENTRES else evaluated

    def _judge(self) -> None:
        """Compute chances and lengths of the unfinished trials and of the best new point."""
        leader = self.propose()
        self._proposal = None
        if self._unfinished:
            found = self._model.chances_to_lead(self._unfinished)
            self._chances = dict(zip(self._unfinished, found.tolist(), strict=True))
            found = self._model.chances_in_best(BEST, self._unfinished)
            self._standings = dict(zip(self._unfinished, found.tolist(), strict=True))
        if leader is not None:
            self._chance_of_new = float(self._model.chances_to_lead([leader])[0])
            lengths = self._model.lengths([leader, *self._unfinished])
            ratios = (lengths[1:] / lengths[0]).tolist()
            self._lengths = dict(zip(self._unfinished, ratios, strict=True))

    # -- events ------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Apply an event of the ledger. A pending point need not be the one proposed."""
        point = event.point
        if event.is_end or event.step is not None:
            return  # used from the next fit on
        if event.is_start:
            self.propose()
            self._proposal = None
        self._ledger.apply(event)
        if event.is_skip:
            self._pool.discard(point)
            return
        if self._model.submit(point, self._pool.slot(point)):
            self._pool.discard(point)
            self._stale = True
        if event.is_result:
            self._model.record(point)
            self._ranking.add(point)
            self._stale = True

    def _update(self) -> None:
        """Update the model with the events since the last proposal."""
        if self._stale:
            self._model.update()
            self._pool.refresh()
            self._stale = False

    # -- the proposal ------------------------------------------------------------------------------

    def propose(self) -> Point | None:
        """The candidate with the largest acquisition value; None if there are no candidates.

        It stays the same until a point becomes pending.
        """
        if self._proposal is None:
            self._update()
            for point in self._ranking.best(CENTRES):
                self._cross(point, OBLIQUE, LEARNED, TAKEN)
            for _ in range(WALKS):
                leader = self._pool.leader
                if leader is None or not self._cross(
                    leader, OBLIQUE_ON_WALKS, LEARNED_ON_WALKS, TAKEN_ON_WALKS
                ):
                    break
            if not self._is_whole and self._pool.largest < math.log(SPENT):
                far = far_points(self._grid, FAR_MORE, self._ranking.best(1), self._random)
                self._pool.scatter(far, ANYWHERE, FAR_TAKEN)
            self._proposal = self._pool.leader
        return self._proposal

    def _cross(self, point: Point, oblique: int, learned: int, most: int) -> bool:
        """Lay lines through ``point``, once; return whether there are new candidates."""
        if point in self._crossed:
            return False
        self._crossed.add(point)
        axes = range(len(self._grid.shape))
        on_axes: dict[Point, Origin] = {}
        for axis in axes:
            ray = Ray(point, tuple(float(other == axis) for other in axes))
            origin = Origin(Role.AXIS, ray)
            on_axes.update(dict.fromkeys(axis_line(point, axis, self._grid), origin))
        found = on_axes.copy()

        def lay(role: Role, step: Direction | None) -> None:
            if step is not None:
                points = line(point, step, self._grid, self._random)
                found.update(dict.fromkeys(points, Origin(role, Ray(point, step))))

        for _ in range(oblique):
            lay(Role.OBLIQUE, oblique_direction(self._grid, self._random))
        good = self._ranking.best(max(8, len(self._ranking) // 10))
        for _ in range(learned):
            lay(Role.LEARNED, learned_direction(point, good, self._random))
        found.update(on_axes)  # a learned line may be an axis line
        return self._pool.add(found, most)

    # -- queries -----------------------------------------------------------------------------------

    def origin(self, point: Point) -> Origin | None:
        """The origin of a candidate; None if ``point`` is not a candidate."""
        return self._pool.origin(point)

    def forecast(self, points: Sequence[Point]) -> list[Forecast]:
        """Predict the outcomes at ``points``, candidates or not, given all results."""
        self._update()
        return self._model.forecast(points, self._pool.slots_of(points))

    @property
    def chances(self) -> Mapping[Point, float]:
        """The probability of each unfinished trial to become the best, as of the fit."""
        return self._chances

    @property
    def standings(self) -> Mapping[Point, float]:
        """The probability of each unfinished trial to end among the best, as of the fit."""
        return self._standings

    @property
    def lengths(self) -> Mapping[Point, float]:
        """The expected length of each unfinished trial, as a multiple of the best new point's."""
        return self._lengths

    @property
    def chance_of_new(self) -> float:
        """The probability of the most promising new point to become the best."""
        return self._chance_of_new

    def rival(self, point: Point) -> Point | None:
        """The incumbent; for a front, the one at the bound where ``point`` gains most."""
        self._update()
        return self._model.rival(point)

    def prospects(self, limits: Sequence[Sequence[float]]) -> list[Prospect]:
        """Estimate the gain at each of ``limits`` of the swept metrics; changes nothing."""
        probe = self._probe()
        probe.propose()
        found = probe._model.prospects(limits, probe._pool.slots)
        return [
            Prospect(
                tuple(each), best, None if slot is None else probe._pool.at(slot), gain, chance
            )
            for each, (best, slot, gain, chance) in zip(limits, found, strict=True)
        ]

    def gain(self) -> float:
        """The expected improvement on the best point, in the objective's unit.

        Infinite while nothing is feasible or a neighbour of the best point along an axis is not
        evaluated. Changes nothing.
        """
        best = self._ledger.incumbent
        if best is None or not self._model.unit or self._is_open(best):
            return math.inf
        probe = self._probe()
        probe.propose()
        if not len(probe._pool):
            return 0.0
        largest = probe._pool.largest
        if self._is_ranked_otherwise:  # the gain depends on neither beliefs nor durations
            largest = float(probe._model.log_acquisition(probe._pool.slots).max())
        return math.exp(largest) * probe._model.unit

    def _probe(self) -> Epoch:
        """A copy for queries: a proposal changes the candidates of later ones."""
        shared = (self._grid, self._goal, self._ledger, self._ledger.history, *self._pool.origins)
        return copy.deepcopy(self, {id(each): each for each in shared})

    def _is_open(self, point: Point) -> bool:
        """Whether a neighbour along an axis is allowed and neither evaluated nor pending."""
        for axis, levels in enumerate(self._grid.axes):
            at = point[axis]
            near = (at - 1, at + 1) if levels.ordered else range(len(levels))
            for level in near:
                neighbour = (*point[:axis], level, *point[axis + 1 :])
                if (
                    0 <= level < len(levels)
                    and neighbour not in self._ledger
                    and self._grid.allows(neighbour)
                ):
                    return True
        return False
