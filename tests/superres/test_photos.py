from __future__ import annotations

import os
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
    (duplicate,) = duplicates
    assert str(duplicate) == f"{photos / 'apple.png'}: duplicate of {tmp_path / 'other.png'}"
    assert (duplicate.split, duplicate.reason.kind) == ("train", "duplicate")


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
    assert [str(duplicate) for duplicate in duplicates] == [
        f"{tmp_path / 'train' / '0002.png'}: duplicate of {tmp_path / 'valid' / '0801.png'}"
    ]


def test_what_cannot_be_read_is_left_out(photos: Path, tmp_path: Path) -> None:
    for photo in photos.iterdir():
        shutil.copy(photo, tmp_path)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    for test_photos in (None, tmp_path):
        sources, left_out = folder_photos(photos if test_photos else tmp_path, test_photos)
        assert {source.name for source in sources} == {"apple", "birch", "cloud"}
        reasons = {Path(one.origin).name: str(one.reason) for one in left_out[:3]}
        assert reasons == {
            "dangling.png": "cannot be read (No such file or directory)",
            "loop.png": "cannot be read (Too many levels of symbolic links)",
            "pipe.png": "no regular file",
        }
        assert left_out[0].split == ("test" if test_photos else "train")


def test_grey_and_transparent_images_are_decoded_where_they_may_be(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)
    grey = Image.fromarray(colour).convert("L")
    half = Image.fromarray(np.full((12, 12), 128, np.uint8))
    seen = Image.fromarray(colour)
    for name, image in (("l", grey), ("la", grey.convert("LA")), ("bit", grey.convert("1"))):
        if name == "la":
            image.putalpha(half)
        image.save(tmp_path / f"{name}.png")
        expected = grey.convert("1").convert("RGB") if name == "bit" else grey.convert("RGB")
        assert (decode(tmp_path / f"{name}.png", grey=True) == np.asarray(expected)).all()
        with pytest.raises(Unusable, match="grey"):
            decode(tmp_path / f"{name}.png")
    seen.putalpha(half)
    seen.save(tmp_path / "rgba.png")
    for allowed in (False, True):
        assert (decode(tmp_path / "rgba.png", grey=allowed) == colour).all()


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
