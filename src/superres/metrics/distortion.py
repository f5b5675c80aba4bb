"""Distortion: how far an image is from the original, in grey levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mean_squared_error(y: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Mean squared difference of two images of the same shape, in squared grey levels."""
    if y.shape != reference.shape:
        raise ValueError(f"shapes differ: {y.shape} and {reference.shape}")
    return float(np.mean((y - reference) ** 2))


def rmse(squared_errors: Sequence[float]) -> float:
    """Root mean square error of a set of images: root of the mean over images of their MSE.

    This, and not the mean of the roots, is the RMSE of PIRM 2018.
    """
    return math.sqrt(float(np.mean(squared_errors)))


def psnr(squared_error: float) -> float:
    """Peak signal-to-noise ratio in decibels, peak 255; infinite for a perfect image."""
    return 10 * math.log10(255**2 / squared_error) if squared_error > 0 else math.inf
