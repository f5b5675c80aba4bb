"""A prepared data folder: its manifest, its test images and its training patches.

A folder holds `manifest.json`; for every training photograph `train/NAME-hr.npy` (tiles, crop,
crop, 3) and `train/NAME-lr.npy` (tiles, crop / s, crop / s, 3); for every test image
`test/NAME-hr.npy` (H, W, 3) and `test/NAME-lr.npy` (H / s, W / s, 3); all uint8 RGB, read
memory-mapped. The scale s is in the manifest; data for one scale are of no use for another.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superres.errors import UserError
from superres.scale import DEFAULT_SCALE, check_scale

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Top, left, height and width in high-resolution pixels."""

# Format 1 is from before the scale could be chosen, and always 4x.
_FORMAT, _READABLE = 2, (1, 2)


@dataclass(frozen=True, slots=True)
class TrainEntry:
    """A training photograph in the manifest, cut into `tiles` tiles."""

    name: str
    origin: str
    sha256: str
    tiles: int


@dataclass(frozen=True, slots=True)
class TestEntry:
    """A test image in the manifest; `box` is the part of the photograph, `showcase` of the image.

    The showcase is the detailed region that every run shows, so that runs can be compared.
    """

    __test__ = False  # the name is no invitation to pytest

    name: str
    origin: str
    sha256: str
    box: Box
    showcase: Box


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a data folder was made from, and how."""

    crop: int
    train: tuple[TrainEntry, ...]
    test: tuple[TestEntry, ...]
    skipped: tuple[str, ...]
    scale: int = DEFAULT_SCALE
    downscaling: str = "Pillow BICUBIC, antialiased, on the whole photograph"

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def save(self, folder: Path) -> None:
        """Write `manifest.json`."""
        content = {"format": _FORMAT, **asdict(self)}
        (folder / "manifest.json").write_text(json.dumps(content, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class TestImage:
    """A test image with both resolutions."""

    __test__ = False

    entry: TestEntry
    high: Pixels
    low: Pixels


class Dataset:
    """A prepared data folder, opened for reading.

    Raises:
        UserError: the folder is missing, was not made by `superres prepare`, or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self._tiles = [
            (self._load("train", entry.name, "hr"), self._load("train", entry.name, "lr"))
            for entry in self.manifest.train
        ]
        # The number of the first tile of every pair of arrays, and one past the last tile.
        self._starts = list(accumulate((len(high) for high, _ in self._tiles), initial=0))

    @property
    def scale(self) -> int:
        """Ratio of the two resolutions."""
        return self.manifest.scale

    def require_scale(self, scale: int) -> None:
        """Make sure that the data suit a network that enlarges by `scale`.

        Raises:
            UserError: they were prepared for another scale.
        """
        if scale != self.scale:
            raise UserError(
                f"{self.folder} was prepared for {self.scale}x, but the network enlarges {scale}x: "
                f"use data made with `superres prepare --scale {scale}`"
            )

    @property
    def tiles(self) -> int:
        """Number of training tiles: one epoch sees as many patches."""
        return self._starts[-1]

    def tile(self, number: int) -> tuple[Pixels, Pixels]:
        """A training tile: high (crop, crop, 3) and low resolution (crop / s, crop / s, 3).

        Args:
            number: from 0 to `tiles` - 1, in the order of the manifest.
        """
        if not 0 <= number < self.tiles:
            raise IndexError(f"no tile {number}: there are {self.tiles}")
        place = bisect_right(self._starts, number) - 1
        high, low = self._tiles[place]
        return high[number - self._starts[place]], low[number - self._starts[place]]

    def test_images(self) -> Iterator[TestImage]:
        """The test images, in the order of the manifest."""
        for entry in self.manifest.test:
            high, low = (self._load("test", entry.name, kind) for kind in ("hr", "lr"))
            yield TestImage(entry, high, low)

    def batches(self, batch: int, patch: int, seed: int) -> Iterator[tuple[Pixels, Pixels]]:
        """Endless random batches for training, the same for the same seed.

        Every epoch visits each tile once, in random order, at a random place, in one of the
        eight orientations of a square and with its colour channels in one of their six orders:
        a few photographs do not show every colour, and a network fills colours it has not met
        with patterns. Epochs run on into each other within a batch.

        Args:
            batch: patches in a batch.
            patch: side of a low-resolution patch in pixels.
            seed: of all that is random.

        Yields:
            Low resolution (batch, patch, patch, 3) and high resolution
            (batch, scale * patch, scale * patch, 3).

        Raises:
            UserError: a patch is larger than a tile.
        """
        scale = self.scale
        side = self.manifest.crop // scale
        if patch > side:
            raise UserError(
                f"a patch of {patch} low-resolution pixels does not fit into tiles of {side}: "
                f"choose --patch {side} or less, or prepare with --crop {patch * scale} or more"
            )
        return self._batches(batch, patch, np.random.default_rng(seed))

    def _batches(
        self, batch: int, patch: int, random: np.random.Generator
    ) -> Iterator[tuple[Pixels, Pixels]]:
        index = [(p, t) for p, (high, _) in enumerate(self._tiles) for t in range(len(high))]
        scale = self.scale
        free = self.manifest.crop // scale - patch + 1
        queue: list[int] = []
        while True:
            while len(queue) < batch:
                queue.extend(random.permutation(len(index)).tolist())
            chosen, queue = queue[:batch], queue[batch:]
            lows, highs = [], []
            for number in chosen:
                photo, tile = index[number]
                high, low = self._tiles[photo]
                top, left = random.integers(free, size=2)
                turns, mirrored = int(random.integers(4)), bool(random.integers(2))
                colours = random.permutation(3)
                lows.append(
                    _orient(_cut(low[tile], top, left, patch), turns, mirrored)[..., colours]
                )
                place = scale * top, scale * left, scale * patch
                highs.append(_orient(_cut(high[tile], *place), turns, mirrored)[..., colours])
            yield np.stack(lows), np.stack(highs)

    def _load(self, split: str, name: str, kind: str) -> Pixels:
        path = self.folder / split / f"{name}-{kind}.npy"
        try:
            array: Pixels = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is missing or damaged: run `superres prepare` again"
            ) from error
        return array


def cut(image: Pixels, box: Box) -> Pixels:
    """The part of an image (H, W, 3) that `box` names."""
    top, left, height, width = box
    return image[top : top + height, left : left + width]


def _cut(image: Pixels, top: int, left: int, side: int) -> Pixels:
    return image[top : top + side, left : left + side]


def _orient(patch: Pixels, turns: int, mirrored: bool) -> Pixels:
    turned = np.rot90(patch, turns)
    return turned[:, ::-1] if mirrored else turned


def _read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no prepared data (no manifest.json): see superres prepare")
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        if content.pop("format") not in _READABLE:
            raise UserError(f"{path} was written by another version: run `superres prepare` again")
        train = tuple(TrainEntry(**entry) for entry in content.pop("train"))
        test = tuple(
            TestEntry(**{**entry, "box": tuple(entry["box"]), "showcase": tuple(entry["showcase"])})
            for entry in content.pop("test")
        )
        skipped = tuple(content.pop("skipped"))
        return Manifest(train=train, test=test, skipped=skipped, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: run `superres prepare` again") from error
