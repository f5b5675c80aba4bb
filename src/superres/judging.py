"""Judging results against their originals, by default by the protocol of PIRM 2018.

Images are judged independently, optionally in parallel. Worker processes do not import torch and
return a few numbers; the large forests of Ma's score stay in the first process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superres.color import luma, unrounded_luma
from superres.errors import UserError
from superres.metrics import SHAVE, mean_squared_error, niqe, psnr, ssim
from superres.metrics.ma import Features, MaModel, extract
from superres.metrics.niqe import BLOCK
from superres.pairs import find_pairs, read_pixels, read_size
from superres.progress import Progress
from superres.scores import ImageScore, Scores
from superres.workers import in_processes

Pixels = NDArray[np.uint8]

Distance = Callable[[Pixels, Pixels], float]
"""How far two images (H, W, 3) are from each other."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A result and its original: (H, W, 3) RGB, or files of any kind of 8-bit image."""

    name: str
    result: Pixels | Path
    original: Pixels | Path


@dataclass(frozen=True, slots=True)
class Protocol:
    """How images are judged.

    Attributes:
        shave: pixels cut off every side; papers use the scale, PIRM uses 4.
        unrounded: whether NIQE is also computed on unrounded luma.
    """

    shave: int = SHAVE
    unrounded: bool = False

    def __post_init__(self) -> None:
        if self.shave < 0:
            raise UserError(f"--shave must not be negative: {self.shave}")

    def shaved(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """An image (H, W) without its outermost pixels."""
        return y[self.shave : len(y) - self.shave, self.shave : y.shape[1] - self.shave]


PIRM = Protocol()
"""That of the PIRM 2018 challenge."""


def judge(
    pair: Pair, with_features: bool, protocol: Protocol = PIRM
) -> tuple[ImageScore, Features | None]:
    """Judge one result on the luma of both images without their outermost pixels.

    Args:
        pair: the result and its original.
        protocol: how to judge.
        with_features: whether to compute the features of Ma's score, which takes most of the time.

    Raises:
        UserError: a file cannot be read, the sizes differ, or the images are too small.
    """
    images = [_pixels(pair.result), _pixels(pair.original)]
    size, original = ((image.shape[1], image.shape[0]) for image in images)
    check_sizes(pair.name, size, original, protocol.shave)
    y, reference = (protocol.shaved(luma(image)) for image in images)
    error = mean_squared_error(y, reference)
    score = ImageScore(pair.name, niqe(y), error, psnr(error), ssim=ssim(y, reference))
    if protocol.unrounded:
        real = protocol.shaved(unrounded_luma(images[0]))
        score = replace(score, niqe_unrounded=niqe(real))
    return score, extract(y) if with_features else None


def judge_all(
    pairs: Iterable[Pair],
    count: int,
    model: MaModel | None = None,
    workers: int = 1,
    protocol: Protocol = PIRM,
    distance: Distance | None = None,
) -> Scores:
    """Judge results, in the order given.

    Args:
        pairs: results and originals; consumed lazily.
        count: number of pairs.
        model: the model of Ma's score; without it there is neither Ma nor PI.
        workers: number of processes. Without a model, 1 means that everything runs in this one.
        protocol: how images are judged.
        distance: LPIPS, if wanted; computed in this process on whole images.

    Raises:
        UserError: see `judge`; or a process was killed.
    """
    scores = []
    distances: deque[float] = deque()

    def measured() -> Iterator[Pair]:
        for pair in pairs:
            if distance is not None:
                distances.append(distance(_pixels(pair.result), _pixels(pair.original)))
            yield pair

    with Progress("images judged", count) as progress:
        for score, features in _judged(
            measured(), model is not None, min(workers, count), protocol
        ):
            if model is not None and features is not None:
                score = replace(score, ma=model.score(features))
            if distance is not None:
                score = replace(score, lpips=distances.popleft())
            scores.append(score)
            progress.advance()
    return Scores(tuple(scores))


def judge_folders(
    results: Path,
    originals: Path,
    model: MaModel | None = None,
    workers: int = 1,
    protocol: Protocol = PIRM,
    distance: Distance | None = None,
) -> Scores:
    """Judge a folder of results against a folder of originals, see `find_pairs`.

    Raises:
        UserError: see `find_pairs` and `judge`. Problems visible in the file headers are reported
            before any image is judged.
    """
    found = find_pairs(results, originals)
    for name, result, original in found:
        check_sizes(name, read_size(result), read_size(original), protocol.shave)
    pairs = (Pair(*names) for names in found)
    return judge_all(pairs, len(found), model, workers, protocol, distance)


def check_sizes(
    name: str, size: tuple[int, int], original: tuple[int, int], shave: int = SHAVE
) -> None:
    """Check that images of these widths and heights can be compared and judged.

    Raises:
        UserError: they cannot.
    """
    if size != original:
        raise UserError(
            f"{name}: the result has {size[0]}x{size[1]} pixels, "
            f"the original {original[0]}x{original[1]}"
        )
    least = BLOCK + 2 * shave
    if min(size) < least:
        raise UserError(
            f"{name}: NIQE needs {least}x{least} pixels at least, the result has "
            f"{size[0]}x{size[1]}"
        )


def _pixels(image: Pixels | Path) -> Pixels:
    return read_pixels(image) if isinstance(image, Path) else image


def _judged(
    pairs: Iterable[Pair], with_features: bool, workers: int, protocol: Protocol
) -> Iterator[tuple[ImageScore, Features | None]]:
    # The features multiply matrices, by default on all threads. That is much slower on a busy
    # machine, and the number of threads can change the last bits. So every process uses one thread,
    # even a single one.
    do = partial(judge, with_features=with_features, protocol=protocol)
    if workers <= 1 and not with_features:
        return map(do, pairs)
    return in_processes(do, pairs, max(1, workers))
