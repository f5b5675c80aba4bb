"""Matching results and originals in two folders, and reading 8-bit images."""

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

# EXIF orientations (tag 274) that swap rows and columns.
_ORIENTATION, _LYING = 274, (5, 6, 7, 8)

# The scale at the end of a name: x4, X4, _x4, -x4.
_SCALE = re.compile(r"[-_]?x[1-9]$", re.IGNORECASE)

# Maximum number of names in a message.
_SHOWN = 3


def find_pairs(results: Path, originals: Path) -> list[tuple[str, Path, Path]]:
    """Match the images of two folders by their names without extension.

    Exact matches come first. For other names, a scale at the end is ignored: `0801x4.png` belongs
    to `0801.png`, as in DIV2K and in challenges.

    Returns:
        Name of the original, result and original, sorted by name.

    Raises:
        UserError: a folder is missing or empty, a name occurs twice in one of them, or an image has
            no partner, as a part of the images does not represent the whole set.
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
    """Read the pixels of an image, upright: (H, W, 3), RGB.

    A grey image has three equal channels. Transparency is ignored and the colours below it are
    used, as in `superres upscale`.

    Raises:
        UserError: the file cannot be read, or has more than 8 bits per channel.
    """
    with opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
        return np.asarray(upright.convert("RGB"))


def read_size(path: Path) -> tuple[int, int]:
    """Read width and height of an image, upright, without decoding it.

    Raises:
        UserError: as for `read_pixels`, as far as visible in the file header.
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
    """Rename images without a partner that have one except for the scale at the end."""
    for name in sorted(named.keys() - partners.keys()):
        short = _SCALE.sub("", name)
        if short in partners and short not in named:
            named[short] = named.pop(name)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, .."
