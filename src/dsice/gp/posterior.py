"""The posterior of the Gaussian process: mean and variance at candidates, updated point by point.

Points, measured or not, keep the order in which they are added. With K + noise = L L', the class
stores the inverse of the lower triangle L (multiplying by it takes half as long as solving with L)
and, for each candidate, the row v = L^-1 k(points, candidate): its posterior variance is
k(c, c) - |v|^2 and its mean v . L^-1 y. One more point costs one row of the inverse and one
column of v, O(n^2 + n candidates), without a new factorisation.

A point without a value (its measurement is pending or failed) gets the value that the others
predict there: it reduces the standard deviation around it and leaves the mean unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm, dtrmv
from scipy.linalg.lapack import dtrtri

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array
from dsice.gp.lags import kinship

Slots = NDArray[np.intp]
_BLOCK: Final = 64
_ROUGH: Final = 64  # number of points that a rough variance is conditioned on


class Posterior:
    """A Gaussian process conditioned on points, and the candidates at which it is predicted.

    Args:
        covariance: of the process.
        noise: variance of a measurement of weight 1, in units of the covariance.
        points: the initial points, shape (n, axes).
        weights: the weights of these points.
        slots: capacity for candidates; each has a number, its slot.
        lags: lags of the values at these points (`dsice.gp.lags`); None: all 0.

    Attributes:
        candidates: the points in the slots, shape (slots, axes).
    """

    def __init__(
        self,
        covariance: Anova,
        noise: float,
        points: Points,
        weights: Array,
        slots: int,
        lags: Array | None = None,
    ) -> None:
        count, axes = points.shape
        self._covariance = covariance
        self._noise = noise
        self._count = count
        room = (count // _BLOCK + 2) * _BLOCK
        self._points = np.zeros((room, axes), dtype=np.intp)
        self._points[:count] = points
        self._noises = np.zeros(room)  # variance of the measurement at each point
        self._noises[:count] = noise / weights
        # The rest is the identity, so that BLAS works on the whole array without a copy.
        self._inverse = np.eye(room, order="F")
        if count:
            matrix = covariance.covariance(points, points)
            if lags is not None:
                matrix *= kinship(lags, lags)
            matrix.flat[:: count + 1] += self._noises[:count]  # (7)
            self._inverse[:count, :count] = np.linalg.cholesky(matrix)
            self._inverse, _ = dtrtri(self._inverse, lower=1, overwrite_c=1)
        self.candidates = np.zeros((slots, axes), dtype=np.intp)
        self._rows = np.zeros((slots, room))
        self._variance = np.zeros(slots)
        # Correlation of the value at each initial point with the target value; later points have 1.
        self._correlations = None if lags is None else np.exp(-lags)
        self._late = np.flatnonzero(np.zeros(0) if lags is None else lags > 0)
        self._of_late = np.zeros((len(self._late), room))  # covariances of the target values there
        if self._correlations is not None:
            mine = self._covariance.covariance(points[self._late], points)
            self._of_late[:, :count] = mine * self._correlations

    def fill(self, slots: Slots, candidates: Points) -> None:
        """Put candidates into slots, replacing earlier ones."""
        self.candidates[slots] = candidates
        rows = self._whitened(candidates)
        self._rows[slots] = rows
        own = self._covariance.variance(candidates)
        self._variance[slots] = own - np.einsum("ij,ij->i", rows, rows)  # (9), right

    def _whitened(self, points: Points) -> Array:
        """L^-1 k(own points, each of ``points``), shape (len(points), room)."""
        rows = np.zeros((len(points), len(self._inverse)))
        rows[:, : self._count] = self._covariances(points)
        # BLAS sees the transpose as an array in its own order and overwrites it.
        return np.asarray(dtrmm(1.0, self._inverse, rows.T, lower=1, overwrite_b=1)).T

    def _covariances(self, points: Points) -> Array:
        """The covariance of each of ``points`` with the observed values at the own points."""
        covariances = self._covariance.covariance(points, self._points[: self._count])
        if self._correlations is not None:
            covariances[:, : len(self._correlations)] *= self._correlations
        return covariances

    def add(self, point: Sequence[int], weight: float = 1.0, slot: int | None = None) -> None:
        """Add a point, optionally the candidate in ``slot``."""
        n = self._count
        if n == len(self._inverse):
            self._grow()
        at = np.array([point], dtype=np.intp)
        row = self._whitened(at)[0] if slot is None else self._rows[slot].copy()
        self._noises[n] = self._noise / weight
        if len(self._late):
            late = self._points[self._late]
            self._of_late[:, n] = self._covariance.covariance(late, at)[:, 0]
        own = float(self._covariance.variance(at)[0]) + float(self._noises[n])
        length = math.sqrt(max(own - float(row @ row), 1e-9))
        self._inverse[n] = -dtrmv(self._inverse, row, lower=1, trans=1) / length
        self._inverse[n, n] = 1 / length
        self._points[n] = point
        column = self._covariance.covariance(self.candidates, at)[:, 0] - self._rows @ row
        column /= length
        self._rows[:, n] = column
        self._variance -= column**2
        self._count = n + 1

    def _grow(self) -> None:
        more = len(self._inverse) + _BLOCK * max(1, len(self._inverse) // (4 * _BLOCK))
        inverse = np.eye(more, order="F")
        inverse[: self._count, : self._count] = self._inverse
        points = np.zeros((more, self._points.shape[1]), dtype=np.intp)
        points[: self._count] = self._points
        noises = np.zeros(more)
        noises[: self._count] = self._noises
        rows = np.zeros((len(self._rows), more))
        rows[:, : self._count] = self._rows
        of_late = np.zeros((len(self._late), more))
        of_late[:, : self._count] = self._of_late
        self._inverse, self._points = inverse, points
        self._noises, self._rows, self._of_late = noises, rows, of_late

    def whiten(self, values: Array) -> Array:
        """Compute L^-1 values, the form that `mean` expects.

        Args:
            values: the values of all points in their order, NaN where there is none.
        """
        white, _ = self.condition(values)
        return white

    def condition(self, values: Array) -> tuple[Array, Array]:
        """Return the whitened ``values``, and ``values`` with missing ones predicted."""
        wanted = np.flatnonzero(np.isnan(values))
        white = np.zeros(len(self._inverse))
        white[: self._count] = np.nan_to_num(values)
        white = np.asarray(dtrmv(self._inverse, white, lower=1))
        if not len(wanted):
            return white, values
        # y is predicted there if (L L')^-1 y vanishes there: with U the columns of L^-1 that belong
        # to these points, U'(white + U y) = 0.
        first = int(wanted[0])
        columns = self._inverse[first : self._count, wanted]
        tail = white[first : self._count]
        predicted = -np.linalg.solve(columns.T @ columns, columns.T @ tail)  # (10)
        tail += columns @ predicted
        completed = values.copy()
        completed[wanted] = predicted
        return white, completed

    def mean(self, white: Array, slots: Slots | slice = slice(None)) -> Array:
        """Posterior mean at the slots, for values whitened by `whiten`."""
        if isinstance(slots, slice) or 2 * len(slots) < len(self._rows):
            return np.asarray(self._rows[slots] @ white)  # (9), left
        return np.asarray((self._rows @ white)[slots])  # without a copy of the rows

    def predict(self, white: Array, points: Points) -> tuple[Array, Array]:
        """Posterior mean, for values whitened by `whiten`, and variance at any points."""
        rows = self._whitened(points)
        own = self._covariance.variance(points)
        variance = np.maximum(own - np.einsum("ij,ij->i", rows, rows), 1e-9)
        return np.asarray(rows @ white), variance

    def pull(self, white: Array) -> Array:
        """Compute a = (K + noise)^-1 values from L^-1 values, the form that `roughly` expects."""
        return np.asarray(dtrmv(self._inverse, white, lower=1, trans=1))

    def roughly(self, pull: Array, points: Points) -> tuple[Array, Array]:
        """As `predict`, from `pull`, with the variance conditioned on the first points only."""
        covariances = self._covariances(points)
        mean = covariances @ pull[: self._count]
        first = min(_ROUGH, self._count)
        rows = covariances[:, :first] @ self._inverse[:first, :first].T
        own = self._covariance.variance(points)
        return mean, np.maximum(own - np.einsum("ij,ij->i", rows, rows), 1e-9)

    def mean_at_points(self, pull: Array, completed: Array) -> Array:
        """Posterior mean at the points themselves, from `pull` and the values from `condition`.

        With a = (K + noise)^-1 y it is K a = y - noise a.
        """
        means = np.asarray(completed - (self._noises * pull)[: self._count])
        means[self._late] = self._of_late @ pull  # the observed value is not the target value there
        return means

    def variance(self, slots: Slots | slice = slice(None)) -> Array:
        """Posterior variance at the slots, in units of the covariance."""
        return np.maximum(self._variance[slots], 1e-9)
