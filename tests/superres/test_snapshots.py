from __future__ import annotations

from pathlib import Path

import pytest
import torch

from superres.errors import UserError
from superres.snapshots import Snapshots
from tests.superres.conftest import files_of_at_most

FACTS = {"steps": 100, "weights": {"mse": 1.0}, "clip": None}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "s.pt", FACTS, 1e9)
    assert snapshots.load("cpu") is None
    state = {"step": 7, "networks": {"a": {"w": torch.arange(3.0)}}, "limit": None}
    snapshots.save(state)
    assert list(tmp_path.iterdir()) == [tmp_path / "s.pt"]
    loaded = Snapshots(tmp_path / "s.pt", FACTS, 1e9).load("cpu")
    assert loaded is not None
    assert torch.equal(loaded.pop("networks")["a"]["w"], torch.arange(3.0))
    assert loaded == {"step": 7, "limit": None}
    snapshots.remove()
    assert not list(tmp_path.iterdir())


def test_half_a_snapshot_is_none(tmp_path: Path) -> None:
    (tmp_path / "s.pt.partial").write_bytes(b"half")
    snapshots = Snapshots(tmp_path / "s.pt", FACTS, 1e9)
    assert snapshots.load("cpu") is None
    snapshots.save({"step": 1})
    assert snapshots.load("cpu") == {"step": 1}


@pytest.mark.parametrize("size", [4, 100_000])  # torch reports the two in different ways
def test_a_full_disk_keeps_the_earlier_one_and_nothing_else(tmp_path: Path, size: int) -> None:
    snapshots = Snapshots(tmp_path / "s.pt", {}, 1e9)
    snapshots.save({"step": 1})
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large"):
        snapshots.save({"step": 2, "weights": [torch.zeros(size) for _ in range(3)]})
    assert list(tmp_path.iterdir()) == [tmp_path / "s.pt"]
    assert snapshots.load("cpu") == {"step": 1}


def test_after_a_failure_the_next_one_is_due_after_the_pause(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "s.pt", {}, 1e9)
    snapshots._last = -1e10
    assert snapshots.due
    with files_of_at_most(10), pytest.raises(OSError, match="File too large"):
        snapshots.save({"step": 1})
    assert not snapshots.due


def test_it_is_due_after_its_pause(tmp_path: Path) -> None:
    assert Snapshots(tmp_path / "s.pt", FACTS, 0).due
    assert not Snapshots(tmp_path / "s.pt", FACTS, 1e9).due


@pytest.mark.parametrize("other", [{"steps": 200}, {"weights": {"mse": 2.0}}, {"more": 1}])
def test_that_of_another_training_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    Snapshots(tmp_path / "s.pt", FACTS, 0).save({"step": 1})
    (name,) = other
    with pytest.raises(UserError, match=rf"s\.pt is of a training run with {name} "):
        Snapshots(tmp_path / "s.pt", {**FACTS, **other}, 0).load("cpu")


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_damaged_one_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"s\.pt is damaged: remove it"):
        Snapshots(tmp_path / "s.pt", FACTS, 0).load("cpu")
