"""A small problem with excluded points, failures and a bound."""

import numpy as np

from benchmarks.compare.peers.base import Peer
from benchmarks.compare.problems import Problem
from dsice.goal import Metrics
from dsice.grid import Point


def small() -> Problem:
    """60 points: some excluded, some failing, some beyond the bound."""
    random = np.random.default_rng(0)
    costs = random.exponential(size=(5, 4, 3))
    costs[0, 0] = np.nan
    allowed = random.random(costs.shape) < 0.8
    second = random.random(costs.shape)
    return Problem("small", "hpo", (5, 4, 3), (True, True, False), costs, allowed, second, 0.6)


class Listed(Peer):
    """Proposes what it is given, then nothing; keeps what it is told."""

    def __init__(self, points: list[Point]) -> None:
        self._points = iter(points)
        self.told: list[tuple[Point, Metrics | None]] = []

    def ask(self) -> Point | None:
        return next(self._points, None)

    def tell(self, point: Point, metrics: Metrics | None) -> None:
        self.told.append((point, metrics))


def shuffled(problem: Problem, seed: int) -> list[Point]:
    points = list(problem.grid)
    order = np.random.default_rng(seed).permutation(len(points))
    return [points[k] for k in order]


def versions(*tuners: str) -> dict[str, str]:
    return dict.fromkeys(tuners, "own")
