"""Making a data folder out of photographs; `superres.data` describes and reads it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from superres.color import luma
from superres.data import Box, Manifest, Pixels, TestEntry, TrainEntry, cut
from superres.errors import UserError
from superres.metrics import SHAVE
from superres.metrics.niqe import BLOCK
from superres.photos import Source, Unusable, decode
from superres.resize import enlarge, shrink
from superres.scale import DEFAULT_SCALE, check_scale

SHOWCASE = 128
"""Side of the region of a test image that is shown, in high-resolution pixels."""

SMALLEST_TEST = 2 * (BLOCK + SHAVE)
"""Shortest side of a test image: two blocks of NIQE each way, after shaving."""

# Tiles with less mean luma gradient (levels a pixel) are blank. Smooth ones, such as skies, are
# kept: without them a fine-tuned network fills skies with patterns.
_FLAT = 0.1


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sides in high-resolution pixels, multiples of the scale.

    Attributes:
        crop: side of a training tile.
        test_crop: longest side of a test image; of larger photographs the most detailed part
            is taken.
        scale: ratio of the two resolutions.
    """

    crop: int = 160
    test_crop: int = 768
    scale: int = DEFAULT_SCALE

    def __post_init__(self) -> None:
        check_scale(self.scale)
        for name, value, least in (
            ("--crop", self.crop, 32),
            ("--test-crop", self.test_crop, SMALLEST_TEST),
        ):
            if value < least or value % self.scale:
                raise UserError(
                    f"{name} must be a multiple of {self.scale} from {least}, not {value}"
                )


def prepare(
    sources: Sequence[Source],
    out: Path,
    sizes: Sizes,
    skipped: Iterable[str] = (),
    report: Callable[[str], None] = print,
) -> Manifest:
    """Decode every photograph once and write the data folder `out`.

    Corrupt, grey and tiny photographs are skipped; `report` and the manifest name them.

    Args:
        sources: the photographs.
        out: a new or empty folder, or one that an earlier call made, which is replaced.
        sizes: of tiles and test images.
        skipped: what was left out before, one line each, for the manifest.
        report: gets one line for every photograph.

    Raises:
        UserError: `out` holds something else, or no photograph is usable for training or test.
    """
    _make_room(out)
    train: list[TrainEntry] = []
    test: list[TestEntry] = []
    left_out = list(skipped)
    for source in sources:
        try:
            photo = decode(source.path, sizes.scale)
            if source.split == "train":
                train.append(_write_train(source, photo, out, sizes))
                report(f"train  {source.name}: {train[-1].tiles} tiles")
            else:
                test.append(_write_test(source, photo, out, sizes))
                report(f"test   {source.name}: {test[-1].box[3]}x{test[-1].box[2]} pixels")
        except Unusable as reason:
            left_out.append(f"{source.origin}: {reason}")
            report(f"skip   {source.origin}: {reason}")
    for split, entries in (("training", train), ("test", test)):
        if not entries:
            raise UserError(f"no photograph is usable for {split}")
    manifest = Manifest(sizes.crop, tuple(train), tuple(test), tuple(left_out), scale=sizes.scale)
    manifest.save(out)
    return manifest


def tile_corners(length: int, crop: int, scale: int = DEFAULT_SCALE) -> list[int]:
    """Evenly spread, least overlapping offsets of tiles that cover it; multiples of `scale`."""
    count = -(-length // crop)
    if count == 1:
        return [0]
    return [scale * round(i * (length - crop) / (count - 1) / scale) for i in range(count)]


def most_detailed(image: Pixels, height: int, width: int, scale: int = DEFAULT_SCALE) -> Box:
    """The window with the largest mean luma gradient; its corner is a multiple of `scale`.

    Args:
        image: (H, W, 3).
        height: of the window, at most H.
        width: of the window, at most W.
        scale: ratio of the two resolutions.
    """
    sums = np.pad(_gradient(image), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    totals = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]) + sums[
        :-height, :-width
    ]
    totals = totals[::scale, ::scale]
    top, left = np.unravel_index(int(totals.argmax()), totals.shape)
    return scale * int(top), scale * int(left), height, width


def _gradient(image: Pixels) -> NDArray[np.float64]:
    """Luma gradient, absolute differences to the right and below, (H, W)."""
    y = luma(image)
    across = np.abs(np.diff(y, axis=1, append=y[:, -1:]))
    down = np.abs(np.diff(y, axis=0, append=y[-1:]))
    gradient: NDArray[np.float64] = across + down
    return gradient


def _make_room(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "manifest.json").is_file():
        raise UserError(f"{out} is not empty and holds no prepared data: name a new folder")
    # The manifest is the sign of a complete folder: it goes first and comes back last.
    (out / "manifest.json").unlink(missing_ok=True)
    for part in ("train", "test", "crops"):
        shutil.rmtree(out / part, ignore_errors=True)
        (out / part).mkdir(parents=True)


def _write_train(source: Source, photo: Pixels, out: Path, sizes: Sizes) -> TrainEntry:
    crop, scale = sizes.crop, sizes.scale
    height, width = photo.shape[:2]
    if min(height, width) < crop:
        raise Unusable(f"tiny, {width}x{height} pixels; a tile has {crop}x{crop}")
    low = shrink(photo, scale)
    detail = _gradient(photo)
    high_tiles, low_tiles = [], []
    for top in tile_corners(height, crop, scale):
        for left in tile_corners(width, crop, scale):
            if detail[top : top + crop, left : left + crop].mean() >= _FLAT:
                high_tiles.append(cut(photo, (top, left, crop, crop)))
                sides = (top // scale, left // scale, crop // scale, crop // scale)
                low_tiles.append(cut(low, sides))
    if not high_tiles:
        raise Unusable("without detail")
    _save(out / "train", source.name, np.stack(high_tiles), np.stack(low_tiles))
    return TrainEntry(source.name, source.origin, source.sha256, len(high_tiles))


def _write_test(source: Source, photo: Pixels, out: Path, sizes: Sizes) -> TestEntry:
    largest, scale = sizes.test_crop, sizes.scale
    height, width = photo.shape[:2]
    if min(height, width) < SMALLEST_TEST:
        raise Unusable(f"tiny, {width}x{height} pixels; a test image needs {SMALLEST_TEST}")
    box = most_detailed(photo, min(height, largest), min(width, largest), scale)
    high = cut(photo, box)
    low = shrink(high, scale)
    showcase = most_detailed(high, SHOWCASE, SHOWCASE, scale)
    _save(out / "test", source.name, high, low)
    for kind, image in (("original", high), ("bicubic", enlarge(low, scale))):
        Image.fromarray(cut(image, showcase)).save(out / "crops" / f"{source.name}-{kind}.png")
    return TestEntry(source.name, source.origin, source.sha256, box, showcase)


def _save(folder: Path, name: str, high: Pixels, low: Pixels) -> None:
    np.save(folder / f"{name}-hr.npy", high)
    np.save(folder / f"{name}-lr.npy", low)
