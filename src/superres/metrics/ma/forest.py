"""Regression forests, and the layout in which MATLAB's `RF_Reg_C` stores them.

Breiman, "Random forests", Machine Learning 45, 2001: the prediction is the mean of those of the
trees; a tree's prediction is that of the leaf to which its tests "is feature f at most t?" lead.

`randomforest-matlab` (a port of R's randomForest) stores a forest as matrices of nodes x trees, a
tree being a column filled from its root in row 1:

- lDau, rDau: rows, counted from 1, of the nodes for "yes" and "no"; 0 at leaves and unused rows
- mbest: the feature that is asked about, counted from 1
- upper: the largest value with the answer "yes"
- avnode: mean of the training scores in the node, the answer where it is a leaf
- coef: intercept and slope of a correction of bias; two zeros where there is none

A further one, nodestatus, marks leaves, as bytes packed into MATLAB characters. It is not needed,
as only inner nodes have daughters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A forest, with the nodes of all trees one after the other.

    Attributes:
        roots: (trees,) node at which each tree begins.
        feature: (nodes,) number of the tested feature, from 0; 0 at leaves.
        threshold: (nodes,) the largest value with the answer "yes".
        yes: (nodes,) next node for "yes"; a leaf's is the leaf itself.
        no: (nodes,) likewise for "no".
        answer: (nodes,) prediction of a leaf.
        intercept: added to the mean of the trees after scaling.
        slope: factor of the mean of the trees.
    """

    roots: Indices
    feature: Indices
    threshold: Array
    yes: Indices
    no: Indices
    answer: Array
    intercept: float
    slope: float

    def predict(self, features: Array) -> float:
        """Predict for one feature vector (F,)."""
        nodes = self.roots
        while True:
            is_yes = features[self.feature[nodes]] <= self.threshold[nodes]
            following = np.where(is_yes, self.yes[nodes], self.no[nodes])
            if (following == nodes).all():
                break
            nodes = following
        return self.intercept + self.slope * float(self.answer[nodes].mean())

    @classmethod
    def from_matlab(cls, fields: Mapping[str, NDArray[np.generic]], features: int) -> Forest:
        """Pack a forest from its matrices, without the unused rows.

        Args:
            fields: the matrices by their names.
            features: length of the feature vectors.

        Raises:
            ValueError: the matrices are not a forest over this many features.
        """
        yes, no, feature = (_whole(fields[name]) for name in ("lDau", "rDau", "mbest"))
        threshold, answer = (_real(fields[name]) for name in ("upper", "avnode"))
        if not (yes.shape == no.shape == feature.shape == threshold.shape == answer.shape):
            raise ValueError("its matrices differ in size")
        if yes.ndim != 2 or not yes.size:
            raise ValueError("it has no trees")
        inner = yes > 0
        rows = np.arange(1, len(yes) + 1)[:, None]
        # Daughters come after their mother, so every traversal ends.
        if not ((yes > rows) & (no > rows) & (no <= len(yes)) & (yes <= len(yes)))[inner].all():
            raise ValueError("its daughters are out of order")
        if not ((feature >= 1) & (feature <= features))[inner].all():
            raise ValueError(f"it does not ask about {features} features")
        sizes = np.maximum(1, np.maximum(yes, no).max(axis=0))
        ends = np.cumsum(sizes)
        starts = ends - sizes
        used = (np.arange(len(yes))[:, None] < sizes[None, :]).T
        here = np.arange(ends[-1])
        offset = np.repeat(starts, sizes) - 1
        is_inner = inner.T[used]
        intercept, slope = _real(fields["coef"]).ravel()[:2]
        if not (intercept or slope):
            slope = 1.0
        return cls(
            roots=starts.astype(np.int32),
            feature=np.where(is_inner, feature.T[used] - 1, 0).astype(np.int32),
            threshold=threshold.T[used],
            yes=np.where(is_inner, yes.T[used] + offset, here).astype(np.int32),
            no=np.where(is_inner, no.T[used] + offset, here).astype(np.int32),
            answer=answer.T[used],
            intercept=float(intercept),
            slope=float(slope),
        )


def _whole(matrix: NDArray[np.generic]) -> NDArray[np.int64]:
    return matrix.astype(np.int64)


def _real(matrix: NDArray[np.generic]) -> Array:
    return matrix.astype(np.float64)
