"""Scores of a set of images, with summaries and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from superres.metrics import rmse

REGIONS = (11.5, 12.5, 16.0)
"""Largest RMSE of the PIRM 2018 challenge's regions 1, 2 and 3, for its own images."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Scores of an image: NIQE, MSE (squared grey levels), PSNR (dB), SSIM and Ma's score.

    `niqe_unrounded` is NIQE on luma that was not rounded to 8 bits, `lpips` the distance of the
    whole colour images, see `superres.metrics.lpips`.
    """

    name: str
    niqe: float
    squared_error: float
    psnr: float
    ma: float | None = None
    ssim: float | None = None
    niqe_unrounded: float | None = None
    lpips: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all images.

    `niqe`, `psnr`, `ssim` and `ma` are means over the images, `rmse` is the root of the mean of
    the squared errors, `pi` is computed from means.
    """

    images: tuple[ImageScore, ...]

    @property
    def niqe(self) -> float:
        """Mean NIQE; lower is better."""
        return _mean([image.niqe for image in self.images])

    @property
    def rmse(self) -> float:
        """Root mean square error in grey levels; lower is better."""
        return rmse([image.squared_error for image in self.images])

    @property
    def psnr(self) -> float:
        """Mean PSNR in decibels; higher is better."""
        return _mean([image.psnr for image in self.images])

    @property
    def ma(self) -> float | None:
        """Mean of Ma's score; higher is better. None unless every image has one."""
        return self._mean_of("ma")

    @property
    def pi(self) -> float | None:
        """Perceptual index; lower is better. None without Ma's score, which it requires."""
        return None if self.ma is None else perceptual_index(self.ma, self.niqe)

    def metrics(self) -> dict[str, float]:
        """The metrics of the whole set, by their names in results."""
        named = {"niqe": self.niqe, "rmse": self.rmse, "psnr": self.psnr}
        more = {
            "ssim": self._mean_of("ssim"),
            "ma": self.ma,
            "pi": self.pi,
            "niqe_unrounded": self._mean_of("niqe_unrounded"),
            "lpips": self._mean_of("lpips"),
        }
        return named | {name: value for name, value in more.items() if value is not None}

    def _mean_of(self, name: str) -> float | None:
        """The mean of a metric, if every image has it."""
        known = [value for image in self.images if (value := getattr(image, name)) is not None]
        return _mean(known) if known and len(known) == len(self.images) else None

    def table(self) -> str:
        """A table with one line per image and one for all of them."""
        width = max(8, *(len(image.name) for image in self.images))
        every = [(i.name, Scores((i,))) for i in self.images]
        columns = self.metrics()
        titles = {"ma": "Ma", "niqe_unrounded": "NIQE unrounded"}
        heads = "  ".join(f"{titles.get(name, name.upper()):>7}" for name in columns)
        lines = [f"{'image':<{width}}  {heads}"]
        for name, scores in [*every, ("all", self)]:
            figures = scores.metrics()
            cells = "  ".join(
                f"{figures[column]:{max(7, len(titles.get(column, '')))}.3f}" for column in columns
            )
            lines.append(f"{name:<{width}}  {cells}")
        return "\n".join(lines)


def perceptual_index(ma: float, niqe: float) -> float:
    """((10 - Ma) + NIQE) / 2, Blau et al., "The 2018 PIRM Challenge", equation 1."""
    return ((10 - ma) + niqe) / 2


def pirm_region(error: float) -> int | None:
    """The region, 1 to 3, of the PIRM 2018 challenge that contains an RMSE, if any."""
    for region, largest in enumerate(REGIONS, 1):
        if error <= largest:
            return region
    return None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
