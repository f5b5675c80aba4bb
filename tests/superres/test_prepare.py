from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.data import Dataset
from superres.errors import UserError
from superres.photos import folder_photos
from superres.prepare import Sizes, most_detailed, prepare, tile_corners
from superres.resize import shrink


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize(("length", "crop"), [(96, 96), (100, 96), (208, 96), (1356, 160)])
def test_tiles_cover_everything_on_the_grid(length: int, crop: int) -> None:
    corners = tile_corners(length, crop)
    covered = np.zeros(length, bool)
    for corner in corners:
        assert corner % 4 == 0
        assert corner + crop <= length
        covered[corner : corner + crop] = True
    assert covered.all()
    assert len(corners) == -(-length // crop)


def test_the_most_detailed_window_is_found() -> None:
    image = np.full((60, 80, 3), 90, np.uint8)
    image[24:40, 44:60] = np.random.default_rng(0).integers(0, 255, (16, 16, 3))
    assert most_detailed(image, 16, 16) == (24, 44, 16, 16)
    assert most_detailed(image, 60, 80) == (0, 0, 60, 80)


def test_a_data_folder(photos: Path, tmp_path: Path) -> None:
    sources, _ = folder_photos(photos, None)
    manifest = prepare(sources, tmp_path / "data", Sizes(crop=96), report=quiet)
    dataset = Dataset(tmp_path / "data")
    assert dataset.manifest == manifest
    assert dataset.tiles == 2 * 3 * 3
    (test,) = dataset.test_images()
    with Image.open(photos / f"{test.entry.name}.png") as original:
        assert (test.high == np.asarray(original)).all()
    assert (test.low == shrink(test.high, 4)).all()
    assert isinstance(test.high, np.memmap)
    for kind in ("original", "bicubic"):
        with Image.open(tmp_path / "data" / "crops" / f"{test.entry.name}-{kind}.png") as crop:
            assert crop.size == (128, 128)


def test_unusable_photographs_are_named_and_skipped(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "broken.png").write_text("no image")
    with Image.open(photos / "apple.png") as image:
        image.transpose(Image.Transpose.ROTATE_180).save(folder / "good.png")
        image.resize((60, 60)).save(folder / "small.png")
    Image.fromarray(np.full((200, 200, 3), (9, 10, 200), np.uint8)).save(folder / "blank.png")
    sources, _ = folder_photos(folder, photos)
    lines: list[str] = []
    manifest = prepare(sources, tmp_path / "data", Sizes(crop=96), report=lines.append)
    skipped = "\n".join(manifest.skipped)
    assert "broken.png: cannot be decoded" in skipped
    assert "small.png: tiny" in skipped
    assert "blank.png: without detail" in skipped
    assert [entry.name for entry in manifest.train] == ["good"]
    assert sum(line.startswith("skip") for line in lines) == 3


def test_nothing_usable_for_training(photos: Path, tmp_path: Path) -> None:
    sources = [s for s in folder_photos(photos, None)[0] if s.split == "test"]
    with pytest.raises(UserError, match="usable for training"):
        prepare(sources, tmp_path / "data", Sizes(), report=quiet)
    assert not (tmp_path / "data" / "manifest.json").exists()


def test_only_what_it_made_itself_is_replaced(photos: Path, tmp_path: Path) -> None:
    sources, _ = folder_photos(photos, None)
    precious = tmp_path / "mine" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("do not lose")
    with pytest.raises(UserError, match="not empty"):
        prepare(sources, precious.parent, Sizes(crop=96), report=quiet)
    assert precious.read_text() == "do not lose"
    prepare(sources, tmp_path / "data", Sizes(crop=96), report=quiet)
    prepare(sources, tmp_path / "data", Sizes(crop=112), report=quiet)
    assert json.loads((tmp_path / "data" / "manifest.json").read_text())["crop"] == 112


@pytest.mark.parametrize("scale", [2, 8])
def test_data_for_other_scales(photos: Path, tmp_path: Path, scale: int) -> None:
    sources, _ = folder_photos(photos, None)
    prepare(sources, tmp_path, Sizes(crop=96, scale=scale), report=quiet)
    dataset = Dataset(tmp_path)
    assert dataset.scale == scale
    for test in dataset.test_images():
        assert (test.low == shrink(test.high, scale)).all()
        assert all(side % scale == 0 for side in (*test.entry.box, *test.entry.showcase))
    low, high = next(dataset.batches(3, 10, 0))
    assert low.shape == (3, 10, 10, 3)
    assert high.shape == (3, 10 * scale, 10 * scale, 3)
    # Both show the same place: one is about the reduction of the other.
    difference = np.stack([shrink(np.ascontiguousarray(h), scale) for h in high]) - low.astype(int)
    assert np.abs(difference[:, 2:-2, 2:-2]).mean() < 1


@pytest.mark.parametrize("sizes", [(100, 768, 8), (98, 768, 8), (33, 768, 2)])
def test_sizes_are_multiples_of_the_scale(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match=f"multiple of {sizes[2]}"):
        Sizes(*sizes)


@pytest.mark.parametrize("sizes", [(98, 768), (28, 768), (160, 100), (160, 770)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        Sizes(*sizes)
