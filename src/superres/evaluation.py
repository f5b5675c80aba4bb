"""Judging an enlargement by the protocol of PIRM 2018.

Images are enlarged on one thread whatever the training used, since the number of threads can
change the last bits of a convolution: the same checkpoint has the same figures wherever it is
judged on one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from superres.color import luma
from superres.data import Dataset, Pixels, cut
from superres.metrics import SHAVE, mean_squared_error, niqe, psnr, rmse


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
        upscaler: (H, W, 3) to (sH, sW, 3), uint8 RGB, s being the scale of the data.
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
