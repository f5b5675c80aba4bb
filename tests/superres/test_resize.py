from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from superres.metrics import mean_squared_error, psnr
from superres.resize import Downscaling, enlarge, halve, shrink, stretch
from tests.superres.imresize import imresize, imresize_levels
from tests.superres.photographs import judged, photograph, whole


def ramp(height: int, width: int) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:height, :width]
    values: NDArray[np.float64] = 10.0 + 2.0 * rows + 3.0 * columns
    return values


def test_halving_keeps_a_constant() -> None:
    assert halve(np.full((12, 20), 5.0)) == pytest.approx(np.full((6, 10), 5.0))


def test_halving_a_ramp_samples_it_between_the_pixels() -> None:
    inner = halve(ramp(24, 32))[2:-2, 2:-2]
    rows, columns = np.mgrid[2:10, 2:14]
    assert inner == pytest.approx(10 + 2 * (2 * rows + 0.5) + 3 * (2 * columns + 0.5))


def test_halving_agrees_with_pillow_away_from_the_borders() -> None:
    y = np.random.default_rng(0).uniform(0, 255, (40, 48))
    pillow = Image.fromarray(y.astype(np.float32)).resize((24, 20), Image.Resampling.BICUBIC)
    assert halve(y)[2:-2, 2:-2] == pytest.approx(np.asarray(pillow)[2:-2, 2:-2], abs=1e-3)


def test_halving_mirrors_at_the_borders() -> None:
    y = np.random.default_rng(1).uniform(0, 255, (16, 16))
    mirrored = np.pad(y, 8, mode="symmetric")
    assert halve(y) == pytest.approx(halve(mirrored)[4:-4, 4:-4])


def test_shrink_is_antialiased_and_enlarge_undoes_its_shape() -> None:
    checks = np.indices((32, 48)).sum(0) % 2 * 255
    image = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    low = shrink(image, 4)
    assert low.shape == (8, 12, 3)
    assert np.abs(low[1:-1, 1:-1].astype(int) - 127).max() <= 2
    assert enlarge(low, 4).shape == image.shape


def test_stretching_a_ramp_samples_it_between_the_pixels() -> None:
    # Whole and broken factors; away from the mirrored borders a line is kept exactly.
    for height, width in ((48, 64), (47, 61), (24, 33)):
        rows, columns = np.mgrid[:height, :width]
        places = (rows + 0.5) * 24 / height - 0.5, (columns + 0.5) * 32 / width - 0.5
        inner = (slice(6, -6), slice(6, -6))
        expected = 10 + 2 * places[0] + 3 * places[1]
        assert stretch(ramp(24, 32), height, width)[inner] == pytest.approx(expected[inner])


def test_stretching_agrees_with_pillow_away_from_the_borders() -> None:
    y = np.random.default_rng(0).uniform(0, 255, (20, 24))
    pillow = Image.fromarray(y.astype(np.float32)).resize((48, 40), Image.Resampling.BICUBIC)
    assert stretch(y, 40, 48)[4:-4, 4:-4] == pytest.approx(np.asarray(pillow)[4:-4, 4:-4], abs=1e-3)
    assert stretch(y, 20, 24) is y


@pytest.mark.parametrize("shape", [(4, 6), (6, 10), (96, 192), (40, 22)])
def test_halving_is_that_of_matlab_to_the_last_row(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(2).uniform(0, 255, shape)
    assert halve(y) == pytest.approx(imresize(y, shape[0] // 2, shape[1] // 2), abs=1e-10)


@pytest.mark.parametrize("shape", [(40, 48), (33, 25), (24, 61)])
def test_stretching_is_that_of_matlab_to_the_last_row(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(3).uniform(0, 255, (20, 24))
    assert stretch(y, *shape) == pytest.approx(imresize(y, *shape), abs=1e-10)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_matlab_is_followed_to_the_last_bit(factor: int) -> None:
    """Against whole numbers: two roundings, halves up, borders mirrored."""
    random = np.random.default_rng(factor)
    noise = random.integers(0, 256, (6 * factor, 9 * factor, 3), np.uint8)
    black_and_white = (255 * random.integers(0, 2, noise.shape)).astype(np.uint8)
    photo = photograph("chelsea")[: 16 * factor, : 12 * factor]
    for image in (noise, black_and_white, photo):
        height, width = (side // factor for side in image.shape[:2])
        low = shrink(image, factor, Downscaling.MATLAB)
        assert (low == imresize_levels(image, height, width)).all()
        large = enlarge(low, factor, Downscaling.MATLAB)
        assert (large == imresize_levels(low, *image.shape[:2])).all()
    one = noise[:factor, :factor]  # mirrored more than once
    assert (shrink(one, factor, Downscaling.MATLAB) == imresize_levels(one, 1, 1)).all()


def test_one_rounding_is_not_two() -> None:
    image = photograph("coffee")[:400, :600]
    planes = [imresize(image[..., c].astype(float), 100, 150) for c in range(3)]
    once = np.clip(np.floor(np.stack(planes, axis=2) + 0.5), 0, 255)
    differ = np.mean(once != shrink(image, 4, Downscaling.MATLAB))
    assert 0.05 < differ < 0.2  # 11 % on Set5


# Of `imresize_levels`: the SHA-256 of the low-resolution image, and the PSNR of luma (dB) of what
# is enlarged from it, without the outermost 4 pixels.
FIGURES = {
    "chelsea": ("6b81de91ea08eef2", 31.459398845150496),
    "coffee": ("5c42e9762536e700", 27.284726777177283),
    "astronaut": ("53ca505a86fd24fa", 26.834699725309807),
}


@pytest.mark.parametrize("name", FIGURES)
def test_bicubic_enlargement_has_the_figures_of_an_independent_program(name: str) -> None:
    image = whole(photograph(name))
    low = shrink(image, 4, Downscaling.MATLAB)
    large = enlarge(low, 4, Downscaling.MATLAB)
    y, reference = judged(large), judged(image)
    digest, decibels = FIGURES[name]
    assert hashlib.sha256(low.tobytes()).hexdigest()[:16] == digest
    assert psnr(mean_squared_error(y, reference)) == pytest.approx(decibels, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("chelsea", 2), ("chelsea", 4), ("coffee", 4), ("china", 4), ("astronaut", 8)],
)
def test_low_resolution_images_are_nearly_those_of_matlab(name: str, factor: int) -> None:
    image = whole(photograph(name))
    image = image[: image.shape[0] // 8 * 8, : image.shape[1] // 8 * 8]
    height, width = (length // factor for length in image.shape[:2])
    planes = [imresize(image[..., c].astype(float), height, width) for c in range(3)]
    theirs = np.clip(np.floor(np.stack(planes, axis=2) + 0.5), 0, 255)
    difference = np.abs(shrink(image, factor) - theirs)
    # Two roundings of 8 bits, after rows and after columns, instead of one.
    inside = difference[2:-2, 2:-2]
    assert inside.max() <= 6
    assert np.mean(inside > 0) < 0.16
    # Pillow leaves out what lies beyond the border, where MATLAB mirrors the image.
    assert difference.max() <= 16
    assert np.sqrt(np.mean(difference**2)) < 0.8
