"""Other searches where time is the budget, for ``benchmarks/durations.py``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, Protocol

import numpy as np

from benchmarks.compare.peers.base import Peer, Task
from dsice.goal import Metrics
from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.evidence import learn
from dsice.gp.posterior import Posterior
from dsice.grid import Point
from dsice.search import make_search
from dsice.search.acquisition import log_expected_improvement
from dsice.search.start import FirstPoints
from dsice.search.targets import of_costs

FIRST: Final = 5  # minimum number of results for the models
NEAR: Final = 0.2  # standard deviation of a candidate's distance, in lengths of the axis
TRIES: Final = 400  # candidates for a proposal
GROWTH: Final = 1.08  # hyperparameters are learned anew at this factor of results
JITTER: Final = 1e-6


class Timed(Protocol):
    """A search that is told how long measurements took."""

    def ask(self) -> Point | None:
        """A point to measure; None: nothing to propose before the next result."""

    def tell(self, point: Point, metrics: Metrics | None, seconds: float) -> None:
        """The result at a proposed point and the seconds of its measurement."""


class Ours:
    """The default search, its acquisition divided by the expected seconds to a power.

    Args:
        task: see `Task`.
        power: 0: by evaluations; 1: as with ``durations``.
        name: of the search.
    """

    def __init__(self, task: Task, power: float = 0.0, name: str = "dsice") -> None:
        options = {"durations": True} if power else {}
        self._power = power
        self._search = make_search(
            name, task.grid, task.goal, seed=task.seed, capacity=task.workers, **options
        )

    def ask(self) -> Point | None:
        """The next point."""
        points = self._search.ask(1)
        return points[0] if points else None

    def tell(self, point: Point, metrics: Metrics | None, seconds: float) -> None:
        """Its result."""
        self._search.tell(point, metrics, seconds=seconds**self._power)


class Untimed:
    """A tuner of ``benchmarks.compare``, which does not learn how long measurements take."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def ask(self) -> Point | None:
        """The next point."""
        return self._peer.ask()

    def tell(self, point: Point, metrics: Metrics | None, seconds: float) -> None:
        """Its result."""
        self._peer.tell(point, metrics)


class ParetoRegion:
    """Cost-limited local search around the front of time and result, in the manner of CARBS.

    Candidates are drawn around the points that no other beats in both time and result. Of them the
    one is proposed that is expected to improve most on the front *at its own expected time*: on the
    best of the front's points that take no longer. The Gaussian processes of result and of log time
    are those of ``dsice``, so that the rules of choice are compared, not models.

    Source: A. J. Fetterman et al., "Tune As You Scale: Hyperparameter Optimization For Compute
    Efficient Training" (2023), arXiv 2306.08055. Written from its description, not from its code,
    and without its probability of success, its repeated measurements and its scaling.
    """

    def __init__(self, task: Task) -> None:
        self._grid = task.grid
        self._random = Random(task.seed)
        self._goal = task.goal
        self._start = FirstPoints(task.grid, task.seed)
        self._known: dict[Point, tuple[float, float]] = {}  # cost and log seconds
        self._asked: set[Point] = set()
        self._due = 0

    def ask(self) -> Point | None:
        """The next point."""
        point = self._start.first(self._asked.__contains__) if self._is_new else self._best()
        if point is not None:
            self._asked.add(point)
        return point

    def tell(self, point: Point, metrics: Metrics | None, seconds: float) -> None:
        """Its result."""
        if metrics is not None:
            self._known[point] = self._goal.cost(metrics), math.log(seconds)

    @property
    def _is_new(self) -> bool:
        return len(self._known) < FIRST

    def _best(self) -> Point | None:
        points = list(self._known)
        at = np.array(points, dtype=np.intp)
        costs, logs = (np.array(column) for column in zip(*self._known.values(), strict=True))
        front = [k for k in np.lexsort((costs, logs)) if costs[k] <= costs[logs <= logs[k]].min()]
        candidates = self._near([points[k] for k in front])
        if not candidates:
            return self._start.first(self._asked.__contains__)
        to = np.array(candidates, dtype=np.intp)
        if len(points) >= self._due:
            self._due = int(len(points) * GROWTH) + 1
            self._models = [
                learn(Anova.of(self._grid), at, values, np.ones(len(at)))
                for values in (of_costs(costs), _standardised(logs))
            ]
        targets = of_costs(costs)
        mean, deviation = self._predicted(0, at, targets, to)
        time, _ = self._predicted(1, at, _standardised(logs), to)
        reach = targets[front]
        begins = _standardised(logs)[front]
        rivals = np.array([reach[begins <= each].min(initial=reach[0]) for each in time])
        return candidates[int(log_expected_improvement(rivals, mean, deviation).argmax())]

    def _predicted(self, which: int, at: Points, values: Array, to: Points) -> tuple[Array, Array]:
        found = self._models[which]
        posterior = Posterior(found.covariance, found.noise + JITTER, at, np.ones(len(at)), 1)
        white = posterior.whiten(values)
        scale = math.sqrt((float(white @ white) + 4) / (len(at) + 4))
        mean, variance = posterior.predict(white, to)
        return mean, scale * np.sqrt(variance)

    def _near(self, front: list[Point]) -> list[Point]:
        found: dict[Point, None] = {}
        for _ in range(TRIES):
            centre = self._random.choice(front)
            point = tuple(map(self._moved, centre, range(len(centre))))
            if point not in self._asked and self._grid.allows(point):
                found[self._grid.canonical(point)] = None
        return [point for point in found if point not in self._asked]

    def _moved(self, level: int, axis: int) -> int:
        levels = self._grid.shape[axis]
        if not self._grid.axes[axis].ordered:
            return self._random.randrange(levels) if self._random.random() < NEAR else level
        moved = level + self._random.gauss(0, NEAR * levels)
        return min(max(round(moved), 0), levels - 1)


def _standardised(values: Array) -> Array:
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


def _tpe(task: Task) -> Timed:
    from benchmarks.compare.peers.optuna_peer import Optuna

    return Untimed(Optuna(task, "tpe"))


FORMS: Final[Mapping[str, Callable[[Task], Timed]]] = {
    "per evaluation": Ours,
    "per root second": lambda task: Ours(task, 0.5),
    "per second": lambda task: Ours(task, 1.0),
    "pareto region": ParetoRegion,
    "optuna-tpe": _tpe,
}
"""By name: what makes a search for a task."""
