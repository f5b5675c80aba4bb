from __future__ import annotations

import json
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
