"""The covariance of one axis: the d-Spline's penalty as a Gaussian prior.

The energy ``alpha^2 ||D f||^2`` of a d-Spline is, up to constants, the negative logarithm of a
Gaussian prior on f with precision ``alpha^2 D'D``. D'D is singular: shifting f (and tilting it, for
second differences) costs nothing. Its pseudo-inverse on the settings, with the constants projected
out (and the tilt, which becomes a *linear* term of its own), is the covariance of the penalised
part. Three terms describe an ordered axis of n levels:

- ``rough``: from first differences, paths that may turn at every level;
- ``linear``: a tilt over the whole axis;
- ``smooth``: from second differences on the d-Spline's markers, curves.

An unordered axis has one term, ``any``: each level is independent. Every term has mean zero over
the levels and mean variance one, so that its weight is its contribution to the total variance.

Sources: G. Wahba, "Spline Models for Observational Data", SIAM (1990), sections 1.2 and 2.4; C. Gu,
"Smoothing Spline ANOVA Models", Springer (2013), sections 2.3 and 3.2; for the d-Spline see
`dsice.spline`.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Levels = NDArray[np.intp]

# Largest axis with tables of the terms; a longer one uses the closed-form limit of many levels.
_LARGEST_TABLE: Final = 256


def term_names(levels: int, ordered: bool) -> tuple[str, ...]:
    """Names of the terms of an axis: none with one level, ``any`` for an unordered axis."""
    if levels == 1:
        return ()
    return ("rough", "linear", "smooth") if ordered and levels > 2 else ("any",)


def terms(levels: int, ordered: bool, a: Levels, b: Levels) -> Array:
    """Covariances between levels ``a`` and ``b`` by term, shape (terms, *shape of a and b).

    ``a`` and ``b`` are broadcast against each other: ``a[:, None], b`` gives all pairs.
    """
    if has_table(levels):
        return np.asarray(table(levels, ordered)[:, a, b])
    if not ordered:
        return np.asarray((((a == b) - 1 / levels) / (1 - 1 / levels))[None])
    return _many_levels(levels, a, b)


def has_table(levels: int) -> bool:
    """Whether `table` supports an axis of this size."""
    return levels <= _LARGEST_TABLE


@cache
def table(levels: int, ordered: bool) -> Array:
    """Covariances of the terms between all levels, shape (terms, levels, levels)."""
    names = term_names(levels, ordered)
    if not names:
        return np.zeros((0, 1, 1))
    if names == ("any",):
        tables = [np.eye(levels)]
    else:
        steps = np.tri(levels)  # sums of independent steps
        markers = 3 * levels + 2
        # Double sums of independent bends invert the second differences of `dsice.spline` on its
        # markers; any generalised inverse gives the same covariance after projecting out the tilt.
        bends = np.tri(markers) @ np.tri(markers)
        at_settings = bends[2 : 3 * levels + 2 : 3]
        tilt = np.arange(levels, dtype=float)
        tables = [steps @ steps.T, np.outer(tilt, tilt), at_settings @ at_settings.T]  # (3)
    centred = [_centred(t) for t in tables]
    if len(centred) == 3:
        centred[2] = _without_tilt(centred[2])
    return np.stack([t * (levels / np.trace(t)) for t in centred])  # (4)


def _centred(covariance: Array) -> Array:
    rows = covariance - covariance.mean(axis=0)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def _without_tilt(covariance: Array) -> Array:
    tilt = np.arange(len(covariance)) - (len(covariance) - 1) / 2
    tilt /= np.linalg.norm(tilt)
    rows = covariance - np.outer(tilt, tilt @ covariance)
    return np.asarray(rows - np.outer(rows @ tilt, tilt))


def _many_levels(levels: int, a: Levels, b: Levels) -> Array:
    """The limits of ``rough``, ``linear`` and ``smooth`` for many levels, by Bernoulli polynomials.

    With k1(u) = u - 1/2, k2 = (k1^2 - 1/12) / 2, k4 = (k1^4 - k1^2 / 2 + 7/240) / 24 for u in
    (0, 1), rough = k1 k1' + k2(|u - u'|) and bends = k2 k2' - k4(|u - u'|) (Gu 2013, section
    2.3.3). The tilt 12^(1/2) x, x = k1(u), is then projected out of the bends: the integral of
    bends(x, v) v over v is q(x) = 7 x / 5760 - x^3 / 144 + x^5 / 120, that of x q(x) is 1/30240.
    The mean variances are 1/6, 1/12 and 1/420.
    """
    x, y = (a + 0.5) / levels - 0.5, (b + 0.5) / levels - 0.5
    squared = (np.abs(x - y) - 0.5) ** 2
    both = x * y
    rough = both + (squared - 1 / 12) / 2
    bends = (x**2 - 1 / 12) / 2 * ((y**2 - 1 / 12) / 2)
    bends -= (squared * (squared - 0.5) + 7 / 240) / 24
    qx, qy = (v * (7 / 5760 + v**2 * (v**2 / 120 - 1 / 144)) for v in (x, y))
    smooth = bends - 12 * (x * qy + qx * y) + both / 210
    return np.stack([rough * 6, both * 12, smooth * 420])
