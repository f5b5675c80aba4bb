"""Synthetic photographs: smooth shapes, edges and texture, coloured, the same every time."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from superres.cutting import Sizes
from superres.data import Dataset
from superres.photos import folder_photos
from superres.prepare import prepare


def synthetic_photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Dead leaves with grain: occluding coloured discs, which have the statistics of scenes."""
    random = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128.0)
    rows, columns = np.mgrid[:height, :width]
    for _ in range(150):
        row, column = random.uniform(0, height), random.uniform(0, width)
        radius = 4 / random.uniform(0.06, 1)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        image[disc] = random.uniform(20, 235, 3)
    grain = gaussian_filter(random.normal(0, 12, (height, width, 1)), (0.7, 0.7, 0))
    blurred = gaussian_filter(image, (0.6, 0.6, 0)) + grain
    pixels: NDArray[np.uint8] = np.clip(np.rint(blurred), 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors, and as many test processes as one likes: one thread each."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Stands for a full disk: what goes beyond it fails in the same way, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three usable photographs of 208x240 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate(("apple.png", "birch.png", "cloud.png")):
        Image.fromarray(synthetic_photo(208, 240, seed)).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def dataset(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Prepared data: 18 training tiles of 96x96, one test image of 240x208."""
    folder = tmp_path_factory.mktemp("data")
    prepare(folder_photos(photos, None)[0], folder, Sizes(crop=96), report=lambda _: None)
    return Dataset(folder)
