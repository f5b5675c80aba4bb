"""Spatial structure: how many directions the patches of an image need.

The paper's section 4.1, "spatial features": principal components of patches. Blur leaves the last
ones empty, noise and ringing fill them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PATCH = 5
"""Side of the patches in pixels."""


def singular_values(image: Array) -> Array:
    """Singular values of the matrix whose columns are the patches of an image, largest first.

    The patches do not overlap; those at the bottom and on the right are padded with black. Means
    are not subtracted.

    Args:
        image: (H, W), at least 25 patches in all.

    Returns:
        (25,)
    """
    padded = np.pad(image, [(0, -length % PATCH) for length in image.shape])
    rows, columns = (length // PATCH for length in padded.shape)
    grid = padded.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2)
    return np.asarray(np.linalg.svd(grid.reshape(-1, PATCH**2), compute_uv=False), np.float64)
