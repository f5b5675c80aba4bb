"""Acquisition functions: expected improvement, and the probability that a bound holds.

All functions return logarithms: far from the best point, the plain values underflow although their
order still matters.

Source: D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box
Functions", Journal of Global Optimization 13 (1998), equation 15, doi 10.1023/A:1008306431147; for
the constraint M. Schonlau, W. J. Welch, D. R. Jones, "Global versus local search in constrained
optimization of computer models", New Developments and Applications in Experimental Design (1998).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

Array = NDArray[np.float64]

_LOG_2PI: Final = math.log(2 * math.pi)
# Below this, 1 / u^2 is the bracket to 9 digits and its difference from 1 is not.
_FAR: Final = -3e4


def log_expected_improvement(best: float | Array, mean: Array, std: Array) -> Array:
    """Logarithm of E max(best - f, 0) for f normal with ``mean`` and positive ``std``.

    With u = (best - mean) / std it is log(std) + log h(u), h(u) = phi(u) + u Phi(u).
    Below -1 the two terms cancel; there
    h(u) = phi(u) (1 - (pi / 2)^(1/2) |u| erfcx(|u| / 2^(1/2))), accurate until the bracket, near
    1 / u^2, is lost in rounding (S. Ament et al., "Unexpected Improvements to Expected Improvement
    for Bayesian Optimization", NeurIPS 2023, section 4.1).
    """
    u = np.asarray((best - mean) / std)
    near, far = u > -1, u < _FAR
    answer = np.empty_like(u)
    z = u[near]
    answer[near] = np.log(np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) + z * ndtr(z))
    z = -u[~near & ~far]
    bracket = np.log1p(-math.sqrt(math.pi / 2) * z * erfcx(z / math.sqrt(2)))
    answer[~near & ~far] = bracket - 0.5 * (z**2 + _LOG_2PI)
    z = -u[far]
    answer[far] = -2 * np.log(z) - 0.5 * (z**2 + _LOG_2PI)
    return np.asarray(answer + np.log(std))  # (14)


def log_probability_below(limit: float | Array, mean: Array, std: Array) -> Array:
    """Logarithm of P(f <= limit) for f normal with ``mean`` and positive ``std``."""
    return np.asarray(log_ndtr((limit - mean) / std))
