from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.errors import UserError
from superres.resize import enlarge
from superres.upscale import upscale_file, upscale_image


def bicubic(
    image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return enlarge(image, 4)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("RGB", "RGB"), ("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("CMYK", "RGB")],
)
def test_every_kind_of_image(mode: str, expected: str) -> None:
    result = upscale_image(Image.new("RGB", (6, 5), (200, 100, 50)).convert(mode), bicubic)
    assert result.mode == expected
    assert result.size == (24, 20)


def test_transparency_is_enlarged_too() -> None:
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:, 4:] = 255
    image = Image.new("RGB", (8, 8), (10, 20, 30))
    image.putalpha(Image.fromarray(alpha))
    enlarged = np.asarray(upscale_image(image, bicubic).getchannel("A"))
    assert enlarged[:, :12].max() < 10
    assert enlarged[:, 20:].min() > 245


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.new("I;16", (4, 4)).save(tmp_path / "deep.png")
    for name, reason in (
        ("missing.png", "cannot read"),
        ("text.png", "cannot read"),
        ("deep.png", "more than 8 bits"),
    ):
        with pytest.raises(UserError, match=reason):
            upscale_file(tmp_path / name, tmp_path / "out.png", bicubic)
