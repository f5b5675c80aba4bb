"""Opening image files of any 8-bit kind."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from superres.errors import UserError


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, open within; what Pillow makes of a bad one then is told as ours is.

    Raises:
        UserError: the file cannot be read, or has more than 8 bits a channel.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path} is no regular file")
    try:
        with warnings.catch_warnings():
            # An image is as large as its owner says; only the absurd is refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if is_deep(image):
                    raise UserError(f"{path} has more than 8 bits a channel: convert it first")
                yield image
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} is implausibly large") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's ways to reject a file
        raise UserError(f"cannot read {path} as an image") from error


def is_deep(image: Image.Image) -> bool:
    """Whether an image that was opened and not yet decoded has more than 8 bits a channel."""
    # Pillow cuts 16-bit colour down to 8 bits, and tells only its decoder.
    return image.mode.startswith(("I", "F")) or ";16" in str(getattr(image, "tile", ""))


def is_several(image: Image.Image) -> bool:
    """Whether a file holds several pictures, as an animation does."""
    # Cameras store previews as further pictures of MPO files, which are JPEG files.
    return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
