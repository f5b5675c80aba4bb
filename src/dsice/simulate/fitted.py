"""Worlds drawn from a history: Gaussian processes of its metrics, durations and failures.

The processes are fitted to the targets of the search, `dsice.search.targets`, and transformed back.
Metrics are drawn independently of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from scipy.special import ndtri

from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.gp.anova import Points
from dsice.gp.axis import Array
from dsice.grid import Grid, Point
from dsice.search.targets import of_bound, of_costs, to_costs, to_values
from dsice.simulate.path import Fit, Path
from dsice.simulate.world import Lasting, Result, World, Worlds

LEAST: Final = 10  # minimum number of results for a model
_SHOWS: Final = 0.2  # share explained from which durations are said to depend on the point


@dataclass(frozen=True)
class Quantity:
    """A model of a metric, or of the duration.

    Attributes:
        fit: a model of the targets.
        values: of all results, -1 times what is to be large.
        targets: of these, as in `dsice.search.targets`.
        sign: -1 for what is to be large.
        limit: of a bounded metric; None for the objective and durations.
    """

    fit: Fit
    values: Array
    targets: Array
    sign: float
    limit: float | None

    @classmethod
    def of(
        cls,
        grid: Grid,
        points: Points,
        values: Array,
        *,
        sign: float = 1.0,
        limit: float | None = None,
    ) -> Self:
        """Learn from the values at ``points``, shape (N, axes)."""
        values = sign * values
        targets = of_costs(values) if limit is None else of_bound(values, limit)
        return cls(Fit.of(grid, points, targets), values, targets, sign, limit)

    def back(self, targets: Array) -> Array:
        """The values that have these targets."""
        if self.limit is None:
            return np.asarray(self.sign * to_costs(targets, self.targets, self.values))
        return to_values(targets, self.values, self.limit)


@dataclass(frozen=True)
class Fitted(Worlds):
    """Worlds that are consistent with a history.

    Attributes:
        metrics: of the goal, by name.
        success: a model of 1 (measured) and 0 (failed), or None if nothing failed.
        failing: share of trials that failed.
        duration: where durations depend on the point, else None.
        pools: durations of measured and of failed trials, drawn from otherwise.
        lasting: durations instead of the history's, or None.
    """

    metrics: Mapping[str, Quantity]
    success: Fit | None
    failing: float
    duration: Quantity | None
    pools: tuple[Sequence[float], Sequence[float]]
    lasting: Lasting | None

    @classmethod
    def of(
        cls,
        grid: Grid,
        goal: Goal,
        results: Sequence[tuple[Point, Result]],
        lasting: Lasting | None = None,
    ) -> Self:
        """Learn from results.

        Raises:
            InvalidInput: too few trials were measured, or one lacks a metric of the goal.
        """
        done = [(p, r.metrics, r.seconds) for p, r in results if r.metrics is not None]
        if len(done) < LEAST:
            raise InvalidInput(f"{len(done)} measured trials: a model needs at least {LEAST}")
        for _, metrics, _ in done:
            if (missing := goal.missing(metrics)) is not None:
                raise InvalidInput(f"no metric {missing!r}: there are {', '.join(sorted(metrics))}")
        points = np.array([point for point, _, _ in done], dtype=np.intp)
        quantities = {}
        for name in goal.metrics:
            values = np.array([metrics[name] for _, metrics, _ in done], dtype=float)
            if name == goal.metric:
                sign = 1.0 if goal.maximize is None else -1.0
                quantities[name] = Quantity.of(grid, points, values, sign=sign)
            else:
                bound = next(bound for bound in goal.bounds if bound.metric == name)
                quantities[name] = Quantity.of(grid, points, values, limit=bound.limit or 0.0)
        everywhere = np.array([point for point, _ in results], dtype=np.intp)
        succeeded = np.array([r.metrics is not None for _, r in results], dtype=float)
        seconds = np.array([max(s, 1e-3) for _, _, s in done])
        return cls(
            metrics=quantities,
            success=Fit.of(grid, everywhere, succeeded) if len(done) < len(results) else None,
            failing=float(1 - succeeded.mean()),
            duration=None if lasting else _depending(Quantity.of(grid, points, seconds)),
            pools=(seconds.tolist(), [r.seconds for _, r in results if r.metrics is None]),
            lasting=lasting,
        )

    def world(self, seed: int) -> World:  # noqa: D102  (as the base)
        return _FittedWorld(self, seed)


def _depending(duration: Quantity) -> Quantity | None:
    """The model of durations, if it predicts them better than their mean does."""
    return duration if duration.fit.explained > _SHOWS else None


class _FittedWorld(World):
    def __init__(self, worlds: Fitted, seed: int) -> None:
        super().__init__(seed)
        self._worlds = worlds
        chance = np.random.default_rng([seed, 1])
        self._metrics = {
            name: (Path(found.fit, chance), found) for name, found in worlds.metrics.items()
        }
        self._success = Path(worlds.success, chance) if worlds.success else None
        self._duration = Path(worlds.duration.fit, chance) if worlds.duration else None
        # A Gaussian process through 0 and 1 fails in as many places as the history did.
        rate = worlds.failing
        self._threshold = (
            1 - rate + math.sqrt(rate * (1 - rate)) * float(ndtri(rate)) if self._success else 0.0
        )

    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        at = np.array([point], dtype=np.intp)
        success, found = self._success, {}
        if success is not None and success.measured(at, chance)[0] < self._threshold:
            return Result(None, self._seconds(at, True, chance))
        for name, (path, quantity) in self._metrics.items():
            found[name] = float(quantity.back(path.measured(at, chance))[0])
        return Result(found, self._seconds(at, False, chance))

    def _seconds(self, at: Points, failed: bool, chance: np.random.Generator) -> float:
        worlds = self._worlds
        if worlds.lasting is not None:
            return worlds.lasting.seconds(chance)
        if self._duration is not None and worlds.duration is not None and not failed:
            seconds = worlds.duration.back(self._duration.measured(at, chance))
            # Measured durations are the ends: how long a trial may take at all is not known.
            return float(np.clip(seconds, min(worlds.pools[0]), max(worlds.pools[0]))[0])
        pool = worlds.pools[1] if failed else worlds.pools[0]
        return float(pool[int(chance.integers(len(pool)))])
