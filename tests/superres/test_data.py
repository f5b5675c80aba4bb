from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from superres.data import Dataset, Manifest, TestEntry, TrainEntry
from superres.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five tiles in which every high-resolution 4x4 block has the value of its low pixel."""
    (tmp_path / "train").mkdir()
    random = np.random.default_rng(0)
    for name, tiles in (("a", 2), ("b", 3)):
        low = random.integers(0, 255, (tiles, 8, 8, 3), np.uint8)
        np.save(tmp_path / "train" / f"{name}-lr.npy", low)
        np.save(tmp_path / "train" / f"{name}-hr.npy", low.repeat(4, axis=1).repeat(4, axis=2))
    test = TestEntry("t", "t.png", "", (0, 0, 4, 4), (0, 0, 4, 4))
    entries = (TrainEntry("a", "a.png", "", 2), TrainEntry("b", "b.png", "", 3))
    Manifest(32, entries, (test,), ()).save(tmp_path)
    return tmp_path


def test_both_resolutions_show_the_same_place(folder: Path) -> None:
    for low, high in islice(Dataset(folder).batches(4, 5, 0), 20):
        assert low.shape == (4, 5, 5, 3)
        assert (high == low.repeat(4, axis=1).repeat(4, axis=2)).all()


def test_the_seed_decides_the_batches(folder: Path) -> None:
    dataset = Dataset(folder)
    first, again, other = (list(islice(dataset.batches(3, 4, seed), 8)) for seed in (1, 1, 2))
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    assert not all((a[0] == b[0]).all() for a, b in zip(first, other, strict=True))


def test_an_epoch_sees_every_tile_once(folder: Path) -> None:
    dataset = Dataset(folder)
    assert dataset.tiles == 5
    low, _ = next(dataset.batches(5, 8, 0))
    # Whole tiles in some orientation: their sums tell them apart.
    seen = sorted(int(tile.sum()) for tile in low)
    there = [np.load(folder / "train" / f"{n}-lr.npy") for n in "ab"]
    assert seen == sorted(int(tile.sum()) for tiles in there for tile in tiles)


def test_tiles_are_numbered_in_the_order_of_the_manifest(folder: Path) -> None:
    dataset = Dataset(folder)
    for kind in (0, 1):
        name = ("hr", "lr")[kind]
        there = np.concatenate([np.load(folder / "train" / f"{n}-{name}.npy") for n in "ab"])
        assert dataset.tiles == len(there)
        for number, tile in enumerate(there):
            assert (dataset.tile(number)[kind] == tile).all()
    for number in (-1, 5):
        with pytest.raises(IndexError):
            dataset.tile(number)


def test_a_patch_must_fit_into_a_tile(folder: Path) -> None:
    with pytest.raises(UserError, match="--patch 8 or less"):
        Dataset(folder).batches(1, 9, 0)


def test_data_from_before_the_scale_are_fourfold(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 1}))
    assert Dataset(folder).scale == 4
    path.write_text(json.dumps({**content, "scale": 3}))
    with pytest.raises(UserError, match="not 3x"):
        Dataset(folder)


def test_data_for_another_scale_are_refused(folder: Path) -> None:
    Dataset(folder).require_scale(4)
    with pytest.raises(UserError, match=r"prepared for 4x, but the network enlarges 2x.*--scale 2"):
        Dataset(folder).require_scale(2)


def test_folders_that_are_no_data(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest\.json"):
        Dataset(tmp_path / "missing")
    (folder / "train" / "b-hr.npy").unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        Dataset(folder)
    for content in ("{", "[]", '{"format": 1}'):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(UserError, match="damaged"):
            Dataset(folder)
    (folder / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="another version"):
        Dataset(folder)
