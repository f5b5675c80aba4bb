from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superres.arrays import ArrayWriter, write_array

BLOCKS = [np.random.default_rng(n).integers(0, 255, (n, 5, 3), np.uint8) for n in (2, 0, 1000)]


def test_what_is_appended_is_read_by_numpy(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a.npy", (5, 3)) as writer:
        for block in BLOCKS:
            writer.append(block)
    whole = np.concatenate(BLOCKS)
    assert (np.load(tmp_path / "a.npy", mmap_mode="r") == whole).all()
    # Another order in memory is none in the file.
    write_array(tmp_path / "b.npy", np.asfortranarray(whole))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_what_does_not_fit_is_refused_and_the_file_stays_empty(tmp_path: Path) -> None:
    def write(*blocks: Any) -> None:
        with ArrayWriter(tmp_path / "a.npy", (5, 3)) as writer:
            for block in blocks:
                writer.append(block)

    for wrong in (BLOCKS[0][:, :4], BLOCKS[0].astype(np.uint16)):
        with pytest.raises(ValueError, match="does not go on"):
            write(BLOCKS[0], wrong)
        assert len(np.load(tmp_path / "a.npy")) == 0


def test_a_full_disk_is_told_by_its_number() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        write_array(full, BLOCKS[2])
