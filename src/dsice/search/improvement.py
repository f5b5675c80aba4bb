"""How promising a candidate is: expected improvement, probability of success.

Everything is a logarithm: far from the best point the plain numbers vanish long before their order
does.

Source: D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box
Functions", Journal of Global Optimization 13 (1998), equation 15, doi 10.1023/A:1008306431147; for
the constraint M. Schonlau, W. J. Welch, D. R. Jones, "Global versus local search in constrained
optimization of computer models", New Developments and Applications in Experimental Design (1998).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

Array = NDArray[np.float64]


def log_expected_improvement(best: float | Array, mean: Array, deviation: Array) -> Array:
    """Logarithm of E max(best - f, 0) for f normal with ``mean`` and positive ``deviation``."""
    z = (best - mean) / deviation
    near = z > -5
    answer = np.empty_like(z)
    zn = z[near]
    answer[near] = np.log(np.exp(-0.5 * zn**2) / math.sqrt(2 * math.pi) + zn * ndtr(zn))
    zf = z[~near]  # the tail's asymptotic series
    answer[~near] = (
        -0.5 * zf**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(-zf) + np.log1p(-3 / zf**2)
    )
    return np.asarray(answer + np.log(deviation))


def log_probability_below(limit: float | Array, mean: Array, deviation: Array) -> Array:
    """Logarithm of P(f <= limit) for f normal with ``mean`` and positive ``deviation``."""
    return np.asarray(log_ndtr((limit - mean) / deviation))
