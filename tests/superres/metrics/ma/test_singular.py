from __future__ import annotations

import numpy as np
import pytest

from superres.metrics.ma.singular import singular_values


def test_values_of_the_matrix_of_patches() -> None:
    image = np.random.default_rng(0).uniform(size=(33, 42))
    padded = np.zeros((35, 45))
    padded[:33, :42] = image
    patches = [
        padded[top : top + 5, left : left + 5].ravel(order="F")
        for left in range(0, 45, 5)
        for top in range(0, 35, 5)
    ]
    expected = np.linalg.svd(np.array(patches).T, compute_uv=False)
    assert singular_values(image) == pytest.approx(expected)


def test_smooth_images_need_few_directions() -> None:
    rows, columns = np.mgrid[:100, :100]
    ramp = 0.2 + 0.003 * rows + 0.002 * columns
    values = singular_values(ramp)
    # Every patch is a constant and the same slope.
    assert (values[:2] > 0.1).all()
    assert values[2:].max() < 1e-12
    noisy = singular_values(ramp + np.random.default_rng(1).normal(0, 0.1, ramp.shape))
    assert noisy[-1] > 1
