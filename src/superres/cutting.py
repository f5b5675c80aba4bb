"""Cutting training tiles or a test image out of a photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superres.color import luma
from superres.data import Box, Pixels, TestEntry, TrainEntry, cut
from superres.errors import UserError
from superres.lows import read_low
from superres.metrics import SHAVE
from superres.metrics.niqe import BLOCK
from superres.photos import Source, Split, Unusable, decode
from superres.resize import Downscaling, shrink
from superres.scale import DEFAULT_SCALE, check_scale

SHOWCASE = 128
"""Side of the region of a test image that is shown, in high-resolution pixels."""

SMALLEST_TEST = 2 * (BLOCK + SHAVE)
"""Shortest side of a test image: two blocks of NIQE each way, after shaving."""

# Tiles with a smaller mean luma gradient (levels per pixel) are blank. Smooth ones, such as skies,
# are kept, as a network fine-tuned without them fills skies with patterns.
_FLAT = 0.1

# Number of rows whose luma is computed at once.
_BAND = 64


@dataclass(frozen=True, slots=True)
class Sizes:
    """Side lengths in high-resolution pixels, multiples of the scale, and the downscaling.

    Attributes:
        crop: side of a training tile.
        test_crop: longest side of a test image; larger photographs are cropped to their most
            detailed part.
        scale: ratio of the two resolutions.
        downscaling: how low-resolution images are made.
        halve_jpeg: whether large JPEG files are halved first, see `superres.photos.decode`.
    """

    crop: int = 160
    test_crop: int = 768
    scale: int = DEFAULT_SCALE
    downscaling: Downscaling = Downscaling.PILLOW
    halve_jpeg: bool = True

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


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data made from a photograph.

    Attributes:
        entry: its entry in the manifest.
        high: tiles (N, crop, crop, 3) or a test image (H, W, 3).
        low: the same, reduced by the scale.
    """

    entry: TrainEntry | TestEntry
    high: Pixels
    low: Pixels


def cut_photo(source: Source, sizes: Sizes) -> Prepared | Unusable:
    """Decode and cut a photograph; return the reason if it is unusable."""
    try:
        is_test = source.split == "test"
        halved = sizes.halve_jpeg and source.low is None
        photo = decode(source.path, grey=is_test, halved=halved)
        _check_size(photo, SMALLEST_TEST if is_test else sizes.crop, source.split)
        height, width = (side - side % sizes.scale for side in photo.shape[:2])
        photo = photo[:height, :width]
        low = None if source.low is None else read_low(source.low, photo, sizes.scale)
        return (_cut_test if is_test else _cut_tiles)(source, photo, low, sizes)
    except Unusable as reason:
        return reason


def _check_size(photo: Pixels, least: int, split: Split) -> None:
    # The minimum is a multiple of every scale, so it can be checked before the sides are cut.
    height, width = photo.shape[:2]
    if min(height, width) < least:
        what = "a test image needs" if split == "test" else "a tile has"
        raise Unusable("tiny", f", {width}x{height} pixels; {what} {least}x{least}")


def tile_corners(length: int, crop: int, scale: int = DEFAULT_SCALE) -> list[int]:
    """Evenly spread, least overlapping offsets of tiles over `length`, multiples of `scale`."""
    count = -(-length // crop)
    if count == 1:
        return [0]
    return [scale * round(i * (length - crop) / (count - 1) / scale) for i in range(count)]


def most_detailed(image: Pixels, height: int, width: int, scale: int = DEFAULT_SCALE) -> Box:
    """The window with the largest mean luma gradient; its corner is a multiple of `scale`.

    Args:
        image: (H, W, 3).
        height: height of the window, at most H.
        width: width of the window, at most W.
        scale: ratio of the two resolutions.
    """
    sums = np.pad(_gradient(image), ((1, 0), (1, 0))).cumsum(0, np.int64).cumsum(1)
    rows, columns = len(image) + 1 - height, image.shape[1] + 1 - width  # possible corners
    strips = sums[height::scale] - sums[:rows:scale]
    totals = strips[:, width::scale] - strips[:, :columns:scale]
    top, left = np.unravel_index(int(totals.argmax()), totals.shape)
    return scale * int(top), scale * int(left), height, width


def _cut_tiles(source: Source, photo: Pixels, low: Pixels | None, sizes: Sizes) -> Prepared:
    crop, scale = sizes.crop, sizes.scale
    height, width = photo.shape[:2]
    if low is None:
        low = shrink(photo, scale, sizes.downscaling)
    detail = _gradient(photo)
    high_tiles, low_tiles = [], []
    for top in tile_corners(height, crop, scale):
        for left in tile_corners(width, crop, scale):
            if detail[top : top + crop, left : left + crop].mean() >= _FLAT:
                high_tiles.append(cut(photo, (top, left, crop, crop)))
                low_tiles.append(_cut_low(low, (top, left, crop, crop), scale))
    if not high_tiles:
        raise Unusable("without detail")
    entry = TrainEntry(
        source.name, source.origin, source.sha256, len(high_tiles), source.low_sha256
    )
    return Prepared(entry, np.stack(high_tiles), np.stack(low_tiles))


def _cut_test(source: Source, photo: Pixels, low: Pixels | None, sizes: Sizes) -> Prepared:
    largest, scale = sizes.test_crop, sizes.scale
    height, width = photo.shape[:2]
    box = most_detailed(photo, min(height, largest), min(width, largest), scale)
    # A copy, as a view would keep the whole photograph in memory.
    high = cut(photo, box).copy()
    showcase = most_detailed(high, SHOWCASE, SHOWCASE, scale)
    entry = TestEntry(source.name, source.origin, source.sha256, box, showcase, source.low_sha256)
    if low is None:
        return Prepared(entry, high, shrink(high, scale, sizes.downscaling))
    return Prepared(entry, high, _cut_low(low, box, scale).copy())


def _cut_low(low: Pixels, box: Box, scale: int) -> Pixels:
    """The part of the low-resolution image for `box`, given in high-resolution pixels."""
    top, left, height, width = (side // scale for side in box)
    return cut(low, (top, left, height, width))


def _gradient(image: Pixels) -> NDArray[np.int16]:
    """Luma gradient: absolute differences to the right and downwards, (H, W)."""
    gradient = np.empty(image.shape[:2], np.int16)
    # In bands, as the unrounded luma of a whole photograph does not fit into caches.
    for top in range(0, len(image), _BAND):
        y = luma(image[top : top + _BAND + 1]).astype(np.int16)
        here = y[:_BAND]
        across = np.abs(np.diff(here, axis=1, append=here[:, -1:]))
        down = np.abs(np.diff(y, axis=0, append=y[-1:]))[: len(here)]
        gradient[top : top + len(here)] = across + down
    return gradient
