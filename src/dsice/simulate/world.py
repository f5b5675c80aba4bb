"""What a trial at a point would give, and how long it would take.

A world answers by point and by how often that point was measured before, never by the order of
questions: the same world can be played with any number of slots, and the plays can be compared.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dsice.goal import Metrics
from dsice.grid import Grid, Point


@dataclass(frozen=True, slots=True)
class Result:
    """One trial.

    Attributes:
        metrics: None if it failed.
        seconds: how long its jobs run, repeated attempts included.
        reports: what it reports on the way: increasing shares of its length, with metrics.
    """

    metrics: Metrics | None
    seconds: float
    reports: tuple[tuple[float, Metrics], ...] = ()


class World(ABC):
    """One plausible truth.

    Args:
        seed: of everything that chance decides in it.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._times: dict[Point, int] = {}

    def measure(self, point: Point) -> Result:
        """One more measurement at ``point``."""
        times = self._times.get(point, 0)
        self._times[point] = times + 1
        return self._measured(point, np.random.default_rng([self._seed, times, *point]))

    @abstractmethod
    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        """What `measure` returns; ``chance`` belongs to this measurement alone."""


class Worlds(ABC):
    """Where worlds come from: everything that is known, and what it leaves open."""

    @abstractmethod
    def world(self, seed: int) -> World:
        """One of the worlds that are plausible."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """Durations that somebody states: lognormal around a mean.

    Attributes:
        mean: in seconds.
        spread: standard deviation of the natural logarithm; 0: all the same.
    """

    mean: float
    spread: float = 0.0

    def seconds(self, chance: np.random.Generator) -> float:
        """One duration."""
        if not self.spread:
            return self.mean
        # The mean of a lognormal variable is exp(mu + sigma^2 / 2).
        return self.mean * math.exp(self.spread * chance.standard_normal() - self.spread**2 / 2)


@dataclass(frozen=True, slots=True)
class Timed(Worlds):
    """Worlds in which only time is known: every trial succeeds and measures its own ``seconds``."""

    lasting: Lasting

    def world(self, seed: int) -> World:  # noqa: D102  (as the base)
        return _TimedWorld(self, seed)


class _TimedWorld(World):
    def __init__(self, worlds: Timed, seed: int) -> None:
        super().__init__(seed)
        self._lasting = worlds.lasting

    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        seconds = self._lasting.seconds(chance)
        return Result({"seconds": seconds}, seconds)


@dataclass(frozen=True, slots=True)
class Tabulated(Worlds):
    """Worlds that give the rows of a complete table.

    Of a point that has several rows, each measurement draws one.

    Attributes:
        grid: the points.
        rows: of every point that can be measured, by its program (`Grid.program`).
        lasting: durations instead of the table's, or None.
    """

    grid: Grid
    rows: Mapping[Point, Sequence[Result]]
    lasting: Lasting | None = None

    def world(self, seed: int) -> World:  # noqa: D102
        return _TabulatedWorld(self, seed)


class _TabulatedWorld(World):
    def __init__(self, worlds: Tabulated, seed: int) -> None:
        super().__init__(seed)
        self._worlds = worlds

    def _measured(self, point: Point, chance: np.random.Generator) -> Result:
        worlds, lasting = self._worlds, self._worlds.lasting
        rows = worlds.rows[worlds.grid.program(point)]
        row = rows[int(chance.integers(len(rows)))] if len(rows) > 1 else rows[0]
        return row if lasting is None else Result(row.metrics, lasting.seconds(chance))
