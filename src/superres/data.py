"""A prepared data folder: its manifest, its test images and its training patches.

A folder holds `manifest.json`; the training tiles of all photographs, in the order of the
manifest: `train/hr.npy` (tiles, crop, crop, 3) and `train/lr.npy` (tiles, crop / s, crop / s, 3);
for every test image `test/NAME-hr.npy` (H, W, 3) and `test/NAME-lr.npy` (H / s, W / s, 3); all
uint8 RGB, read memory-mapped. The scale s is in the manifest; data for one scale cannot be used for
another.

All tiles are in two files, since every run of a study opens them: two files for each of thousands
of photographs would take thousands of requests to the directory of a parallel file system at every
start, and as many memory maps. Test images differ in size and are opened one after the other, at
the end of a run, so they stay apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from superres.errors import UserError
from superres.files import write_whole
from superres.resize import Downscaling, enlarge
from superres.scale import DEFAULT_SCALE, check_scale

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Top, left, height and width in high-resolution pixels."""

_FORMAT = 4

UNFINISHED = "manifest.json.part"
"""What stands in the manifest's place until a folder is complete."""


@dataclass(frozen=True, slots=True)
class TrainEntry:
    """A training photograph in the manifest, cut into `tiles` tiles.

    `low_sha256` is the hash of its low-resolution file, if that was not made from the photograph.
    """

    name: str
    origin: str
    sha256: str
    tiles: int
    low_sha256: str = ""


@dataclass(frozen=True, slots=True)
class TestEntry:
    """A test image in the manifest; `box` is the part of the photograph, `showcase` of the image.

    The showcase is a detailed region that every run shows for comparison.
    """

    __test__ = False  # not a test class of pytest

    name: str
    origin: str
    sha256: str
    box: Box
    showcase: Box
    low_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The sources and settings of a data folder."""

    crop: int
    train: tuple[TrainEntry, ...]
    test: tuple[TestEntry, ...]
    skipped: tuple[str, ...]
    scale: int = DEFAULT_SCALE
    downscaling: Downscaling = Downscaling.PILLOW
    halve_jpeg: bool = True

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def save(self, folder: Path) -> None:
        """Write `manifest.json` atomically, which marks the folder as complete."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n"
        write_whole(folder / "manifest.json", lambda file: file.write(text.encode()))
        (folder / UNFINISHED).unlink(missing_ok=True)


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
        self.tiles: Final = sum(entry.tiles for entry in self.manifest.train)
        """Number of training tiles."""
        self._high, self._low = self._load_tiles()

    @property
    def scale(self) -> int:
        """Ratio of the two resolutions."""
        return self.manifest.scale

    def bicubic(self, low: Pixels) -> Pixels:
        """Enlarge (H, W, 3) by the scale, as the manifest's `downscaling` says."""
        return enlarge(low, self.scale, self.manifest.downscaling)

    def require_scale(self, scale: int) -> None:
        """Check that the data suit a network of this `scale`.

        Raises:
            UserError: they were prepared for another scale.
        """
        if scale != self.scale:
            raise UserError(
                f"{self.folder} was prepared for {self.scale}x, but the network enlarges {scale}x: "
                f"use data made with `superres prepare --scale {scale}`"
            )

    def tile(self, number: int) -> tuple[Pixels, Pixels]:
        """A training tile: high (crop, crop, 3) and low resolution (crop / s, crop / s, 3).

        Args:
            number: from 0 to `tiles` - 1, in the order of the manifest.
        """
        if not 0 <= number < self.tiles:
            raise IndexError(f"no tile {number}: there are {self.tiles}")
        return self._high[number], self._low[number]

    def test_images(self) -> Iterator[TestImage]:
        """The test images, in the order of the manifest."""
        for entry in self.manifest.test:
            high, low = (self._load("test", f"{entry.name}-{kind}.npy") for kind in ("hr", "lr"))
            yield TestImage(entry, high, low)

    def _load_tiles(self) -> tuple[Pixels, Pixels]:
        high, low = (self._load("train", f"{kind}.npy") for kind in ("hr", "lr"))
        crop, side = self.manifest.crop, self.manifest.crop // self.scale
        if high.shape != (self.tiles, crop, crop, 3) or low.shape != (self.tiles, side, side, 3):
            raise UserError(
                f"the tiles in {self.folder} are not those of its manifest: "
                "run `superres prepare` again"
            )
        return high, low

    def _load(self, split: str, name: str) -> Pixels:
        path = self.folder / split / name
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


def _read_manifest(folder: Path) -> Manifest:
    path = folder / "manifest.json"
    if not path.is_file():
        if (folder / UNFINISHED).exists():
            raise UserError(f"{folder} was never finished: run `superres prepare` again")
        raise UserError(f"{folder} holds no prepared data (no manifest.json): see superres prepare")
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        if content.pop("format") != _FORMAT:
            raise UserError(f"{path} was written by another version: run `superres prepare` again")
        train = tuple(TrainEntry(**entry) for entry in content.pop("train"))
        test = tuple(
            TestEntry(**{**entry, "box": tuple(entry["box"]), "showcase": tuple(entry["showcase"])})
            for entry in content.pop("test")
        )
        skipped = tuple(content.pop("skipped"))
        downscaling = Downscaling(content.pop("downscaling"))
        return Manifest(train=train, test=test, skipped=skipped, downscaling=downscaling, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged: run `superres prepare` again") from error
