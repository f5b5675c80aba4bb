"""Judging an enlargement by the protocol of PIRM 2018.

Images are enlarged on one thread whatever the training used, since the number of threads can
change the last bits of a convolution: the same checkpoint has the same figures wherever it is
judged on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from superres.color import luma
from superres.data import Dataset, Pixels, cut
from superres.metrics import SHAVE, mean_squared_error, niqe, psnr, rmse
from superres.model import SCALE, Generator

TILE = 192
"""Side in low-resolution pixels of the pieces in which large images are enlarged."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One test image: NIQE, mean squared error (squared grey levels) and PSNR (dB)."""

    name: str
    niqe: float
    squared_error: float
    psnr: float


@dataclass(frozen=True, slots=True)
class Scores:
    """All test images.

    `niqe` and `psnr` are means over the images, `rmse` is the root of the mean squared error's
    mean.
    """

    images: tuple[ImageScore, ...]

    @property
    def niqe(self) -> float:
        """Mean NIQE; lower is better."""
        return float(np.mean([image.niqe for image in self.images]))

    @property
    def rmse(self) -> float:
        """Root mean square error in grey levels; lower is better."""
        return rmse([image.squared_error for image in self.images])

    @property
    def psnr(self) -> float:
        """Mean PSNR in decibels; higher is better."""
        return float(np.mean([image.psnr for image in self.images]))

    def table(self) -> str:
        """One line an image, and one for all of them."""
        width = max(8, *(len(image.name) for image in self.images))
        lines = [f"{'image':<{width}}  {'NIQE':>7}  {'RMSE':>7}  {'PSNR':>7}"]
        rows = [(i.name, i.niqe, rmse([i.squared_error]), i.psnr) for i in self.images]
        for name, *figures in [*rows, ("all", self.niqe, self.rmse, self.psnr)]:
            lines.append(f"{name:<{width}}  " + "  ".join(f"{f:7.3f}" for f in figures))
        return "\n".join(lines)


def evaluate(
    upscaler: Callable[[Pixels], Pixels],
    dataset: Dataset,
    crops: Path | None = None,
    images: Path | None = None,
) -> Scores:
    """Enlarge every test image and judge the results.

    Args:
        upscaler: (H, W, 3) to (4H, 4W, 3), uint8 RGB.
        dataset: gives the test images.
        crops: folder for the showcase of every image, as `NAME.png`.
        images: folder for the whole images, as `NAME.png`.
    """
    for folder in (crops, images):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    scores = []
    for test in dataset.test_images():
        result = upscaler(test.low)
        if crops is not None:
            shown = cut(result, test.entry.showcase)
            Image.fromarray(shown).save(crops / f"{test.entry.name}.png")
        if images is not None:
            Image.fromarray(result).save(images / f"{test.entry.name}.png")
        y, reference = (luma(i)[SHAVE:-SHAVE, SHAVE:-SHAVE] for i in (result, test.high))
        error = mean_squared_error(y, reference)
        scores.append(ImageScore(test.entry.name, niqe(y), error, psnr(error)))
    return Scores(tuple(scores))


def network_upscaler(generator: Generator) -> Callable[[Pixels], Pixels]:
    """The enlargement by `generator`, for images (H, W, 3) of any size.

    Large images go through in pieces with as much context as the network can see, which gives
    the same pixels as in one piece.
    """

    def upscale(image: Pixels) -> Pixels:
        height, width = image.shape[:2]
        context = generator.config.receptive_radius
        out = np.empty((SCALE * height, SCALE * width, 3), np.uint8)
        with _one_thread(), torch.inference_mode():
            for top in range(0, height, TILE):
                for left in range(0, width, TILE):
                    rows = slice(max(0, top - context), top + TILE + context)
                    columns = slice(max(0, left - context), left + TILE + context)
                    piece = _run(generator, image[rows, columns])
                    down, right = SCALE * (top - rows.start), SCALE * (left - columns.start)
                    target = out[SCALE * top :, SCALE * left :][: SCALE * TILE, : SCALE * TILE]
                    target[:] = piece[down:, right:][: target.shape[0], : target.shape[1]]
        return out

    return upscale


def to_tensor(images: Pixels) -> torch.Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1]."""
    # Channels stay innermost in memory, as in the image: convolutions on a CPU like that best.
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 255


def _run(generator: Generator, image: Pixels) -> Pixels:
    enlarged = generator(to_tensor(image[None]))[0]
    levels = (enlarged.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).numpy()
    return pixels


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
