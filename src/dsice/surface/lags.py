"""Values that are related to the one wanted: the loss halfway for that at the end.

A value with *lag* t has correlation exp(-t) with the one wanted at the same point, and two values
with lags t and t' have exp(-|t - t'|), as in a process that forgets as it goes on. The covariance
of two values is that of their points times this. However many values have a lag, what they tell
together of the value wanted is bounded, as it would not be if the lag were taken for noise.

Source: the product of a covariance over inputs with one over tasks, E. V. Bonilla, K. M. A. Chai,
C. K. I. Williams, "Multi-task Gaussian Process Prediction", NIPS (2007), equation 1.
"""

from __future__ import annotations

import numpy as np

from dsice.surface.axis import Array


def kinship(a: Array, b: Array) -> Array:
    """Correlations of values with lags ``a`` and ``b`` at one point, shape (len(a), len(b))."""
    return np.asarray(np.exp(-np.abs(a[:, None] - b)))  # (19)
