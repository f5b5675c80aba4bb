"""Evaluating an upscaler on the test images of a data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from superres.data import Dataset, Pixels, cut
from superres.judging import PIRM, Distance, Pair, Protocol, judge_all
from superres.metrics.ma import MaModel
from superres.scores import Scores
from superres.sheet import contact_sheet

# A sheet is to be looked at, not to be scrolled through.
_ROWS = 8


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where to write pictures of the results; None: nowhere.

    Attributes:
        crops: folder for the showcase of every image, as `NAME.png`.
        images: folder for the whole images, as `NAME.png`.
        sheet: PNG file with the showcases of up to eight images beside their originals.
    """

    crops: Path | None = None
    images: Path | None = None
    sheet: Path | None = None


def evaluate(
    upscaler: Callable[[Pixels], Pixels],
    dataset: Dataset,
    pictures: Pictures | None = None,
    model: MaModel | None = None,
    workers: int = 1,
    protocol: Protocol = PIRM,
    distance: Distance | None = None,
) -> Scores:
    """Enlarge every test image and evaluate the results.

    Args:
        upscaler: maps (H, W, 3) to (sH, sW, 3), uint8 RGB, with the scale s of the data. A
            network's upscaler uses one thread by default (`superres.tiling`), since the number of
            threads can change the last bits of a convolution.
        dataset: provides the test images.
        pictures: where to write pictures of the results.
        model: the model of Ma's score; without it there is neither Ma nor PI.
        workers: processes that compute metrics; the images are enlarged in this one.
        protocol: how results are judged.
        distance: LPIPS, if wanted.
    """
    wanted = pictures or Pictures()
    for folder in (wanted.crops, wanted.images, wanted.sheet and wanted.sheet.parent):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    shown: list[Pixels] = []

    def results() -> Iterator[Pair]:
        for test in dataset.test_images():
            result = upscaler(test.low)
            showcase = cut(result, test.entry.showcase)
            if wanted.sheet is not None and len(shown) < _ROWS:
                shown.append(showcase.copy())  # a view would keep the whole image
            for folder, image in ((wanted.crops, showcase), (wanted.images, result)):
                if folder is not None:
                    Image.fromarray(image).save(folder / f"{test.entry.name}.png")
            yield Pair(test.entry.name, result, np.asarray(test.high))

    count = len(dataset.manifest.test)
    scores = judge_all(results(), count, model, workers, protocol, distance)
    if wanted.sheet is not None:
        _sheet(dataset, shown).save(wanted.sheet, format="PNG")
    return scores


def _sheet(dataset: Dataset, shown: list[Pixels]) -> Image.Image:
    rows = []
    for test, ours in zip(islice(dataset.test_images(), _ROWS), shown, strict=False):
        bicubic = cut(dataset.bicubic(test.low), test.entry.showcase)
        original = np.asarray(cut(test.high, test.entry.showcase))
        rows.append((test.entry.name, {"bicubic": bicubic, "result": ours, "original": original}))
    return contact_sheet(rows)
