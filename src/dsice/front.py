"""Pareto fronts: what is attainable at every bound, or of several objectives at once.

Points are rows of *costs*, one column an objective or bounded metric, smaller is better in each.
One row *dominates* another if it is nowhere worse and somewhere better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_BLOCK: Final = 256  # rows compared with all others at a time


def dominators(costs: ArrayLike) -> NDArray[np.intp]:
    """For each row, how many others dominate it: 0 on the front.

    Source: C. M. Fonseca, P. J. Fleming, "Genetic algorithms for multiobjective optimization",
    Proc. 5th Int. Conf. on Genetic Algorithms (1993): the rank of a point.
    """
    rows = np.asarray(costs, dtype=float)
    counts = np.zeros(len(rows), dtype=np.intp)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK, None, :]
        nowhere_worse = (rows[None] <= some).all(axis=2)
        counts[start : start + _BLOCK] = (nowhere_worse & (rows[None] < some).any(axis=2)).sum(1)
    return counts


def front(costs: ArrayLike) -> list[int]:
    """The rows that no other dominates, by the second cost, then the others.

    Of equal rows the first stands for all.
    """
    rows = np.asarray(costs, dtype=float)
    kept: list[int] = []
    # In lexicographic order no row is dominated by a later one.
    for index in np.lexsort(rows.T[::-1]).tolist() if len(rows) else ():
        if not kept or not (rows[kept] <= rows[index]).all(axis=1).any():
            kept.append(index)
    return sorted(kept, key=lambda index: (*rows[index][1:], rows[index][0]))


def hypervolume(costs: ArrayLike, reference: Sequence[float]) -> float:
    """The volume that the rows dominate, up to ``reference``; exact.

    With two columns it is the area between the front and the reference point: the gap between the
    reference's first cost and the best attainable one, over all bounds on the second. It takes
    O(n log n) with two columns and a factor n more for each further one.

    Source: E. Zitzler, L. Thiele, IEEE Transactions on Evolutionary Computation 3 (1999), doi
    10.1109/4235.797969; by slices, as J. Knowles, D. Corne (2003), doi 10.1109/CEC.2003.1299772.
    """
    rows = np.asarray(costs, dtype=float).reshape(-1, len(reference))
    end = np.asarray(reference, dtype=float)
    return _volume(rows[(rows < end).all(axis=1)], end)


def _volume(rows: Array, end: Array) -> float:
    if not len(rows):
        return 0.0
    if len(end) == 1:
        return float(end[0] - rows.min())
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    edges = np.append(rows[:, -1], end[-1])
    if len(end) == 2:
        best = np.minimum.accumulate(rows[:, 0])
        return float((end[0] - best) @ np.diff(edges))
    # Between two neighbouring values of the last cost, the volume of the others does not change.
    total = 0.0
    kept = rows[:0, :-1]
    for k, row in enumerate(rows):
        kept = np.vstack([kept, row[:-1]])
        kept = kept[front(kept)]
        if edges[k + 1] > edges[k]:
            total += (edges[k + 1] - edges[k]) * _volume(kept, end[:-1])
    return total


def spread_out(count: int) -> list[int]:
    """The numbers 0 .. ``count`` - 1, ordered so that each prefix is spread over the range.

    The ends come first, then the middle, then the middles of the remaining gaps.
    """
    if count < 3:
        return list(range(count))
    order = [0, count - 1]
    gaps = [(0, count - 1)]
    for low, high in gaps:  # grows while it is gone through
        middle = (low + high) // 2
        if low < middle < high:
            order.append(middle)
            gaps += [(low, middle), (middle, high)]
    return order
