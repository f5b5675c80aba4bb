from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from superres.data import Dataset, Pixels
from superres.errors import UserError
from superres.patches import Batch, Patches


class Blocks:
    """Five tiles of 8x8 in which every high-resolution 4x4 block has the value of its low pixel."""

    scale, tiles = 4, 5
    manifest = SimpleNamespace(crop=32)

    def __init__(self) -> None:
        self.lows = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), np.uint8)

    def tile(self, number: int) -> tuple[Pixels, Pixels]:
        low: Pixels = self.lows[number]
        return low.repeat(4, axis=0).repeat(4, axis=1), low


@pytest.fixture
def dataset() -> Dataset:
    return cast(Dataset, Blocks())


def same(a: Batch, b: Batch) -> bool:
    return bool((a.low == b.low).all() and (a.high == b.high).all() and a.shift == b.shift)


def test_both_resolutions_show_the_same_place(dataset: Dataset) -> None:
    patches = Patches(dataset, 4, 5, 0)
    for step in range(1, 20):
        low, high, shift = patches.read(step)
        assert low.shape == (4, 5, 5, 3)
        assert (high == low.repeat(4, axis=1).repeat(4, axis=2)).all()
        assert all(0 <= s < 4 for s in shift)


def test_the_seed_and_the_step_decide_the_batch(dataset: Dataset) -> None:
    first, again, other = (Patches(dataset, 3, 4, seed) for seed in (1, 1, 2))
    backwards = {step: again.read(step) for step in range(8, 0, -1)}
    assert all(same(first.read(step), backwards[step]) for step in range(1, 9))
    assert not all(same(first.read(step), other.read(step)) for step in range(1, 9))
    assert not any(same(first.read(a), first.read(b)) for a, b in pairwise(range(1, 9)))


def test_a_stream_can_begin_anywhere(dataset: Dataset) -> None:
    patches = Patches(dataset, 3, 4, 1)
    for first, last in ((1, 7), (5, 9), (3, 3), (4, 3)):
        batches = list(patches.stream(first, last))
        assert len(batches) == last - first + 1
        for step, batch in enumerate(batches, first):
            assert same(batch, patches.read(step))


def test_what_cannot_be_read_ends_the_stream(dataset: Dataset) -> None:
    def broken(number: int) -> tuple[Pixels, Pixels]:
        raise OSError("the disk is gone")

    dataset.tile = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk"):
        next(Patches(dataset, 3, 4, 1).stream(1, 100))


def test_a_round_sees_every_tile_once(dataset: Dataset) -> None:
    # Whole tiles in some orientation: their sums tell them apart. Two steps, two rounds.
    patches = Patches(dataset, 5, 8, 0)
    there = sorted(int(dataset.tile(number)[1].sum()) for number in range(5))
    orders = []
    for step in (1, 2):
        sums = [int(tile.sum()) for tile in patches.read(step).low]
        assert sorted(sums) == there
        orders.append(sums)
    assert orders[0] != orders[1]


def test_a_patch_must_fit_into_a_tile(dataset: Dataset) -> None:
    with pytest.raises(UserError, match="--patch 8 or less"):
        Patches(dataset, 1, 9, 0)


def test_processes_share_the_batches_of_one(dataset: Dataset) -> None:
    whole = Patches(dataset, 6, 5, 3)
    parts = [Patches(dataset, 6, 5, 3, share=(rank, 3)) for rank in range(3)]
    for step in range(1, 6):
        shares = [part.read(step) for part in parts]
        assert {len(share.low) for share in shares} == {2}
        joined = Batch(
            np.concatenate([share.low for share in shares]),
            np.concatenate([share.high for share in shares]),
            shares[0].shift,
        )
        assert same(joined, whole.read(step))
        assert {share.shift for share in shares} == {joined.shift}
    with pytest.raises(UserError, match="multiple of the 4 processes, not 6"):
        Patches(dataset, 6, 5, 3, share=(0, 4))


def test_colours_can_be_left_as_they_are(dataset: Dataset) -> None:
    shuffled, left = (Patches(dataset, 5, 8, 0, permute_colours=wish) for wish in (True, False))
    orders = set()
    for step in range(1, 6):
        for a, b in zip(shuffled.read(step).low, left.read(step).low, strict=True):
            orders.add(tuple(int(b[0, 0].tolist().index(value)) for value in a[0, 0].tolist()))
            assert (np.sort(a, 2) == np.sort(b, 2)).all()
    assert len(orders) > 3
    channels = [int(dataset.tile(n)[1][..., c].sum()) for n in range(5) for c in range(3)]
    found = [int(tile[..., c].sum()) for tile in left.read(1).low for c in range(3)]
    assert sorted(map(tuple, np.reshape(found, (5, 3)).tolist())) == sorted(
        map(tuple, np.reshape(channels, (5, 3)).tolist())
    )


def test_a_batch_can_be_prepared_by_the_thread_that_reads_it(dataset: Dataset) -> None:
    patches = Patches(dataset, 3, 4, 1)
    sums = list(patches.stream(1, 5, lambda batch: int(batch.low.sum())))
    assert sums == [int(patches.read(step).low.sum()) for step in range(1, 6)]
