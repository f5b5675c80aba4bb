"""Correlation of related values with the target value, such as an intermediate loss with the last.

A value with *lag* t has correlation exp(-t) with the target value at the same point, and two values
with lags t and t' have exp(-|t - t'|), as in an Ornstein-Uhlenbeck process. The covariance of two
values is that of their points times this. The information that any number of lagged values gives
about the target value is bounded, which it would not be if the lag were treated as noise.

Source: the product of a covariance over inputs with one over tasks, E. V. Bonilla, K. M. A. Chai,
C. K. I. Williams, "Multi-task Gaussian Process Prediction", NIPS (2007), equation 1.
"""

from __future__ import annotations

import numpy as np

from dsice.gp.axis import Array


def kinship(a: Array, b: Array) -> Array:
    """Correlations of values with lags ``a`` and ``b`` at one point, shape (len(a), len(b))."""
    return np.asarray(np.exp(-np.abs(a[:, None] - b)))  # (19)
