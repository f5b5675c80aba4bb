"""Local frequencies: statistics of the cosine transforms of small blocks.

The paper's section 4.1, "local frequency features", after the DCT statistics of Saad, Bovik and
Charrier (BLIINDS-II, IEEE Transactions on Image Processing 21(8), 2012): of every block the shape
of its coefficients' distribution, their variation, and how much the variation differs between
three groups of directions; of these the mean over all blocks and the mean over the lowest or
highest tenth.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import dct

from superres.metrics.ma.moments import gaussian_shape, variation

Array = NDArray[np.float64]

STEP = 3
"""Pixels from one block to the next."""

BORDER = 2
"""Pixels by which a block reaches into its neighbours on every side."""

BLOCK = STEP + 2 * BORDER
"""Side of a block in pixels."""

# First column of each row that belongs to the group of mostly horizontal frequencies. The group of
# vertical ones is its mirror image, and the diagonal group is the rest. 16 frequencies each.
_HORIZONTAL_FROM = (1, 2, 4, 5, BLOCK, BLOCK, BLOCK)

_FLAT_VARIATION = 1e-7
_FLAT_DIRECTION = 1e-8


def dct_features(image: Array) -> Array:
    """Compute six features of an image with levels from 0 to 1.

    Returns:
        (6,): shape of the distribution (mean of the lowest tenth of blocks, mean of all),
        variation (mean of the highest tenth, mean), difference between directions (likewise).
    """
    coefficients = block_frequencies(image)
    shape = np.sort(gaussian_shape(coefficients))
    overall = np.sort(variation(coefficients, _FLAT_VARIATION))
    by_direction = [variation(coefficients[:, g], _FLAT_DIRECTION) for g in direction_groups()]
    direction = np.sort(np.var(by_direction, axis=0, ddof=1))
    lowest = math.ceil(len(shape) * 0.1)
    highest = int(len(shape) * 0.9) - 1  # counted from 1 in the MATLAB program, hence one more
    return np.array(
        [
            shape[:lowest].mean(),
            shape.mean(),
            overall[highest:].mean(),
            overall.mean(),
            direction[highest:].mean(),
            direction.mean(),
        ]
    )


def block_frequencies(image: Array) -> Array:
    """Coefficients of the orthonormal DCT of every block, without the constant one.

    The image is divided into squares of 3x3 pixels, padded with black. Every block is a square with
    two pixels around it, black beyond the border of the image.

    Returns:
        (blocks, 48), frequencies row by row.
    """
    missing = [-length % STEP for length in image.shape]
    padded = np.pad(image, [(BORDER, BORDER + m) for m in missing])
    blocks = sliding_window_view(padded, (BLOCK, BLOCK))[::STEP, ::STEP]
    coefficients: Array = blocks.reshape(-1, BLOCK**2) @ _transform()
    return coefficients


@cache
def direction_groups() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Indices into the 48 coefficients: horizontal, diagonal and vertical frequencies."""
    horizontal = np.arange(BLOCK)[None, :] >= np.array(_HORIZONTAL_FROM)[:, None]
    vertical = horizontal.T
    diagonal = ~(horizontal | vertical)
    first, second, third = (np.flatnonzero(g.ravel()[1:]) for g in (horizontal, diagonal, vertical))
    return first, second, third


@cache
def _transform() -> Array:
    """(49, 48): pixels of a block, row by row, to its coefficients."""
    basis = dct(np.eye(BLOCK), norm="ortho", axis=0)
    return np.asarray(np.kron(basis, basis)[1:].T)
