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
    """Open an image file; Pillow's errors within the context become `UserError`.

    Raises:
        UserError: the file cannot be read, or has more than 8 bits a channel.
    """
    if path.exists() and not path.is_file():  # opening a pipe would block
        raise UserError(f"{path} is no regular file")
    try:
        with warnings.catch_warnings():
            # Users may have large images; only absurd sizes are refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if is_deep(image):
                    raise UserError(f"{path} has more than 8 bits a channel: convert it first")
                yield image
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} is implausibly large") from error
    except (OSError, SyntaxError, ValueError) as error:  # raised by Pillow for invalid files
        raise UserError(f"cannot read {path} as an image") from error


def is_deep(image: Image.Image) -> bool:
    """Whether an image, opened but not decoded, has more than 8 bits per channel."""
    # Pillow reduces 16-bit colour to 8 bits, and only its decoder has the information.
    return image.mode.startswith(("I", "F")) or ";16" in str(getattr(image, "tile", ""))


def is_several(image: Image.Image) -> bool:
    """Whether a file contains several pictures, such as an animation."""
    # Cameras store previews as further pictures of MPO files, which are JPEG files.
    return image.format != "MPO" and getattr(image, "n_frames", 1) > 1
