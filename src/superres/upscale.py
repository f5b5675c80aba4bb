"""Enlarging a user's own images, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from superres.data import Pixels
from superres.errors import UserError
from superres.model import SCALE


def upscale_file(source: Path, target: Path, upscaler: Callable[[Pixels], Pixels]) -> None:
    """Enlarge the image in `source` fourfold and write it to `target`.

    Grey images stay grey; transparency is enlarged by bicubic interpolation.

    Args:
        source: any image that Pillow reads with 8 bits a channel.
        target: its suffix chooses the format.
        upscaler: (H, W, 3) to (4H, 4W, 3), uint8 RGB.

    Raises:
        UserError: `source` cannot be read or has more than 8 bits a channel.
    """
    try:
        with Image.open(source) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"cannot read {source} as an image") from error
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{source} has more than 8 bits a channel: convert it first")
    enlarged = upscale_image(image, upscaler)
    try:
        enlarged.save(target)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {target}: {error}") from error


def upscale_image(image: Image.Image, upscaler: Callable[[Pixels], Pixels]) -> Image.Image:
    """Enlarge an 8-bit image fourfold: to L, LA, RGB or RGBA, whichever holds what it has."""
    transparent = image.has_transparency_data
    grey = image.mode in ("1", "L", "LA", "La")
    rgb = image.convert("RGBA" if transparent else "RGB").convert("RGB")
    result = Image.fromarray(upscaler(np.asarray(rgb)))
    if grey:
        result = result.convert("L")
    if transparent:
        size = (SCALE * image.width, SCALE * image.height)
        alpha = image.convert("RGBA").getchannel("A").resize(size, Image.Resampling.BICUBIC)
        result.putalpha(alpha)
    return result
