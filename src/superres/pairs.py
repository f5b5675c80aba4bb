"""Finding results and originals in two folders, and reading images of any 8-bit kind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from superres.errors import UserError
from superres.images import opened

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""What counts as an image in a folder."""

# EXIF orientations (tag 274) in which rows are columns.
_ORIENTATION, _LYING = 274, (5, 6, 7, 8)

# The scale at the end of a name: x4, X4, _x4, -x4.
_SCALE = re.compile(r"[-_]?x[1-9]$", re.IGNORECASE)

# So many names are listed in a message.
_SHOWN = 3


def find_pairs(results: Path, originals: Path) -> list[tuple[str, Path, Path]]:
    """Match the images of two folders by their names without extension.

    Names that match as they are come first. Of the others, the scale at the end does not count:
    `0801x4.png` belongs to `0801.png`, as in DIV2K and in what challenges ask for.

    Returns:
        Name of the original, result and original, sorted by name.

    Raises:
        UserError: a folder is missing or empty, a name occurs twice in one of them, or an image
            has no partner: a figure of some of the images is none of the whole set.
    """
    found, references = image_files(results), image_files(originals)
    _drop_scales(found, references)
    _drop_scales(references, found)
    for here, there, names in (
        (results, originals, sorted(found.keys() - references.keys())),
        (originals, results, sorted(references.keys() - found.keys())),
    ):
        if names:
            count = "1 image" if len(names) == 1 else f"{len(names)} images"
            partner = "original" if here == results else "result"
            raise UserError(f"{count} of {here} without {partner} in {there}: {_some(names)}")
    return [(name, found[name], references[name]) for name in sorted(found)]


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Pixels of an image, upright: (H, W, 3), RGB.

    A grey image has three equal channels. Transparency is left out: the colours are those below
    it, as `superres upscale` treats them.

    Raises:
        UserError: the file cannot be read, or has more than 8 bits a channel.
    """
    with opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
        return np.asarray(upright.convert("RGB"))


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of an image, upright, without decoding it.

    Raises:
        UserError: as for `read_pixels`, as far as the head of the file tells.
    """
    with opened(path) as image:
        width, height = image.size
        lying = image.getexif().get(_ORIENTATION) in _LYING
    return (height, width) if lying else (width, height)


def image_files(folder: Path) -> dict[str, Path]:
    """The images of a folder, not of its subfolders, by their names without extension, sorted.

    Raises:
        UserError: no such folder, no image in it, or two of one name.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    named: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
            continue
        if path.stem in named:
            raise UserError(
                f"two images of one name in {folder}: {named[path.stem].name} and {path.name}"
            )
        named[path.stem] = path
    if not named:
        raise UserError(f"no image in {folder}")
    return named


def _drop_scales(named: dict[str, Path], partners: Mapping[str, Path]) -> None:
    """Rename images without a partner that have one but for the scale at the end."""
    for name in sorted(named.keys() - partners.keys()):
        short = _SCALE.sub("", name)
        if short in partners and short not in named:
            named[short] = named.pop(name)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, .."
