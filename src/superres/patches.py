"""The patches that a training sees: drawn at random, read from memory-mapped tiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from superres.data import Dataset, Pixels
from superres.errors import UserError

T = TypeVar("T")

# Batches that are read while others are computed.
_AHEAD = 2


class Batch(NamedTuple):
    """What one step is given.

    Attributes:
        low: (B, patch, patch, 3), uint8.
        high: (B, scale * patch, scale * patch, 3), uint8.
        shift: rows and columns, fewer than the scale, at which the discriminator begins to look.
    """

    low: Pixels
    high: Pixels
    shift: tuple[int, int]


class Patches:
    """Random patches of a dataset; what a step sees depends on the seed and the step alone.

    Every round visits each tile once, in random order, at a random place, in one of the eight
    orientations of a square and with its colour channels in one of their six orders: a few
    photographs do not show every colour, and a network fills colours it has not met with
    patterns. Rounds run on into each other within a batch.

    Args:
        dataset: the tiles.
        batch: patches a step.
        patch: side of a low-resolution patch in pixels.
        seed: of all that is random.
        permute_colours: whether colour channels are permuted.
        share: this process's number and that of all processes, each of which reads its share of
            every batch.

    Raises:
        UserError: a patch is larger than a tile, or a batch cannot be shared equally.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        patch: int,
        seed: int,
        *,
        permute_colours: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        rank, size = share
        if batch % size:
            raise UserError(f"--batch must be a multiple of the {size} processes, not {batch}")
        scale = dataset.scale
        side = dataset.manifest.crop // scale
        if patch > side:
            raise UserError(
                f"a patch of {patch} low-resolution pixels does not fit into tiles of {side}: "
                f"choose --patch {side} or less, or prepare with --crop {patch * scale} or more"
            )
        self._dataset = dataset
        self._batch = batch
        self._patch = patch
        self._seed = seed
        self._places = side - patch + 1
        self._permute_colours = permute_colours
        self._own = range(rank * batch // size, (rank + 1) * batch // size)
        self._round = lru_cache(maxsize=2)(self._draw_round)

    @property
    def epochs_a_step(self) -> float:
        """What a step adds to the number of epochs."""
        return self._batch / len(self._dataset.manifest.train)

    def epochs(self, step: int) -> int:
        """Whole epochs that are done after `step`: patches seen of every photograph."""
        return step * self._batch // len(self._dataset.manifest.train)

    def read(self, step: int) -> Batch:
        """This process's share of the batch of `step`, counted from 1."""
        random = np.random.default_rng((self._seed, 1, step))
        scale = self._dataset.scale
        lows: list[Pixels] = []
        highs: list[Pixels] = []
        for visit in range((step - 1) * self._batch, step * self._batch):
            top, left = random.integers(self._places, size=2)
            turns, mirrored = int(random.integers(4)), bool(random.integers(2))
            colours = random.permutation(3)
            if visit - (step - 1) * self._batch not in self._own:
                continue
            if not self._permute_colours:
                colours = np.arange(3)
            turn, number = divmod(visit, self._dataset.tiles)
            high, low = self._dataset.tile(int(self._round(turn)[number]))
            for image, found, factor in ((low, lows, 1), (high, highs, scale)):
                y, x, side = factor * top, factor * left, factor * self._patch
                patch = np.rot90(image[y : y + side, x : x + side], turns)
                found.append((patch[:, ::-1] if mirrored else patch)[..., colours])
        down, right = random.integers(scale, size=2).tolist()
        return Batch(np.stack(lows), np.stack(highs), (down, right))

    @overload
    def stream(self, first: int, last: int) -> Iterator[Batch]: ...

    @overload
    def stream(self, first: int, last: int, prepare: Callable[[Batch], T]) -> Iterator[T]: ...

    def stream(
        self, first: int, last: int, prepare: Callable[[Batch], Any] = lambda batch: batch
    ) -> Iterator[Any]:
        """The batches of the steps `first` to `last`, read ahead while others are computed.

        Args:
            first: counted from 1.
            last: likewise.
            prepare: what the reading thread makes of a batch.
        """
        with ThreadPoolExecutor(1, "patches") as reader:
            waiting: deque[Future[Any]] = deque()
            try:
                for step in range(first, last + 1):
                    waiting.append(reader.submit(lambda step: prepare(self.read(step)), step))
                    if len(waiting) > _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                reader.shutdown(cancel_futures=True)

    def _draw_round(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 0, number)).permutation(self._dataset.tiles)
