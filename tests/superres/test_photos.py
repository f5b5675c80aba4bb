from __future__ import annotations

import shutil
import struct
from pathlib import Path
from zlib import compress as deflate
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from superres import photos as module
from superres.errors import UserError
from superres.photos import Unusable, decode, folder_photos, read_size, wheel_photos


def test_wheel_photos_are_all_usable_and_divided() -> None:
    sources = wheel_photos()
    assert {s.split for s in sources} == {"train", "test"}
    assert len({s.name for s in sources}) == len(sources)
    # The two views of one scene must not be divided.
    assert len({s.split for s in sources if "motorcycle" in s.name}) == 1
    for source in sources:
        assert min(decode(source.path).shape[:2]) >= 200


def test_missing_packages_are_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHEEL_PHOTOS", (("no_such_package", "data/a.png", "train"),))
    with pytest.raises(UserError, match=r'pip install "dsice\[demo\]"'):
        wheel_photos()


def test_whole_photographs_are_held_out(photos: Path) -> None:
    sources, duplicates = folder_photos(photos, None)
    assert [s.split for s in sources].count("test") == 1
    assert not duplicates
    assert folder_photos(photos, None)[0] == sources


def test_the_same_photograph_never_serves_twice(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "apple.png", tmp_path / "other.png")
    sources, duplicates = folder_photos(photos, tmp_path)
    assert (sources[0].name, sources[0].split) == ("other", "test")
    assert len(sources) == 3
    assert len(duplicates) == 1
    assert "apple.png" in duplicates[0]


def test_files_of_the_same_name_get_names_of_their_own(photos: Path, tmp_path: Path) -> None:
    with Image.open(photos / "apple.png") as image:
        image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "apple.png")
    sources, _ = folder_photos(photos, tmp_path)
    assert [s.name for s in sources] == ["apple", "apple-2", "birch", "cloud"]


def test_folders_without_enough_photographs(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        folder_photos(tmp_path / "missing", None)
    with pytest.raises(UserError, match="no PNG or JPEG"):
        folder_photos(tmp_path, None)
    shutil.copy(photos / "apple.png", tmp_path)
    with pytest.raises(UserError, match="two photographs"):
        folder_photos(tmp_path, None)


def test_sizes_are_told_without_decoding(photos: Path, tmp_path: Path) -> None:
    assert read_size(photos / "apple.png") == (208, 240)
    Image.new("RGB", (1200, 1000)).save(tmp_path / "halved.jpg")
    assert read_size(tmp_path / "halved.jpg") == (500, 600)
    (tmp_path / "text.png").write_text("no image")
    assert read_size(tmp_path / "text.png") is None


def test_a_part_of_a_collection_made_of_links(photos: Path, tmp_path: Path) -> None:
    for folder, names in (("train", ("0001", "0002")), ("valid", ("0801",))):
        (tmp_path / folder).mkdir()
        for name, photo in zip(names, sorted(photos.iterdir())[folder == "valid" :], strict=False):
            (tmp_path / folder / f"{name}.png").symlink_to(photo)
    sources, duplicates = folder_photos(tmp_path / "train", tmp_path / "valid")
    assert [(s.name, s.split) for s in sources] == [("0801", "test"), ("0001", "train")]
    assert duplicates == [
        f"{tmp_path / 'train' / '0002.png'}: the same file as {tmp_path / 'valid' / '0801.png'}"
    ]


def test_sides_are_cut_to_multiples_of_four(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (23, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (decode(tmp_path / "a.png") == pixels[:20, :28]).all()


def test_large_jpeg_files_are_halved(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1000, 1200, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").shape == (500, 600, 3)
    Image.fromarray(pixels[:900]).save(tmp_path / "b.jpg")
    assert decode(tmp_path / "b.jpg").shape == (900, 1200, 3)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[274] = 6  # orientation: turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg").shape == (40, 24, 3)


def test_what_is_unusable_is_told(tmp_path: Path, photos: Path) -> None:
    grey = Image.fromarray(np.arange(144, dtype=np.uint8).reshape(12, 12))
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "grey-rgb.png")
    (tmp_path / "text.png").write_text("no image")
    whole = (photos / "apple.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    colour = np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)
    images = [Image.fromarray(colour), Image.fromarray(colour[::-1])]
    images[0].save(tmp_path / "moving.png", save_all=True, append_images=images[1:])
    Image.fromarray(np.full((12, 12), 999, np.uint16)).save(tmp_path / "deep-grey.png")
    # 16-bit colour, which Pillow reads but does not write: a head, and one row after the other.
    rows = b"".join(b"\0" + bytes(range(72)) for _ in range(12))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 12, 12, 16, 2, 0, 0, 0)), (b"IDAT", deflate(rows)))
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))
            for kind, data in (*chunks, (b"IEND", b""))
        )
    )
    with Image.open(tmp_path / "deep.png") as image:  # it is a good file
        assert image.convert("RGB").getpixel((0, 0)) == (0, 2, 4)
    for name, reason in (
        ("grey.png", "grey"),
        ("grey-rgb.png", "grey"),
        ("text.png", "cannot be decoded"),
        ("half.png", "cannot be decoded"),
        ("moving.png", "several pictures"),
        ("deep-grey.png", "more than 8 bits"),
        ("deep.png", "more than 8 bits"),
    ):
        with pytest.raises(Unusable, match=reason):
            decode(tmp_path / name)
