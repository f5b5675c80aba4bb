"""A steerable pyramid, built in the frequency domain.

Simoncelli and Freeman, "The steerable pyramid", ICIP 1995; the filters in closed form are those of
Portilla and Simoncelli, International Journal of Computer Vision 40(1), 2000, section 2.1. The
squares of all filters add up to 1 at every frequency, so that the same filters turned round give
the image back.

With r the distance from the origin of the frequency plane, 1 at the highest frequency of a row or
column, a high-pass filter rises over one octave as cos(pi/2 * log2(r / edge)) and its low-pass
partner falls as the sine; the edge is 1 for the first pair and halves with every scale. A
direction k of K multiplies by cos(angle - pi k / K)^(K-1). matlabPyrTools, which the authors use,
reads these functions off tables with linear interpolation: the differences are below 1e-5 of a
filter's height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, rfft2, rfftfreq

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Real sub-bands of an image.

    Attributes:
        high: (H, W), the frequencies above all scales.
        bands: for every scale, finest first, (directions, H', W'): full size, half size, ..,
            halves of odd lengths rounded up. A scale's amplitudes are 4 times those of the next
            finer one for the same contrast, as nothing is divided on taking fewer samples.
        low: the frequencies below all scales.
    """

    high: Array
    bands: list[Array]
    low: Array


def steerable_pyramid(image: Array, scales: int, directions: int) -> Pyramid:
    """Divide an image (H, W) into frequency bands, with periodic borders.

    Args:
        image: sides of at least 2 ** (scales + 2) pixels.
        scales: number of octaves.
        directions: bands per octave, an even number, for which the bands are odd functions.
    """
    if directions % 2:
        raise ValueError(f"the number of directions must be even, not {directions}")
    rows, columns = image.shape
    # Half of the frequency plane suffices. The filters vanish at the one frequency of even lengths
    # that has no partner.
    down = 2 * fftfreq(rows)[:, None]
    right = 2 * rfftfreq(columns)[None, :]
    radius = np.hypot(down, right)
    radius[0, 0] = radius[0, 1]  # avoids the logarithm of 0; any small number works
    octave = np.log2(radius)
    cosine, sine = right / radius, down / radius

    spectrum = rfft2(image)
    high = irfft2(spectrum * _rising(octave), s=image.shape)
    spectrum = spectrum * _falling(octave)
    bands = []
    for _ in range(scales):
        octave = octave + 1
        band_pass = spectrum * _rising(octave) * (-1j) ** (directions - 1)
        bands.append(
            np.stack(
                [
                    irfft2(band_pass * _lobes(cosine, sine, k, directions), s=(rows, columns))
                    for k in range(directions)
                ]
            )
        )
        spectrum = spectrum * _falling(octave)
        low_rows, low_columns = (rows + 1) // 2, (columns + 1) // 2
        spectrum, octave, cosine, sine = (
            _lowest(plane, low_rows, low_columns) for plane in (spectrum, octave, cosine, sine)
        )
        rows, columns = low_rows, low_columns
    return Pyramid(high, bands, irfft2(spectrum, s=(rows, columns)))


def _rising(octave: Array) -> Array:
    """1 from octave 0 upwards, 0 below -1."""
    return np.cos(np.pi / 2 * np.clip(-octave, 0, 1))


def _falling(octave: Array) -> Array:
    return np.sin(np.pi / 2 * np.clip(-octave, 0, 1))


def _lobes(cosine: Array, sine: Array, k: int, directions: int) -> Array:
    """The filter of direction `k`, from the cosine and sine of the angle."""
    order = directions - 1
    # The squares over all directions add up to 1 with this factor.
    square = 4**order * math.factorial(order) ** 2 / (directions * math.factorial(2 * order))
    turn = np.pi * k / directions
    lobe = math.cos(turn) * cosine + math.sin(turn) * sine  # cos(angle - turn)
    lobes: Array = math.sqrt(square) * lobe
    for _ in range(order - 1):  # a power takes five times as long
        lobes *= lobe
    return lobes


def _lowest(plane: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
    """The part of a half-plane that belongs to a transform of `rows` x `columns` samples."""
    positive = (rows + 1) // 2
    kept = np.concatenate([plane[:positive], plane[len(plane) - (rows - positive) :]])
    return kept[:, : columns // 2 + 1]
