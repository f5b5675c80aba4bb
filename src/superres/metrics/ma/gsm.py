"""Global frequencies: sub-bands of a steerable pyramid under a Gaussian scale mixture.

The paper's section 4.1, "global frequency features", after Moorthy and Bovik (DIIVINE, IEEE
Transactions on Image Processing 20(12), 2011). A coefficient and its neighbours in place, scale
and direction are taken for a Gaussian vector times a random common factor (Portilla, Strela,
Wainwright, Simoncelli, IEEE Transactions on Image Processing 12(11), 2003). Divided by the
likeliest factor, the coefficients of photographs are nearly Gaussian, those of other images not.

Two oddities of the authors' program are part of what the forests learnt: the last direction of
the finer scale has no parent among its neighbours, and the neighbours in direction do not count in
the length of the vector by which the factor's estimate is divided.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from superres.metrics.ma.moments import gaussian_shape
from superres.metrics.ma.pyramid import Pyramid, steerable_pyramid
from superres.metrics.ma.structure import agreement, local
from superres.resize import stretch

Array = NDArray[np.float64]

SCALES = 2
DIRECTIONS = 6

GUARD = 16
"""Coefficients left out along every border at the finer scale, half of it at the coarser."""


def gsm_features(y: Array) -> Array:
    """Compute the 45 features of a grey image with levels from 0 to 255.

    Returns:
        (45,): the shapes of the 12 normalised sub-bands, finer scale first; 6 shapes of both
        scales together, by direction; the structural agreement of each of the 12 sub-bands, as
        they are, with the high-pass residual; that of the 15 pairs of normalised sub-bands of
        the finer scale.
    """
    pyramid = steerable_pyramid(y, SCALES, DIRECTIONS)
    fine, coarse = normalised_bands(pyramid)
    shapes = [gaussian_shape(band.ravel()) for band in (*fine, *coarse)]
    across = [
        gaussian_shape(np.concatenate([a.ravel(), b.ravel()]))
        for a, b in zip(fine, coarse, strict=True)
    ]
    high = local(pyramid.high)
    to_high = [
        agreement(local(stretch(band, *y.shape)), high) for bands in pyramid.bands for band in bands
    ]
    locals_ = [local(band) for band in fine]
    between = [agreement(a, b) for a, b in itertools.combinations(locals_, 2)]
    return np.array([*shapes, *across, *to_high, *between])


def normalised_bands(pyramid: Pyramid) -> tuple[list[Array], list[Array]]:
    """Sub-bands of both scales divided by their estimated factors, without borders, centred."""
    fine, coarse = pyramid.bands
    height, width = fine.shape[1:]
    # Doubled and cropped; for odd lengths, this differs from stretching to the finer band's size.
    parents = [
        stretch(band, 2 * band.shape[0], 2 * band.shape[1])[:height, :width]
        for band in coarse[: DIRECTIONS - 1]
    ]
    return (
        [_normalised(fine, k, p, GUARD) for k, p in enumerate([*parents, None])],
        [_normalised(coarse, k, None, GUARD // 2) for k in range(DIRECTIONS)],
    )


def _normalised(bands: Array, k: int, parent: Array | None, guard: int) -> Array:
    """Band `k` of (directions, H, W) over its factors: (H - 2 - 2 guard, W - 2 - 2 guard)."""
    _, height, width = bands.shape
    inner = (slice(1, -1), slice(1, -1))
    around = [
        bands[k, top : top + height - 2, left : left + width - 2]
        for top in range(3)
        for left in range(3)
    ]
    if parent is not None:
        around.append(parent[inner])
    length = len(around)
    around += [band[inner] for other, band in enumerate(bands) if other != k]
    factors = scale_factors(np.stack(around).reshape(len(around), -1), length)
    centre = bands[k][inner].ravel()
    centre = centre - centre.mean()
    # A factor of 0 means that the whole neighbourhood is 0, including the centre. The MATLAB
    # program fails there; it does not occur in photographs.
    divided = np.divide(centre, factors, out=np.zeros_like(centre), where=factors > 0)
    cut = divided.reshape(height - 2, width - 2)[guard:-guard, guard:-guard]
    centred: Array = cut - cut.mean()
    return centred


def scale_factors(vectors: Array, length: int) -> Array:
    """Likeliest factors of Gaussian scale mixtures: sqrt(v' C^-1 v / length).

    C is the mean of v v' over all vectors (Portilla et al. 2003, section III; Wainwright and
    Simoncelli, NIPS 2000, for the estimate).

    Args:
        vectors: (components, N).
        length: the number of components in the model.

    Returns:
        (N,)
    """
    covariance = vectors @ vectors.T / vectors.shape[1]
    values, axes = np.linalg.eigh(covariance)
    # Rounding can cause tiny negative variances. They become 0 and the others compensate; then
    # directions without variance are left out, as in MATLAB's `pinv`.
    positive = np.maximum(values, 0)
    if positive.sum() > 0:
        positive *= values.sum() / positive.sum()
    kept = positive > len(values) * np.spacing(positive.max())
    white = (axes[:, kept] / np.sqrt(positive[kept])).T @ vectors
    factors: Array = np.sqrt(np.einsum("ij,ij->j", white, white) / length)
    return factors
