from __future__ import annotations

import numpy as np
import pytest
from numpy.fft import fft2, fftfreq, fftshift, ifft2, ifftshift
from numpy.typing import NDArray

from superres.metrics.ma.pyramid import Pyramid, steerable_pyramid

Array = NDArray[np.float64]
SHAPES = [(64, 48), (45, 63), (50, 41)]


def noise(shape: tuple[int, int]) -> Array:
    return np.random.default_rng(0).normal(size=shape)


def rise(radius: Array, edge: float) -> Array:
    octave = np.log2(np.maximum(radius, 1e-9) / edge)
    return np.where(octave > 0, 1, np.where(octave < -1, 0, np.cos(np.pi / 2 * octave)))


def reconstruct(pyramid: Pyramid) -> Array:
    """The same filters once more, turned round, on whole complex spectra of full size."""
    shape = pyramid.high.shape
    down, right = (2 * fftshift(fftfreq(n)) for n in shape)
    radius = np.hypot(down[:, None], right[None, :])
    angle = np.arctan2(down[:, None], right[None, :])
    total = rise(radius, 1) * fftshift(fft2(pyramid.high)).astype(complex)
    passed = np.sqrt(1 - rise(radius, 1) ** 2)

    def spectrum(band: Array) -> NDArray[np.complex128]:
        whole = np.zeros(shape, complex)
        tops = [n // 2 - b // 2 for n, b in zip(shape, band.shape, strict=True)]
        rows, columns = (slice(t, t + b) for t, b in zip(tops, band.shape, strict=True))
        whole[rows, columns] = fftshift(fft2(band))
        return whole

    for scale, bands in enumerate(pyramid.bands):
        edge = 0.5 ** (scale + 1)
        for k, band in enumerate(bands):
            lobe = np.sqrt(1024 * 14400 / (6 * 3628800)) * np.cos(angle - k * np.pi / 6) ** 5
            total = total + passed * rise(radius, edge) * lobe * 1j**5 * spectrum(band)
        passed = passed * np.sqrt(1 - rise(radius, edge) ** 2)
    total = total + passed * spectrum(pyramid.low)
    image = ifft2(ifftshift(total))
    assert np.abs(image.imag).max() < 1e-12
    return image.real


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_filters_give_the_image_back(shape: tuple[int, int]) -> None:
    image = noise(shape)
    assert reconstruct(steerable_pyramid(image, 2, 6)) == pytest.approx(image, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_energy_is_lost_or_gained(shape: tuple[int, int]) -> None:
    image = noise(shape)
    pyramid = steerable_pyramid(image, 2, 6)
    # A mean over fewer samples of a transform that is not scaled: their squares, over the pixels.
    energy = np.sum(pyramid.high**2)
    for band in (*pyramid.bands[0], *pyramid.bands[1], pyramid.low):
        energy += np.sum(band**2) * band.size / image.size
    assert energy == pytest.approx(np.sum(image**2))


def test_sizes() -> None:
    pyramid = steerable_pyramid(noise((50, 41)), 2, 6)
    assert pyramid.high.shape == (50, 41)
    assert [band.shape for band in pyramid.bands] == [(6, 50, 41), (6, 25, 21)]
    assert pyramid.low.shape == (13, 11)


@pytest.mark.parametrize("k", range(6))
def test_a_wave_appears_in_the_band_of_its_direction(k: int) -> None:
    rows, columns = np.mgrid[:120, :120]
    angle = k * np.pi / 6
    wave = np.cos(2 * np.pi * 0.25 * (columns * np.cos(angle) + rows * np.sin(angle)))
    energies = np.square(steerable_pyramid(wave, 2, 6).bands[0]).mean(axis=(1, 2))
    assert np.argmax(energies) == k
    expected = np.cos(angle - np.arange(6) * np.pi / 6) ** 10
    assert energies / energies[k] == pytest.approx(expected, abs=0.02)


def test_slow_waves_belong_to_coarser_scales() -> None:
    columns = np.arange(128)
    for period, place in ((2, 0), (4, 1), (8, 2), (32, 3)):
        wave = np.tile(np.cos(2 * np.pi * columns / period), (128, 1))
        pyramid = steerable_pyramid(wave, 2, 6)
        energies = [
            np.sum(part**2) * part.shape[-1] * part.shape[-2]
            for part in (pyramid.high, *pyramid.bands, pyramid.low)
        ]
        assert np.argmax(energies) == place


def test_an_odd_number_of_directions_is_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        steerable_pyramid(noise((64, 64)), 2, 5)
