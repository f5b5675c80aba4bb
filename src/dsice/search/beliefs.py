"""What the user believes before any result: of some parameters, how promising each level is.

Beliefs guide the first points and then weigh the acquisition function, less with every result.

Source: C. Hvarfner, D. Stoll, A. Souza, M. Lindauer, F. Hutter, L. Nardi, "piBO: Augmenting
Acquisition Functions with User Beliefs for Bayesian Optimization", ICLR 2022, arXiv 2204.11051,
equation 6. The even share is added here, so that what is not believed loses a bounded factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np

from dsice.errors import InvalidInput
from dsice.gp.anova import Points
from dsice.gp.axis import Array
from dsice.grid import Axis, Grid, Point

EVEN: Final = 0.25
"""Share of the first points, and of the density, that beliefs leave even."""
NARROW: Final = 8
"""The standard deviation around an expected level is this part of the number of levels, or 1."""
CHOSEN: Final = 3.0  # times another's, the least weight of an expected choice
FADING: Final = 10.0  # beta: results after which beliefs weigh as the density itself


class Beliefs:
    """Weights of levels; no beliefs at all are false.

    Args:
        grid: the points.
        given: for each parameter that something is believed of, by name, a weight of every level:
            0 or more, on any scale. Equal weights say nothing.

    Raises:
        InvalidInput: no such parameter, another number of weights than levels, or weights that are
            negative, not finite or all 0.
    """

    def __init__(self, grid: Grid, given: Mapping[str, Sequence[float]]) -> None:
        if not isinstance(given, Mapping):
            raise InvalidInput(
                f"beliefs = {given!r}: a list of weights for each parameter, by name"
            )
        self._grid = grid
        self._shares: dict[int, Array] = {}
        for name, weights in given.items():
            if name not in grid.names:
                raise InvalidInput(
                    f"beliefs: there is no parameter {name!r}: there are {', '.join(grid.names)}"
                )
            axis = grid.names.index(name)
            shares = shares_of(name, len(grid.axes[axis]), weights)
            if shares.min() < shares.max():
                self._shares[axis] = shares

    def __bool__(self) -> bool:
        return bool(self._shares)

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self  # it never changes

    @property
    def peak(self) -> Point:
        """The most believed level of each axis, the first of equal ones; elsewhere the centre."""
        middle = self._grid.centre
        return tuple(
            int(self._shares[axis].argmax()) if axis in self._shares else level
            for axis, level in enumerate(middle)
        )

    def levels(self, uniform: Array) -> Points:
        """Points whose levels have the believed probabilities, evenly likely ones elsewhere.

        Args:
            uniform: numbers from 0 to below 1 for each point and axis.
        """
        shape = np.array(self._grid.shape)
        found: Points = np.minimum((uniform * shape).astype(np.intp), shape - 1)
        for axis, shares in self._shares.items():
            ends = np.cumsum(shares)
            last = int(shares.nonzero()[0][-1])
            drawn = np.searchsorted(ends, uniform[:, axis] * ends[-1], side="right")
            found[:, axis] = np.minimum(drawn, last)
        return found

    def log_density(self, points: Points) -> Array:
        """Logarithm of how believed points are, relative to evenly; 0 without beliefs.

        A conditional parameter counts as evenly believed where it does not apply.
        """
        product = np.ones(len(points))
        active: list[frozenset[int]] = []
        if self._shares and self._grid.is_conditional:
            active = [self._grid.active_at(point) or frozenset() for point in points.tolist()]
        for axis, shares in self._shares.items():
            factor = len(shares) * shares[points[:, axis]]
            if active:
                factor = np.where([axis in each for each in active], factor, 1.0)
            product = product * factor
        return np.asarray(np.log(EVEN + (1 - EVEN) * product))  # (21)

    def weight(self, results: int) -> float:
        """The exponent of the density after so many results."""
        return FADING / max(results, 1)


def around(at: int, levels: int, ordered: bool) -> list[float]:
    """Weights of the levels of an axis whose level ``at`` is expected to be the best.

    With an order, those of a normal density around it, counted in levels. Otherwise, or with two
    levels, it is as likely as all others together.
    """
    if ordered and levels > 2:
        std = max(1.0, levels / NARROW)
        return [math.exp(-0.5 * ((k - at) / std) ** 2) for k in range(levels)]
    return [max(CHOSEN, levels - 1) if k == at else 1.0 for k in range(levels)]


def shares_of(name: str, levels: int, weights: Sequence[float]) -> Array:
    """The weights of the levels of the axis ``name``, with sum 1.

    Raises:
        InvalidInput: another number than levels, or weights that are negative, not finite or all 0.
    """
    if isinstance(weights, str) or not isinstance(weights, Sequence | np.ndarray):
        raise InvalidInput(f"weights of {name!r}: a list of {levels} numbers is needed")
    if len(weights) != levels:
        raise InvalidInput(
            f"weights of {name!r}: there are {len(weights)}, and {levels} levels: one each is "
            "needed"
        )
    for weight in weights:
        number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not number or not (weight >= 0 and math.isfinite(weight)):
            raise InvalidInput(f"weights of {name!r}: {weight!r} is no number of 0 or more")
    largest = max(weights)
    if not largest:
        raise InvalidInput(f"weights of {name!r}: all are 0: at least one must be positive")
    scaled = np.array(weights, dtype=float) / float(largest)
    return np.asarray(scaled / scaled.sum())


NO_BELIEFS: Final = Beliefs(Grid([Axis("none", [0])]), {})
