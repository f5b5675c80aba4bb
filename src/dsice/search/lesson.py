"""The prediction of one quantity by one earlier study, at any point of the current grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, Final, Self

import numpy as np
from scipy.linalg import solve_triangular
from scipy.stats import rankdata

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array, Levels
from dsice.gp.evidence import learn
from dsice.grid import Grid, Point
from dsice.search.bridge import Bridge, Factor

LARGEST_TABLE: Final = 2**20  # largest grid whose means are all tabulated
_SAMPLE: Final = 2000  # points used to standardise the means
_CHUNK: Final = 2000
_JITTER: Final = 1e-6
LEARNED_FROM: Final = 300  # maximum number of results to learn hyperparameters from
KNOWN: Final = 600  # maximum number of results of a source to condition on


class Lesson:
    """The posterior of a quantity given a source's results, standardised over the target's grid.

    Args:
        name: name of the source.
        grid: the target's grid.
        bridge: the mapping from it to the source's grid.
        points: the measured points of the source's grid.
        values: the quantity at these points.
        targets: the transformed values that the model is fitted to.
        weights: number of measurements behind each.

    Attributes:
        name: name of the source.
        values: the values that the model is conditioned on: all, or a selection of very many.
        targets: the targets of these values.
        significance: Student's t of the rank correlation between the targets and their
            leave-one-out predictions: about 0 where the source has no structure to learn from.
        logs: for each axis of the target, the logarithms of the hyperparameters learned from the
            source, or None.
    """

    def __init__(
        self,
        name: str,
        grid: Grid,
        bridge: Bridge,
        points: Points,
        values: Array,
        targets: Array,
        weights: Array,
    ) -> None:
        rows = _chosen(targets, KNOWN)
        points, targets, weights = points[rows], targets[rows], weights[rows]
        self.name: Final = name
        self._bridge = bridge
        self._points = points
        self.values: Final = values[rows]
        self.targets: Final = targets
        sample = _chosen(targets, LEARNED_FROM)
        self._grid = grid
        self._centre = float(targets.mean())
        axes = bridge.source.axes
        found = learn(
            Anova(bridge.source.shape, [axis.ordered for axis in axes]),
            points[sample],
            targets[sample] - targets[sample].mean(),
            weights[sample],
        )
        self.logs: Final = bridge.to_target(found.logs)
        self._factors = bridge.factors(found.covariance.by_axis(), points)
        matrix = found.covariance.covariance(points, points)
        matrix.flat[:: len(points) + 1] += (found.noise + _JITTER) / weights
        self._root = np.linalg.cholesky(matrix)
        white = solve_triangular(self._root, targets - self._centre, lower=True)
        self._pull = solve_triangular(self._root, white, lower=True, trans=1)
        self._scale = math.sqrt((float(white @ white) + 4) / (len(white) + 4))
        self.significance: Final = _significance(self._left_out(targets), targets)
        self._table = self._everywhere() if grid.size <= LARGEST_TABLE else None
        self._memory: dict[bytes, float] = {}
        drawn = np.array(grid.draws(_SAMPLE, Random("standard")), dtype=np.intp)
        if len(drawn) == 0:
            drawn = np.array([grid.centre], dtype=np.intp)
        means = self.mean(drawn)
        self.standard: Final = (float(means.mean()), max(float(means.std()), 1e-9))

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self  # cached values change no result

    def _left_out(self, targets: Array) -> Array:
        """The leave-one-out prediction at each point."""
        inverse = np.linalg.inv(self._root)
        precision = np.einsum("ij,ij->j", inverse, inverse)
        return np.asarray(targets - self._pull / precision)

    def mean(self, points: Points) -> Array:
        """Posterior mean of the quantity's targets at ``points`` of the target grid."""
        if self._table is not None:
            return np.asarray(self._table[tuple(points.T)])
        keys = [row.tobytes() for row in np.ascontiguousarray(points)]
        new = [k for k, key in enumerate(keys) if key not in self._memory]
        if new:
            for k, value in zip(new, self._direct(points[new]).tolist(), strict=True):
                self._memory[keys[k]] = value
        return np.array([self._memory[key] for key in keys])

    def std(self, points: Points) -> Array:
        """Posterior standard deviation of the targets there."""
        found = []
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            rows = solve_triangular(self._root, self._covariance(part).T, lower=True)
            own = np.ones(len(part))
            for factor in self._factors:
                own = own * factor.variance(part)
            found.append(own - np.einsum("ij,ij->j", rows, rows))
        return np.asarray(self._scale * np.sqrt(np.maximum(np.concatenate(found), 1e-9)))

    def at(self, points: Points) -> Array:
        """The mean, standardised over the grid."""
        return self.standardised(self.mean(points))

    def standardised(self, targets: Array) -> Array:
        """Targets relative to the mean and std of the means over the grid."""
        shift, scale = self.standard
        return np.asarray((targets - shift) / scale)

    def _direct(self, points: Points) -> Array:
        parts = [
            self._covariance(points[k : k + _CHUNK]) @ self._pull
            for k in range(0, len(points), _CHUNK)
        ]
        return np.asarray(np.concatenate(parts) + self._centre)

    def _covariance(self, points: Points) -> Array:
        product = np.ones((len(points), len(self._pull)))
        for factor in self._factors:
            product *= factor.covariance(points)
        return product

    def _everywhere(self) -> Array:
        """The means at all points of the grid, as a matrix product over two groups of axes."""
        shape = self._grid.shape
        by_axis: dict[int, Factor] = {}
        pull = self._pull.copy()
        for factor in self._factors:
            if factor.axis is None:
                pull *= factor.covariance(np.zeros((1, len(shape)), dtype=np.intp))[0]
            else:
                by_axis[factor.axis] = factor

        def product(axes: Sequence[int]) -> Array:
            rows = np.ones((1, len(pull)))
            for axis in axes:
                levels = np.zeros((shape[axis], len(shape)), dtype=np.intp)
                levels[:, axis] = np.arange(shape[axis])
                one = (
                    by_axis[axis].covariance(levels)
                    if axis in by_axis
                    else np.ones((shape[axis], len(pull)))
                )
                rows = (rows[:, None, :] * one[None]).reshape(-1, len(pull))
            return rows

        sizes = np.cumprod(shape)
        half = int(np.searchsorted(sizes, math.sqrt(sizes[-1]))) + 1
        left, right = product(range(half)), product(range(half, len(shape)))
        return np.asarray(((left * pull) @ right.T).reshape(shape)) + self._centre

    def lowest(self, count: int) -> list[Point]:
        """The ``count`` allowed points of the grid with the lowest means, lowest first."""
        if self._table is None:
            return self._searched(count)
        flat = self._table.ravel()
        found: dict[Point, None] = {}
        for number in np.argsort(flat, kind="stable").tolist():
            point = tuple(int(k) for k in np.unravel_index(number, self._grid.shape))
            if self._grid.allows(point):
                found[self._grid.canonical(point)] = None
                if len(found) == count:
                    break
        return list(found)

    def measured(self) -> dict[Point, float]:
        """The targets of the source's own points that are allowed points of the target's grid."""
        found: dict[Point, float] = {}
        for row, target in zip(self._points.tolist(), self.targets.tolist(), strict=True):
            point = self._bridge.point(tuple(row))
            if point is not None:
                found[point] = min(target, found.get(point, math.inf))
        return found

    def _searched(self, count: int) -> list[Point]:
        """As `lowest`, among random points and those on the axis lines through the best of them."""
        grid = self._grid
        pool = dict.fromkeys(grid.draws(10 * _SAMPLE, Random("lowest")))
        ranking: list[Point] = []
        for _ in range(4):
            points = list(pool)
            means = self.mean(np.array(points, dtype=np.intp))
            ranking = [points[k] for k in np.argsort(means, kind="stable")]
            for point in ranking[:20]:
                for axis, levels in enumerate(grid.shape):
                    for level in range(max(0, point[axis] - 32), min(levels, point[axis] + 33)):
                        other = (*point[:axis], level, *point[axis + 1 :])
                        if grid.allows(other):
                            pool[other] = None
        return list(dict.fromkeys(map(grid.canonical, ranking)))[:count]


def _chosen(targets: Array, count: int) -> Levels:
    """Select ``count`` rows if there are more: half of them the best, the others at random."""
    if len(targets) <= count:
        return np.arange(len(targets))
    order = np.argsort(targets, kind="stable").tolist()
    half = count // 2
    return np.sort(order[:half] + Random("rows").sample(order[half:], count - half))


def _significance(predicted: Array, targets: Array) -> float:
    correlation = float(np.corrcoef(rankdata(predicted), rankdata(targets))[0, 1])
    return correlation * math.sqrt((len(targets) - 2) / max(1 - correlation**2, 1e-9))
