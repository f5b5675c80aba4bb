"""Given low-resolution images, such as those of DIV2K, beside their originals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from superres.data import Pixels
from superres.errors import UserError
from superres.photos import LeftOut, Source, Split, Unusable, decode, hash_or_reason, photo_files


def with_lows(
    sources: Sequence[Source], folders: Mapping[Split, Path], scale: int
) -> tuple[list[Source], list[LeftOut]]:
    """Find the low-resolution image of every photograph.

    At 4x, that of `0801.png` is `0801x4.png`, as in DIV2K, `0801_x4.png` or `0801-x4.png`, or has
    the same name. Extensions and the case of the x are ignored.

    Args:
        sources: the photographs.
        folders: folders of the images, by split.
        scale: scale of the images, which is the number in their names.

    Returns:
        The photographs with their low-resolution images, and those without.

    Raises:
        UserError: no such folder, or two images for one photograph.
    """
    named = {folder: _by_name(folder, scale) for folder in set(folders.values())}
    found: list[Source] = []
    left_out: list[LeftOut] = []
    for source in sources:
        folder = folders[source.split]
        low = named[folder].get(source.path.stem)
        digest = Unusable("without low resolution", f" in {folder}")
        checked = digest if low is None else hash_or_reason(low)
        if isinstance(checked, Unusable):
            left_out.append(LeftOut(source.origin, source.split, checked))
        else:
            found.append(replace(source, low=low, low_sha256=checked))
    return found, left_out


def read_low(path: Path, photo: Pixels, scale: int) -> Pixels:
    """Read the low-resolution image of `photo`.

    Raises:
        Unusable: it cannot be decoded, or is not smaller by the scale.
    """
    try:
        low = decode(path, grey=True, halved=False)
    except Unusable as reason:
        raise Unusable(f"low resolution {reason.kind}", str(reason)[len(reason.kind) :]) from reason
    height, width = (side // scale for side in photo.shape[:2])
    if low.shape[:2] != (height, width):
        raise Unusable(
            "low resolution of another size",
            f", {low.shape[1]}x{low.shape[0]} pixels instead of {width}x{height}",
        )
    return low


def _by_name(folder: Path, scale: int) -> dict[str, Path]:
    ending = re.compile(rf"[-_]?x{scale}$", re.IGNORECASE)
    named: dict[str, Path] = {}
    for path in photo_files(folder):
        name = ending.sub("", path.stem)
        if name in named:
            raise UserError(
                f"two low-resolution images of {name} in {folder}: "
                f"{named[name].name} and {path.name}"
            )
        named[name] = path
    return named
