"""Finding and decoding photographs, and dividing them between training and test."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from superres.errors import UserError

Split = Literal["train", "test"]

EXTENSIONS = (".png", ".jpg", ".jpeg")

HALVED_FROM = 1000
"""JPEG files whose shorter side has at least this many pixels are halved to lose JPEG traces."""

# Photographs inside the wheels of scikit-image and scikit-learn. The two views of the
# motorcycle show one scene, so they stay on one side. Left out: drawings, grey and medical
# images, and the star field, which NIQE rightly finds unlike any photograph. Overexposed skies
# are for training only: whether NIQE counts such a block hangs on the last grey level.
_WHEEL_PHOTOS: tuple[tuple[str, str, Split], ...] = (
    ("skimage", "data/motorcycle_left.png", "train"),
    ("skimage", "data/motorcycle_right.png", "train"),
    ("skimage", "data/rocket.jpg", "train"),
    ("sklearn", "datasets/images/china.jpg", "train"),
    ("sklearn", "datasets/images/flower.jpg", "train"),
    ("skimage", "data/astronaut.png", "test"),
    ("skimage", "data/chelsea.png", "test"),
    ("skimage", "data/coffee.png", "test"),
)

# One photograph in so many is held out where the user names no test photographs.
_HOLD_OUT = 5


class Unusable(Exception):
    """A photograph that is named and skipped; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Source:
    """A photograph's file.

    Attributes:
        name: unique in a data folder; names the files made from it.
        path: the file.
        origin: the file as the manifest shows it.
        split: what it is for.
        sha256: of the file, hexadecimal.
    """

    name: str
    path: Path
    origin: str
    split: Split
    sha256: str


def wheel_photos() -> list[Source]:
    """The photographs that installed packages carry, with a fixed division.

    Raises:
        UserError: a package or a photograph is missing.
    """
    sources = []
    for package, resource, split in _WHEEL_PHOTOS:
        try:
            path = Path(str(files(package).joinpath(resource)))
        except ModuleNotFoundError:
            path = Path()
        if not path.is_file():
            raise UserError(
                f"the demonstration photographs are missing ({package}/{resource}): "
                'pip install "dsice[demo]", or name a folder with --photos'
            )
        sources.append(Source(path.stem, path, f"{package}/{resource}", split, _hash(path)))
    return sources


def folder_photos(photos: Path, test_photos: Path | None) -> tuple[list[Source], list[str]]:
    """The PNG and JPEG files of one or two folders, not of their subfolders.

    Without `test_photos`, whole photographs are held out for the test, chosen by the hashes of
    the files: one in five, at least one.

    Returns:
        The sources, and one line for every duplicate that was left out.

    Raises:
        UserError: no such folder, or too few photographs.
    """
    train = _list(photos)
    if test_photos is not None:
        return _named([("test", p) for p in _list(test_photos)] + [("train", p) for p in train])
    by_hash = sorted(train, key=_hash)
    held_out = by_hash[: max(1, len(by_hash) // _HOLD_OUT)]
    if len(train) < 2:
        raise UserError(f"{photos} needs two photographs at least: one to train, one to test")
    return _named([("test" if p in held_out else "train", p) for p in train])


def decode(path: Path, multiple: int = 4) -> NDArray[np.uint8]:
    """Pixels of a colour photograph, upright: (H, W, 3), RGB, sides multiples of `multiple`.

    Large JPEG files are halved (Lanczos), which removes the traces of their compression.

    Raises:
        Unusable: the file cannot be decoded, is grey, or is implausibly large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                is_jpeg = opened.format == "JPEG"
                if opened.mode not in ("RGB", "RGBA", "P", "CMYK", "YCbCr"):
                    raise Unusable("grey, or not of 8 bits")
                image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways to reject a file
        raise Unusable(f"cannot be decoded ({error})") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unusable("implausibly large") from error
    if is_jpeg and min(image.size) >= HALVED_FROM:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    if (pixels == pixels[:, :, :1]).all():
        raise Unusable("grey")
    height, width = pixels.shape[:2]
    return pixels[: height - height % multiple, : width - width % multiple]


def _list(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS)
    if not found:
        raise UserError(f"no PNG or JPEG file in {folder}")
    return found


def _named(paths: Iterable[tuple[Split, Path]]) -> tuple[list[Source], list[str]]:
    """Give every file a name of its own; leave out files with the same content."""
    seen: dict[str, Path] = {}
    names: set[str] = set()
    sources: list[Source] = []
    duplicates: list[str] = []
    for split, path in paths:
        digest = _hash(path)
        if digest in seen:
            duplicates.append(f"{path}: the same file as {seen[digest]}")
            continue
        seen[digest] = path
        name = _free_name(path.stem, names)
        names.add(name)
        sources.append(Source(name, path, str(path), split, digest))
    return sources, duplicates


def _free_name(stem: str, taken: Sequence[str] | set[str]) -> str:
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
