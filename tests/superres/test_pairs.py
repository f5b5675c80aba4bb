from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from superres.errors import UserError
from superres.pairs import find_pairs, read_pixels, read_size


def colours(height: int = 6, width: int = 9) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_names_are_matched_without_their_extensions(tmp_path: Path) -> None:
    results = touch(tmp_path / "r", "b.png", "a.PNG", "notes.txt", ".hidden.png")
    originals = touch(tmp_path / "o", "a.jpg", "b.tiff")
    assert find_pairs(results, originals) == [
        ("a", results / "a.PNG", originals / "a.jpg"),
        ("b", results / "b.png", originals / "b.tiff"),
    ]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (["0801x4.png", "0802x4.png"], ["0801.png", "0802.png"]),
        (["0801.png", "0802.png"], ["0801x4.png", "0802x4.png"]),
        (["0801_X4.png", "0802-x8.png"], ["0801.png", "0802.png"]),
        (["0801x4.png", "0802.png"], ["0801.png", "0802.png"]),
        (["ax4.png", "a.png"], ["ax4.png", "a.png"]),
        (["x4.png"], ["x4.png"]),
    ],
)
def test_a_scale_at_the_end_of_a_name_does_not_count(
    here: list[str], there: list[str], tmp_path: Path
) -> None:
    results, originals = touch(tmp_path / "r", *here), touch(tmp_path / "o", *there)
    found = find_pairs(results, originals)
    by_name = sorted(zip(here, there, strict=True))
    assert sorted((r.name, o.name) for _, r, o in found) == by_name


def test_a_result_is_not_paired_twice(tmp_path: Path) -> None:
    results = touch(tmp_path / "r", "0801.png", "0801x4.png")
    originals = touch(tmp_path / "o", "0801.png")
    with pytest.raises(UserError, match=r"1 image of .* without original in .*: 0801x4"):
        find_pairs(results, originals)
    results = touch(tmp_path / "r2", "0801x2.png", "0801x4.png")
    with pytest.raises(UserError, match=r"1 image of .* without original in .*: 0801x4"):
        find_pairs(results, originals)


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        (["a.png", "b.png"], ["a.png"], "1 image of {r} without original in {o}: b"),
        (["a.png"], ["a.png", "b.png"], "1 image of {o} without result in {r}: b"),
        (["a.png"], [f"{i}.png" for i in "abcde"], "4 images of {o} .*: b, c, d, .."),
        (["a.png", "a.jpg"], ["a.png"], "two images of one name in {r}: a.jpg and a.png"),
        (["a.txt"], ["a.png"], "no image in {r}"),
    ],
)
def test_what_has_no_partner_is_named(
    here: list[str], there: list[str], message: str, tmp_path: Path
) -> None:
    results, originals = touch(tmp_path / "r", *here), touch(tmp_path / "o", *there)
    with pytest.raises(UserError, match=message.format(r=results, o=originals)):
        find_pairs(results, originals)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find_pairs(tmp_path / "none", tmp_path)


def test_images_of_all_kinds_become_rgb(tmp_path: Path) -> None:
    rgb = colours()
    image = Image.fromarray(rgb)
    half = Image.fromarray(np.full(rgb.shape[:2], 128, np.uint8))
    transparent = image.copy()
    transparent.putalpha(half)
    kinds = {
        "rgb": image,
        "rgba": transparent,
        "grey": image.convert("L"),
        "grey-alpha": image.convert("LA"),
        "palette": image.convert("P"),
    }
    for name, kind in kinds.items():
        kind.save(tmp_path / f"{name}.png")
        pixels = read_pixels(tmp_path / f"{name}.png")
        assert pixels.shape == (6, 9, 3)
        assert pixels.dtype == np.uint8
        assert read_size(tmp_path / f"{name}.png") == (9, 6)
        assert (pixels == np.asarray(kind.convert("RGB"))).all()
    assert (read_pixels(tmp_path / "rgba.png") == rgb).all()


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_photographs_are_read_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(colours(16, 24)).save(tmp_path / "p.jpg", exif=exif)
    pixels = read_pixels(tmp_path / "p.jpg")
    assert read_size(tmp_path / "p.jpg") == pixels.shape[1::-1]
    assert (pixels.shape[0] > pixels.shape[1]) == (orientation == 6)


def test_what_is_no_8_bit_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    Image.fromarray(np.zeros((6, 9), np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(colours()).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    for name, message in (
        ("dangling", "as an image"),
        ("pipe", "no regular file"),
        ("text", "as an image"),
        ("deep", "more than 8 bits"),
        ("cut", "as an image"),
        ("none", "as an image"),
    ):
        with pytest.raises(UserError, match=message):
            read_pixels(tmp_path / f"{name}.png")
