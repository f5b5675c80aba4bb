"""The three families of Ma's features once more, from their formulas with other means.

Plain loops over pixels and blocks; cosines written out; whole complex spectra; a pseudo-inverse
instead of an eigenvalue decomposition; singular values as roots of the eigenvalues of the patches'
products. Nothing of `superres.metrics.ma` is used but the function under test.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.fft import fft2, fftfreq, fftshift, ifft2, ifftshift
from numpy.typing import NDArray
from scipy.special import gamma

from superres.metrics.ma.dct import dct_features
from superres.metrics.ma.gsm import normalised_bands
from superres.metrics.ma.pyramid import Pyramid, steerable_pyramid
from superres.metrics.ma.singular import singular_values
from tests.superres.imresize import imresize
from tests.superres.photographs import judged, photograph

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def cat() -> Array:
    return judged(photograph("chelsea"))[100:165, 150:223]


def shape_of(samples: Array) -> float:
    shapes = np.arange(30, 10_001) / 1000
    ratios = gamma(1 / shapes) * gamma(3 / shapes) / gamma(2 / shapes) ** 2
    centred = samples - np.mean(samples)
    wanted = np.var(samples, ddof=1) / (np.mean(np.abs(centred)) ** 2 + 1e-7)
    return float(shapes[np.argmin(np.abs(ratios - wanted))])


def test_local_frequencies(cat: Array) -> None:
    image = cat[:21, :24] / 255
    cosines = [
        [
            math.sqrt((1 if k == 0 else 2) / 7) * math.cos(math.pi * (2 * n + 1) * k / 14)
            for n in range(7)
        ]
        for k in range(7)
    ]
    # Mostly horizontal frequencies, mostly vertical ones, and those between.
    start = {0: 1, 1: 2, 2: 4, 3: 5}
    horizontal = [(v, h) for v in start for h in range(start[v], 7)]
    vertical = [(h, v) for v, h in horizontal]
    every = [(v, h) for v in range(7) for h in range(7) if (v, h) != (0, 0)]
    between = [f for f in every if f not in horizontal and f not in vertical]

    def spread(values: list[float], flat: float) -> float:
        sizes = np.abs(values)
        return float(np.std(sizes, ddof=1) / (np.mean(sizes) + flat))

    shapes, spreads, directions = [], [], []
    for top in range(-2, 19, 3):
        for left in range(-2, 22, 3):
            found = dict.fromkeys(every, 0.0)
            for v, h in every:
                for i in range(7):
                    for j in range(7):
                        if 0 <= top + i < 21 and 0 <= left + j < 24:
                            level = image[top + i, left + j]
                            found[v, h] += cosines[v][i] * cosines[h][j] * level
            shapes.append(shape_of(np.array(list(found.values()))))
            spreads.append(spread(list(found.values()), 1e-7))
            groups = [[found[f] for f in g] for g in (horizontal, between, vertical)]
            directions.append(float(np.var([spread(g, 1e-8) for g in groups], ddof=1)))
    # Of 56 blocks the lowest 6; MATLAB's fix(56 * 0.9) is the 50th of 56: the highest 7.
    assert dct_features(image) == pytest.approx(
        [
            np.mean(sorted(shapes)[:6]),
            np.mean(shapes),
            np.mean(sorted(spreads)[-7:]),
            np.mean(spreads),
            np.mean(sorted(directions)[-7:]),
            np.mean(directions),
        ]
    )


def pyramid_of(image: Array) -> Pyramid:
    """Whole complex spectra, the origin in the middle."""
    spectrum = fftshift(fft2(image))
    down, right = np.meshgrid(*(2 * fftshift(fftfreq(n)) for n in image.shape), indexing="ij")
    radius, angle = np.hypot(down, right), np.arctan2(down, right)

    def rise(edge: float) -> Array:
        octave = np.log2(np.maximum(radius, 1e-9) / edge)
        return np.where(octave > 0, 1, np.where(octave < -1, 0, np.cos(np.pi / 2 * octave)))

    def band(part: NDArray[np.complex128], halvings: int) -> Array:
        rows, columns = part.shape
        for _ in range(halvings):
            top, left = rows // 2 - (rows + 1) // 2 // 2, columns // 2 - (columns + 1) // 2 // 2
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
            part = part[top : top + rows, left : left + columns]
        return np.real(ifft2(ifftshift(part)))

    lobes = [
        math.sqrt(1024 * 120**2 / (6 * math.factorial(10))) * np.cos(angle - np.pi * k / 6) ** 5
        for k in range(6)
    ]
    passed = np.sqrt(1 - rise(1) ** 2)
    bands = []
    for scale in range(2):
        pass_ = spectrum * passed * rise(0.5 ** (scale + 1)) * (-1j) ** 5
        bands.append(np.stack([band(pass_ * lobe, scale) for lobe in lobes]))
        passed = passed * np.sqrt(1 - rise(0.5 ** (scale + 1)) ** 2)
    return Pyramid(band(spectrum * rise(1), 0), bands, band(spectrum * passed, 2))


@pytest.mark.parametrize("shape", [(64, 72), (65, 73), (50, 41)])
def test_pyramid(cat: Array, shape: tuple[int, int]) -> None:
    image = cat[: shape[0], : shape[1]]
    image = np.pad(image, [(0, n - m) for n, m in zip(shape, image.shape, strict=True)])
    found, expected = steerable_pyramid(image, 2, 6), pyramid_of(image)
    assert found.high == pytest.approx(expected.high, abs=1e-9)
    for scale in range(2):
        assert found.bands[scale] == pytest.approx(expected.bands[scale], abs=1e-9)
    assert found.low == pytest.approx(expected.low, abs=1e-9)


@pytest.mark.parametrize(("scale", "k"), [(0, 0), (0, 4), (0, 5), (1, 2), (1, 5)])
def test_normalised_bands(cat: Array, scale: int, k: int) -> None:
    pyramid = pyramid_of(cat)
    bands = pyramid.bands[scale]
    height, width = bands[k].shape
    parent = None
    if scale == 0 and k < 5:  # the last direction has none
        coarse = pyramid.bands[1][k]
        parent = imresize(coarse, 2 * coarse.shape[0], 2 * coarse.shape[1])
    vectors, centres, components = [], [], 0
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            vector = [bands[k][i + down, j + right] for down in (-1, 0, 1) for right in (-1, 0, 1)]
            if parent is not None:
                vector.append(parent[i, j])
            components = len(vector)  # those in direction do not count
            vector += [bands[other][i, j] for other in range(6) if other != k]
            vectors.append(vector)
            centres.append(bands[k][i, j])
    v = np.array(vectors)
    inverse = np.linalg.pinv(sum(np.outer(row, row) for row in v) / len(v))
    factors = [math.sqrt(row @ inverse @ row / components) for row in v]
    divided = (np.array(centres) - np.mean(centres)) / factors
    guard = (16, 8)[scale]
    expected = divided.reshape(height - 2, width - 2)[guard:-guard, guard:-guard]
    found = normalised_bands(steerable_pyramid(cat, 2, 6))[scale][k]
    assert found == pytest.approx(expected - np.mean(expected), rel=1e-6, abs=1e-8)


def test_singular_values(cat: Array) -> None:
    image = cat / 255  # 65x73: two columns of black fill the last patches
    products = np.zeros((25, 25))
    for top in range(0, 65, 5):
        for left in range(0, 73, 5):
            patch = np.zeros((5, 5))
            part = image[top : top + 5, left : left + 5]
            patch[: part.shape[0], : part.shape[1]] = part
            products += np.outer(patch, patch)
    expected = np.sqrt(np.linalg.eigvalsh(products)[::-1])
    assert singular_values(image) == pytest.approx(expected, rel=1e-9)
