"""Photographs that wheels carry, and what can be done to them the same way everywhere."""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from superres.color import luma
from superres.metrics import SHAVE
from superres.resize import enlarge, shrink

Pixels = NDArray[np.uint8]

_FILES = {
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}


def photograph(name: str) -> Pixels:
    """(H, W, 3); a name that is not in the table is that of a PNG file of scikit-image."""
    package, path = _FILES.get(name, ("skimage", f"data/{name}.png"))
    with (files(package) / path).open("rb") as file, Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def whole(image: Pixels) -> Pixels:
    """Cropped at the bottom and on the right to sides that are multiples of 4."""
    return image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4]


def bicubic(image: Pixels) -> Pixels:
    return enlarge(shrink(whole(image), 4), 4)


def jpeg(image: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(whole(image)).save(file, "JPEG", quality=20)
    with Image.open(file) as stored:
        return np.asarray(stored.convert("RGB"))


def noisy(image: Pixels) -> Pixels:
    clean = whole(image).astype(int)
    noise = np.random.default_rng(0).integers(-40, 41, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8)


def blurred(image: Pixels) -> Pixels:
    """Means of 5x5 pixels in whole numbers."""
    clean = whole(image).astype(int)
    padded = np.pad(clean, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    height, width, _ = clean.shape
    parts = [padded[r : r + height, c : c + width] for r in range(5) for c in range(5)]
    total: NDArray[np.int64] = np.sum(parts, axis=0)
    return ((2 * total + 25) // 50).astype(np.uint8)


def clipped(image: Pixels) -> Pixels:
    """The upper left corner white: two of NIQE's blocks without any contrast."""
    changed = whole(image).copy()
    changed[:110, :215] = 255
    return changed


def judged(image: Pixels) -> NDArray[np.float64]:
    """What the metrics look at."""
    return luma(image)[SHAVE:-SHAVE, SHAVE:-SHAVE]
