"""Finding and decoding photographs, and dividing them between training and test."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from superres.errors import UserError
from superres.files import sha256
from superres.images import is_deep, is_several
from superres.progress import Progress

Split = Literal["train", "test"]

EXTENSIONS = (".png", ".jpg", ".jpeg")

HALVED_FROM = 1000
"""JPEG files whose shorter side has at least this many pixels are halved to lose JPEG traces."""

# Photographs inside the wheels of scikit-image and scikit-learn. The two views of the motorcycle
# show one scene, so they are in the same split. Left out: drawings, grey and medical images, and
# the star field, which NIQE rightly finds unlike any photograph. Overexposed skies are for training
# only: the last grey level decides whether NIQE counts such a block.
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

# One in this many photographs is held out if the user names no test photographs.
_HOLD_OUT = 5

# Raised by Pillow for invalid files; the last one for broken TIFF files under any name.
_REJECTIONS = (OSError, SyntaxError, ValueError, TypeError)

# Number of files hashed in parallel, as parallel file systems are slow for one file but not many.
_READERS = 8

# Rows processed at once, so that the results stay in the processor's caches.
_BAND = 64


class Unusable(Exception):
    """A photograph that is reported and skipped; the message is the reason.

    Args:
        kind: the reason in a few words, the same for all photographs that it applies to.
        detail: further text after it.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind

    def __str__(self) -> str:
        return "".join(self.args)


@dataclass(frozen=True, slots=True)
class Source:
    """A photograph's file.

    Attributes:
        name: unique in a data folder; also the name of files made from it.
        path: the file.
        origin: the file as shown in the manifest.
        split: training or test.
        sha256: hash of the file, hexadecimal.
        low: the file of its low-resolution image; None: it is made from the photograph.
        low_sha256: hash of that file.
    """

    name: str
    path: Path
    origin: str
    split: Split
    sha256: str
    low: Path | None = None
    low_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An unusable photograph: its file, split and reason."""

    origin: str
    split: Split
    reason: Unusable

    def __str__(self) -> str:
        return f"{self.origin}: {self.reason}"


def wheel_photos() -> list[Source]:
    """The photographs in installed packages, with a fixed split.

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
        sources.append(Source(path.stem, path, f"{package}/{resource}", split, sha256(path)))
    return sources


def folder_photos(photos: Path, test_photos: Path | None) -> tuple[list[Source], list[LeftOut]]:
    """Find the PNG and JPEG files of one or two folders, without subfolders.

    Without `test_photos`, one photograph in five, at least one, is held out for the test, chosen by
    the hashes of the files. Every file is read once to compute its hash.

    Returns:
        The sources, and the files left out: duplicates and unreadable ones.

    Raises:
        UserError: no such folder, or too few photographs.
    """
    train = photo_files(photos)
    test = [] if test_photos is None else photo_files(test_photos)
    digests = _hash_all([*test, *train])
    if test:
        return _named([("test", p) for p in test] + [("train", p) for p in train], digests)
    by_hash = sorted(
        (path for path in train if isinstance(digests[path], str)),
        key=lambda path: str(digests[path]),
    )
    if len(by_hash) < 2:
        raise UserError(f"{photos} needs two photographs at least: one to train, one to test")
    held_out = set(by_hash[: max(1, len(by_hash) // _HOLD_OUT)])
    return _named([("test" if p in held_out else "train", p) for p in train], digests)


def read_size(path: Path, *, halved: bool = True) -> tuple[int, int] | None:
    """Height and width of the result of `decode`, in either order; None if it would fail."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                factor = 2 if halved and _is_halved(opened) else 1
                return opened.height // factor, opened.width // factor
    except (*_REJECTIONS, Image.DecompressionBombError):
        return None


def decode(path: Path, *, grey: bool = False, halved: bool = True) -> NDArray[np.uint8]:
    """Decode a photograph, upright: (H, W, 3), RGB.

    Transparency is ignored and the colours below it are used.

    Args:
        path: the file.
        grey: whether it may be grey, with three equal channels.
        halved: whether large JPEG files are halved (Lanczos), which removes the traces of their
            compression.

    Raises:
        Unusable: the file cannot be decoded, is grey, has more than 8 bits per channel or several
            pictures, or is implausibly large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                _check_kind(opened, grey)
                is_halved = halved and _is_halved(opened)
                ImageOps.exif_transpose(opened, in_place=True)
                image: Image.Image = opened
                if opened.has_transparency_data:
                    image = image.convert("RGBA")
                pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except _REJECTIONS as error:
        raise Unusable("cannot be decoded", f" ({error})") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unusable("implausibly large") from error
    if is_halved:
        half = pixels.shape[1] // 2, pixels.shape[0] // 2
        pixels = np.asarray(Image.fromarray(pixels).resize(half, Image.Resampling.LANCZOS))
    if not grey:
        # Nearly every photograph has colour in its first rows.
        bands = np.array_split(pixels, range(_BAND, len(pixels), _BAND))
        if all((band == band[:, :, :1]).all() for band in bands):
            raise Unusable("grey")
    return pixels


def _check_kind(image: Image.Image, grey: bool) -> None:
    if is_deep(image):
        raise Unusable("more than 8 bits a channel")
    if is_several(image):
        raise Unusable("several pictures", ", such as an animation")
    if image.mode in ("1", "L", "LA", "La"):
        if not grey:
            raise Unusable("grey")
    elif image.mode not in ("RGB", "RGBA", "P", "CMYK", "YCbCr"):
        raise Unusable("neither RGB nor grey", f" but {image.mode}")


def _is_halved(image: Image.Image) -> bool:
    # MPO files are JPEG files with previews.
    return image.format in ("JPEG", "MPO") and min(image.size) >= HALVED_FROM


def photo_files(folder: Path) -> list[Path]:
    """The PNG and JPEG files of a folder, sorted.

    Raises:
        UserError: no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.is_dir())
    if not found:
        raise UserError(f"no PNG or JPEG file in {folder}")
    return found


def _named(
    paths: Iterable[tuple[Split, Path]], digests: Mapping[Path, str | Unusable]
) -> tuple[list[Source], list[LeftOut]]:
    """Give every file a unique name; leave out duplicates."""
    seen: dict[str, Path] = {}
    names: set[str] = set()
    sources: list[Source] = []
    left_out: list[LeftOut] = []
    for split, path in paths:
        digest = digests[path]
        if isinstance(digest, Unusable):
            left_out.append(LeftOut(str(path), split, digest))
            continue
        if digest in seen:
            duplicate = Unusable("duplicate", f" of {seen[digest]}")
            left_out.append(LeftOut(str(path), split, duplicate))
            continue
        seen[digest] = path
        name = _free_name(path.stem, names)
        names.add(name)
        sources.append(Source(name, path, str(path), split, digest))
    return sources, left_out


def _free_name(stem: str, taken: Sequence[str] | set[str]) -> str:
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def hash_or_reason(path: Path) -> str | Unusable:
    """SHA-256 of a file, or the reason why it cannot be read."""
    try:
        # Reading a pipe would block.
        return sha256(path) if stat.S_ISREG(path.stat().st_mode) else Unusable("no regular file")
    except OSError as error:
        return Unusable("cannot be read", f" ({error.strerror})")


def _hash_all(paths: Sequence[Path]) -> dict[Path, str | Unusable]:
    digests: dict[Path, str | Unusable] = {}
    with (
        ThreadPoolExecutor(_READERS) as pool,
        Progress("files read", len(paths)) as progress,
    ):
        for path, digest in zip(paths, pool.map(hash_or_reason, paths), strict=True):
            digests[path] = digest
            progress.advance()
    return digests
