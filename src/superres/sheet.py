"""Contact sheets: regions of test images side by side, enlarged by several methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

# Pixels are shown twice as large, as the details to judge are small.
_ZOOM = 2
_GAP, _TEXT = 8, 18


def contact_sheet(rows: Sequence[tuple[str, Mapping[str, Pixels]]]) -> Image.Image:
    """Draw a sheet with one row per image and one column per method.

    Args:
        rows: the name of an image, and the same region of it, (H, W, 3), by method. All regions
            have the same size, all rows the same columns.
    """
    names = list(rows[0][1])
    height, width = (side * _ZOOM for side in rows[0][1][names[0]].shape[:2])
    size = (
        _GAP + len(names) * (width + _GAP),
        _GAP + len(rows) * (_TEXT + height + _GAP),
    )
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for row, (name, regions) in enumerate(rows):
        for column, what in enumerate(names):
            left = _GAP + column * (width + _GAP)
            top = _GAP + row * (_TEXT + height + _GAP)
            title = _fitting(f"{name}: {what}" if column == 0 else what, width, font)
            pen.text((left, top), title, "black", font)
            region = Image.fromarray(regions[what])
            enlarged = region.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left, top + _TEXT))
    return sheet


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > width and len(text) > 1:
        text = text[1:]
    return text
