"""Training patches: drawn at random, read from memory-mapped tiles."""

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

# Number of batches that are read ahead.
_AHEAD = 2


class Batch(NamedTuple):
    """The batch of one step.

    Attributes:
        low: (B, patch, patch, 3), uint8.
        high: (B, scale * patch, scale * patch, 3), uint8.
        shift: row and column, less than the scale, at which the discriminator's input begins.
    """

    low: Pixels
    high: Pixels
    shift: tuple[int, int]


class Patches:
    """Random patches of a dataset; the batch of a step depends on the seed and the step alone.

    Every round visits each tile once, in random order, at a random position, in one of the eight
    orientations of a square and with its colour channels in one of their six orders: a few
    photographs do not contain every colour, and a network fills unknown colours with patterns. A
    batch may contain the end of one round and the start of the next.

    Args:
        dataset: the tiles.
        batch: patches per step.
        patch: side of a low-resolution patch in pixels.
        seed: of all random choices.
        permute_colours: whether colour channels are permuted.
        share: number of this process and number of processes; each reads its share of every batch.

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
        """Epochs per step."""
        return self._batch / len(self._dataset.manifest.train)

    def epochs(self, step: int) -> int:
        """Completed epochs after `step`: patches seen of every photograph."""
        return step * self._batch // len(self._dataset.manifest.train)

    def read(self, step: int) -> Batch:
        """Read this process's share of the batch of `step`, counted from 1."""
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
        """Yield the batches of the steps `first` to `last`, reading ahead.

        Args:
            first: counted from 1.
            last: likewise.
            prepare: converts a batch in the reading thread.
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
