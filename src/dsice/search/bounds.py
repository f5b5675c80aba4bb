"""The bounds at which a front is optimised: spread over a range for each swept metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import qmc

from dsice.gp.axis import Array
from dsice.swept import Swept

LIMITS: Final = 16  # bounds at which candidates are evaluated, for one swept metric
LIMITS_OF_SEVERAL: Final = 64  # the same for several
# Without a given range, bounds extend beyond the ends of the known front by these shares of its
# length, towards stricter and looser bounds.
STRICTER: Final = 0.2
LOOSER: Final = 0.1


def range_of(swept: Swept, costs: Array, values: Array) -> tuple[float, float]:
    """The strictest and the loosest limit, signed so that smaller is stricter."""
    low, high = float(values.min()), float(values[costs == costs.min()].min())
    length = max(high - low, 0.1 * float(values.max() - low))
    strictest = low - STRICTER * length if swept.strictest is None else swept.sign * swept.strictest
    loosest = high + LOOSER * length if swept.loosest is None else swept.sign * swept.loosest
    return min(strictest, loosest), loosest


def spread(ranges: Sequence[tuple[float, float]]) -> Array:
    """Spread limits over the ranges, shape (limits, metrics)."""
    low, high = np.array(ranges).T
    if len(ranges) == 1:
        share = np.linspace(0, 1, LIMITS)[:, None]
    else:
        share = qmc.Sobol(len(ranges), scramble=False).random(LIMITS_OF_SEVERAL)
        share = np.vstack([share[1:], np.ones(len(ranges))])  # the loosest, not the strictest
    return np.asarray(low + share * (high - low))
