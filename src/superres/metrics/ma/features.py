"""Extracting the three families of features from an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from superres.metrics.ma.dct import dct_features
from superres.metrics.ma.gsm import gsm_features
from superres.metrics.ma.singular import singular_values

Array = NDArray[np.float64]

SCALES = 3
"""Sizes at which blocks and patches are looked at: full, half and quarter."""

# A Gaussian of standard deviation 1/2 on three pixels, for smoothing before subsampling by two.
_SMOOTH = np.exp(-2.0 * np.arange(-1, 2) ** 2)
_SMOOTH /= _SMOOTH.sum()


class Features(NamedTuple):
    """The features of one image, as input of the forests.

    Attributes:
        dct: (18,) local frequencies: six features per scale.
        gsm: (45,) global frequencies, of a steerable pyramid.
        singular: (75,) spatial structure: 25 singular values per scale.
    """

    dct: Array
    gsm: Array
    singular: Array


def extract(y: Array) -> Features:
    """Extract the features of a grey image.

    Args:
        y: (H, W), whole grey levels from 0 to 255, both sides 48 at least. In the PIRM protocol
            this is the shaved luma (`superres.color.luma`), which the MATLAB program then takes
            for a grey image.

    Raises:
        ValueError: the image is too small.
    """
    if min(y.shape) < 48:
        raise ValueError(f"Ma's score needs at least 48x48 pixels, not {y.shape}")
    # The local features use levels from 0 to 1, the global ones levels up to 255.
    scales = scale_space(y / 255)
    return Features(
        np.concatenate([dct_features(image) for image in scales]),
        gsm_features(y),
        np.concatenate([singular_values(image) for image in scales]),
    )


def scale_space(image: Array) -> list[Array]:
    """The image, its half and its quarter: smoothed, then the second of every two pixels kept.

    Beyond the border there is black, as MATLAB's `imfilter` has it.
    """
    scales = [image]
    for _ in range(SCALES - 1):
        rows: Array = correlate1d(scales[-1], _SMOOTH, axis=0, mode="constant")
        both: Array = correlate1d(rows, _SMOOTH, axis=1, mode="constant")
        scales.append(both[1::2, 1::2])
    return scales
