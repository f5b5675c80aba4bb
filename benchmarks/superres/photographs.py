"""Photographs as large as those that the release was trained on, and tiles cut from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from superres.cutting import Sizes
from superres.data import Dataset
from superres.photos import folder_photos
from superres.prepare import prepare

DIV2K = (1400, 2040)
"""Height and width of a usual photograph of DIV2K; its PNG files have 4.4 MB on average."""

# Amplitudes fall with this power of the frequency: such files are as large as DIV2K's.
_POWER = 1.4
_LEVELS, _TINT = 50.0, 0.2


def draw(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write noise with the spectrum of photographs as PNG files, the same every time."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        light = _noise(random, size)
        colours = [light + _TINT * _noise(random, size) for _ in range(3)]
        pixels = np.clip(128 + _LEVELS * np.stack(colours, -1), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def tiles(photos: Path, out: Path, patch: int) -> tuple[list[Path], Dataset]:
    """The photographs that both programs train on: as files, and as prepared tiles.

    Args:
        photos: a folder of PNG or JPEG files; one in five is held out, as always.
        out: where the tiles go.
        patch: side in low-resolution pixels of the patches that will be cut from the tiles.

    Raises:
        UserError: no such folder, or too few photographs.
    """
    sources, skipped = folder_photos(photos, None)
    crop = max(Sizes().crop, 4 * patch * 4 // 3)  # that a patch has places to go to
    prepare(sources, out, Sizes(crop=4 * (crop // 4)), skipped, lambda line: None)
    return [source.path for source in sources if source.split == "train"], Dataset(out)


def _noise(random: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
    """Mean zero, standard deviation one."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.normal(size=size)) / frequency**_POWER
    noise: NDArray[np.float64] = np.fft.irfft2(spectrum, s=size)
    noise /= noise.std()
    return noise
