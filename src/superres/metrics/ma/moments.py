"""The shape of a generalised Gaussian, and the coefficient of variation.

The density of a generalised Gaussian of zero mean falls as exp(-(|x| / scale) ** shape): shape 2
is a Gaussian, 1 a Laplacian; the more peaked, the smaller. Both are fitted by moments: Sharifi and
Leon-Garcia, IEEE Transactions on Circuits and Systems for Video Technology 5(1), 1995.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]

# Keeps the quotients of the two functions below finite in flat regions. The forests were trained
# with these values.
_FLAT_SHAPE = 1e-7


def gaussian_shape(samples: Array) -> Array:
    """Shape of the generalised Gaussian with the samples' variance and mean deviation.

    Args:
        samples: (..., N): sets of N samples each, with their means subtracted.

    Returns:
        (...): the one of the shapes 0.030, 0.031, .., 10 whose ratio E[x^2] / E[|x|]^2 is nearest
        to that of the samples; 10 for equal samples.
    """
    centred = samples - samples.mean(-1, keepdims=True)
    variance = (centred**2).sum(-1) / (samples.shape[-1] - 1)
    ratio = variance / (np.abs(centred).mean(-1) ** 2 + _FLAT_SHAPE)
    shapes, ratios = _table()
    above = np.clip(np.searchsorted(ratios, ratio), 1, len(ratios) - 1)
    upper_is_nearer = ratios[above] - ratio <= ratio - ratios[above - 1]
    nearest: Array = shapes[np.where(upper_is_nearer, above, above - 1)]
    return nearest


def variation(samples: Array, flat: float) -> Array:
    """Coefficient of variation of the samples' magnitudes |x|, for sets (..., N).

    Args:
        samples: the sets.
        flat: added to the mean, so that samples that are all zero have no variation.
    """
    sizes = np.abs(samples)
    quotient: Array = sizes.std(-1, ddof=1) / (sizes.mean(-1) + flat)
    return quotient


@cache
def _table() -> tuple[Array, Array]:
    """Shapes from 10 down to 0.03 and, increasing, their E[x^2] / E[|x|]^2."""
    shapes = np.arange(10_000, 29, -1) / 1000
    ratios = np.exp(gammaln(1 / shapes) + gammaln(3 / shapes) - 2 * gammaln(2 / shapes))
    return shapes, ratios
