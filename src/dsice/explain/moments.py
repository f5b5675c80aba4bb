"""Moments of a fitted model over the grid, with conditional parameters where they apply only.

The posterior mean is f(x) = sum_k a_k prod_i (1 + A_i(x) r_ik(x_i)), with r_ik of mean zero over
the levels of axis i, and A_i(x) whether axis i applies at x: always, unless it is conditional; then
it depends on the axes that its condition reads, which always apply (`dsice.when`). With all levels
equally likely,

    E f^2 = a' [ sum_u v_u v_u' / |u|  prod_{c: A_c(u)} (1 + G_c) ] prod_{free i} (1 + G_i) a,

where u are the combinations of levels of all axes that conditions read, v_uk the product of their
factors, and G_i the mean of r_i r_i' over the levels of axis i (products of matrices by element).
The other moments are found likewise. Without conditions, v_u = 1.

Source: I. M. Sobol', "Global sensitivity indices for nonlinear mathematical models and their Monte
Carlo estimates", Mathematics and Computers in Simulation 55 (2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsice.gp.anova import Anova, Points
from dsice.gp.axis import Array

Mask = NDArray[np.bool_]

_COMBINATIONS: Final = 4096  # of levels of axes that conditions read, at most


class Moments:
    """Second moments of f, and of its averages over some of the axes.

    Args:
        anova: the model's covariance.
        levels: the levels of each axis that are evaluated.
        across: r of each axis, shape (levels, results).
        pull: the weights a of the results.
    """

    def __init__(
        self,
        anova: Anova,
        levels: Sequence[Sequence[int]],
        across: Sequence[Array],
        pull: Array,
    ) -> None:
        self._across, self._pull = across, pull
        self._means = [each.T @ each / len(each) for each in across]
        self._conditional = sorted(anova.whens)
        self._read = sorted({axis for when in anova.whens.values() for axis in when.reads})
        special = {*self._conditional, *self._read}
        self._free = [axis for axis in range(len(across)) if axis not in special]
        kept = _thinned([len(levels[axis]) for axis in self._read])
        mesh = np.meshgrid(*kept, indexing="ij") if kept else []
        self._chosen = [each.ravel() for each in mesh]  # of each read axis, by combination
        count = len(self._chosen[0]) if kept else 1
        self._products = np.ones((count, len(pull)))
        points = np.zeros((count, len(across)), dtype=np.intp)
        for axis, at in zip(self._read, self._chosen, strict=True):
            self._products *= 1 + across[axis][at]
            points[:, axis] = np.array(levels[axis])[at]
        self._applies = np.ones((count, len(across)), dtype=bool)
        for axis in self._conditional:
            applies = anova.applies(axis, points)
            assert applies is not None
            self._applies[:, axis] = applies
        self.combinations: Final = points

    def applies(self, axis: int) -> Mask:
        """Where an axis applies: a mask of `combinations`."""
        return self._applies[:, axis]

    def weights(self, axis: int) -> Array:
        """The mean of the read axes' factors of each result where ``axis`` applies.

        All 1 if it always applies, or never.
        """
        if axis not in self._conditional or not self._applies[:, axis].any():
            return np.ones(len(self._pull))
        return np.asarray(self._products[self._applies[:, axis]].mean(axis=0))

    def square(self, without: int | None = None) -> float:
        """E f^2; with ``without``, of f averaged over the levels of that axis."""
        parts = [1 + self._means[axis] for axis in self._free if axis != without]
        if without in self._read:
            whole = self._mixed(self._read.index(without))
        else:
            patterns, of = self._patterns()
            whole = np.zeros((len(self._pull), len(self._pull)))
            for k, pattern in enumerate(patterns):
                mine = self._products[of == k]
                axes = [axis for axis in self._conditional if pattern[axis] and axis != without]
                moment = mine.T @ mine / len(self._products)
                whole = whole + reduce(mul, [1 + self._means[axis] for axis in axes], moment)
        return float(self._pull @ reduce(mul, parts, whole) @ self._pull)

    def _patterns(self) -> tuple[Mask, Points]:
        """Which axes apply together, and which of these patterns each combination has."""
        patterns, of = np.unique(self._applies, axis=0, return_inverse=True)
        return np.asarray(patterns, dtype=bool), of.reshape(-1).astype(np.intp)

    def _mixed(self, at: int) -> Array:
        """The part of the read and conditional axes, averaged over the read axis at ``at``."""
        patterns, of = self._patterns()
        others = [each for k, each in enumerate(self._chosen) if k != at]
        places = np.stack(others, axis=1) if others else np.zeros((len(of), 1))
        groups, group = np.unique(places, axis=0, return_inverse=True)
        group = group.reshape(-1).astype(np.intp)
        size = len(of) / len(groups)
        sums = np.zeros((len(patterns), len(groups), len(self._pull)))
        np.add.at(sums, (of, group), self._products / size)
        whole = np.zeros((len(self._pull), len(self._pull)))
        for one, mine in zip(patterns, sums, strict=True):
            for other, theirs in zip(patterns, sums, strict=True):
                axes = [axis for axis in self._conditional if one[axis] and other[axis]]
                moment = mine.T @ theirs / len(groups)
                whole += reduce(mul, [1 + self._means[axis] for axis in axes], moment)
        return whole

    def main(self, axis: int) -> Array:
        """The average of f over all other axes, by levels of ``axis``, less its mean."""
        return np.asarray(self._across[axis] @ (self._pull * self._shares(axis)))

    def interaction(self, i: int, j: int) -> Array:
        """The joint effect of two axes beyond their main effects, by levels of both."""
        if i in self._conditional and j in self._read:
            return np.asarray((self._across[i] * self._pull) @ self._along(i, j).T)
        if j in self._conditional and i in self._read:
            return self.interaction(j, i).T
        return np.asarray((self._across[i] * (self._pull * self._shares(i, j))) @ self._across[j].T)

    def _shares(self, *axes: int) -> Array:
        """The mean of the read axes' factors of each result, as 0 where not all ``axes`` apply.

        All 1 if they always do.
        """
        if not any(axis in self._conditional for axis in axes):
            return np.ones(len(self._pull))
        both: Mask = np.asarray(self._applies[:, list(axes)].all(axis=1))
        return np.asarray(both @ self._products / len(both))

    def _along(self, axis: int, read: int) -> Array:
        """The read axes' factors where ``axis`` applies, by levels of ``read``, centred.

        Levels that were left out are those of the nearest that were not.
        """
        at = self._chosen[self._read.index(read)]
        kept = np.unique(at)
        mine = self._applies[:, axis, None] * self._products
        found = np.stack([mine[at == level].mean(axis=0) for level in kept])
        found -= found.mean(axis=0)
        nearest = np.abs(np.arange(len(self._across[read]))[:, None] - kept).argmin(axis=1)
        return np.asarray(found[nearest])


def _thinned(lengths: list[int]) -> list[Array]:
    """Indices of the levels of axes, so few that their combinations are not too many."""
    lengths, kept = list(lengths), list(lengths)
    while np.prod(kept, dtype=float) > _COMBINATIONS and max(kept) > 2:
        longest = int(np.argmax(kept))
        kept[longest] = -(-kept[longest] // 2)
    return [
        np.unique(np.linspace(0, n - 1, k).round().astype(np.intp))
        for n, k in zip(lengths, kept, strict=True)
    ]
