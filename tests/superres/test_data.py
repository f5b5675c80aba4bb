from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from superres.data import UNFINISHED, Dataset, Manifest, TestEntry, TrainEntry
from superres.errors import UserError

LOWS = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), np.uint8)
HIGHS = LOWS.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five tiles in which every high-resolution 4x4 block has the value of its low pixel."""
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "lr.npy", LOWS)
    np.save(tmp_path / "train" / "hr.npy", HIGHS)
    test = TestEntry("t", "t.png", "", (0, 0, 4, 4), (0, 0, 4, 4))
    entries = (TrainEntry("a", "a.png", "", 2), TrainEntry("b", "b.png", "", 3))
    Manifest(32, entries, (test,), ()).save(tmp_path)
    return tmp_path


def test_tiles_are_numbered_in_the_order_of_the_manifest(folder: Path) -> None:
    dataset = Dataset(folder)
    assert dataset.tiles == 5
    for number in range(5):
        high, low = dataset.tile(number)
        assert (high == HIGHS[number]).all()
        assert (low == LOWS[number]).all()
    for number in (-1, 5):
        with pytest.raises(IndexError):
            dataset.tile(number)


def test_tiles_must_be_those_of_the_manifest(folder: Path) -> None:
    path = folder / "train" / "hr.npy"
    np.save(path, HIGHS[:4])
    with pytest.raises(UserError, match="not those of its manifest"):
        Dataset(folder)
    np.save(path, HIGHS)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(UserError, match=r"hr\.npy is missing or damaged"):
        Dataset(folder)


def test_a_folder_that_was_not_finished_is_no_data(folder: Path) -> None:
    (folder / "manifest.json").rename(folder / UNFINISHED)
    with pytest.raises(UserError, match="was never finished"):
        Dataset(folder)


def test_data_for_a_scale_that_does_not_exist(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "scale": 3}))
    with pytest.raises(UserError, match="not 3x"):
        Dataset(folder)


def test_data_for_another_scale_are_refused(folder: Path) -> None:
    Dataset(folder).require_scale(4)
    with pytest.raises(UserError, match=r"prepared for 4x, but the network enlarges 2x.*--scale 2"):
        Dataset(folder).require_scale(2)


def test_folders_that_are_no_data(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest\.json"):
        Dataset(tmp_path / "missing")
    (folder / "train" / "hr.npy").unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        Dataset(folder)
    for content in ("{", "[]", '{"format": 4}'):
        (folder / "manifest.json").write_text(content)
        with pytest.raises(UserError, match="damaged"):
            Dataset(folder)
    (folder / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="another version"):
        Dataset(folder)
