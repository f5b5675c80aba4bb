"""NIQE against a second program, written from the paper with other means.

It shares with `superres.metrics.niqe` the pristine parameters and nothing else: every block and
every pair of neighbours in a plain loop, windows as a sum of shifted images, the shape from
solving its equation instead of from a table, gamma functions instead of their logarithms, half
the size by `tests.superres.imresize`, a sum of outer products for the covariance, and equation
10 by solving linear equations instead of a pseudo-inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gamma

from superres.metrics import niqe
from superres.metrics.niqe import block_features, fit_aggd, normalise
from tests.superres.imresize import imresize
from tests.superres.photographs import Pixels, bicubic, blurred, judged, noisy, photograph, whole

Array = NDArray[np.float64]


def coefficients(y: Array) -> Array:
    height, width = y.shape
    padded = np.pad(y, 3, mode="edge")
    mean, square, total = np.zeros_like(y), np.zeros_like(y), 0.0
    for down in range(7):
        for right in range(7):
            weight = math.exp(-((down - 3) ** 2 + (right - 3) ** 2) / (2 * (7 / 6) ** 2))
            part = padded[down : down + height, right : right + width]
            mean, square, total = mean + weight * part, square + weight * part**2, total + weight
    mean, square = mean / total, square / total
    normalised: Array = (y - mean) / (np.sqrt(np.abs(square - mean**2)) + 1)
    return normalised


def ratio(shape: float) -> float:
    return float(gamma(2 / shape) ** 2 / (gamma(1 / shape) * gamma(3 / shape)))


def fit(samples: list[float]) -> tuple[float, float, float]:
    """Shape and both scales; of samples with one sign, the smallest shape as the authors have."""
    left = [s * s for s in samples if s < 0]
    right = [s * s for s in samples if s > 0]
    deviations = [math.sqrt(math.fsum(s) / len(s)) if s else math.nan for s in (left, right)]
    shape = 0.2
    if left and right:
        g = deviations[0] / deviations[1]
        mean_size = math.fsum(abs(s) for s in samples) / len(samples)
        mean_square = math.fsum(s * s for s in samples) / len(samples)
        wanted = mean_size**2 / mean_square * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
        if wanted >= ratio(10):
            shape = 10.0
        elif wanted > ratio(0.2):
            # The release knows shapes in steps of a thousandth.
            shape = round(brentq(lambda s: ratio(s) - wanted, 0.2, 10, xtol=1e-12), 3)
    to_scale = math.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, deviations[0] * to_scale, deviations[1] * to_scale


def features(y: Array, block: int) -> Array:
    normalised = coefficients(y)
    rows = []
    for top in range(0, y.shape[0], block):
        for left in range(0, y.shape[1], block):
            tile = normalised[top : top + block, left : left + block].tolist()
            shape, lower, upper = fit([c for line in tile for c in line])
            row = [shape, (lower + upper) / 2]
            # The neighbour to the left, above, and above to the left and right: pairs of one
            # kind are the same whichever of the two is called the neighbour.
            for down, right in ((0, -1), (-1, 0), (-1, -1), (-1, 1)):
                products = [
                    tile[i][j] * tile[(i + down) % block][(j + right) % block]
                    for i in range(block)
                    for j in range(block)
                ]
                shape, lower, upper = fit(products)
                row += [
                    shape,
                    (upper - lower) * float(gamma(2 / shape) / gamma(1 / shape)),
                    lower,
                    upper,
                ]
            rows.append(row)
    return np.array(rows)


def both_scales(y: Array) -> Array:
    height, width = (length // 96 * 96 for length in y.shape)
    y = y[:height, :width]
    half = imresize(y, height // 2, width // 2)
    return np.concatenate([features(y, 96), features(half, 48)], axis=1)


def reference(found: Array) -> float:
    """Equation 10 for blocks that all have their features."""
    with (
        (files("superres.metrics") / "niqe_pristine.npz").open("rb") as file,
        np.load(file) as data,
    ):
        mean, covariance = data["mean"], data["covariance"]
    centre = sum(found) / len(found)
    scatter = sum(np.outer(row - centre, row - centre) for row in found) / (len(found) - 1)
    difference = mean - centre
    return math.sqrt(difference @ np.linalg.solve((covariance + scatter) / 2, difference))


# Where an image has no contrast at all, rounding decides the signs of the coefficients, and the
# features count signs. Photographs without such places agree to 13 digits; the blue sky of
# "china" and the enlarged or blurred shade of "coffee" have some, and differ by up to 0.3 %.
@pytest.mark.parametrize(
    ("name", "change", "tolerance"),
    [
        ("chelsea", whole, 1e-9),
        ("chelsea", blurred, 1e-9),
        ("chelsea", noisy, 1e-9),
        ("chelsea", bicubic, 1e-3),
        ("coffee", whole, 1e-9),
        ("coffee", noisy, 1e-9),
        ("coffee", bicubic, 1e-2),
        ("china", whole, 1e-2),
        ("china", noisy, 1e-9),
    ],
)
def test_agrees_with_the_second_program(
    name: str, change: Callable[[Pixels], Pixels], tolerance: float
) -> None:
    y = judged(change(photograph(name)))[:200, :300]
    assert niqe(y) == pytest.approx(reference(both_scales(y)), rel=tolerance)


def test_every_feature_of_every_block() -> None:
    y = judged(photograph("chelsea"))[:192, :288]
    assert normalise(y) == pytest.approx(coefficients(y), abs=1e-9)
    assert block_features(normalise(y), 96) == pytest.approx(features(y, 96), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("samples", [[0.0, 0.0, 0.0], [1e-14, 1e-14, 1e-14], [-0.5, 0.0, -0.25]])
def test_what_cannot_be_fitted_has_the_features_of_the_release(samples: list[float]) -> None:
    # Its search for the nearest ratio finds nothing nearest to "not a number" and stays at the
    # first shape of its table; the mean over no samples is not a number.
    found = fit_aggd(np.array([samples]))
    assert [float(part[0]) for part in found] == pytest.approx(list(fit(samples)), nan_ok=True)
