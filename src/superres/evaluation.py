"""Judging an enlargement by the protocol of PIRM 2018.

Images are enlarged on one thread whatever the training used, since the number of threads can
change the last bits of a convolution: the same checkpoint has the same figures wherever it is
judged on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from superres.data import Dataset, Pixels, cut
from superres.judging import Pair, judge_all
from superres.metrics.ma import MaModel
from superres.scores import Scores


def evaluate(
    upscaler: Callable[[Pixels], Pixels],
    dataset: Dataset,
    crops: Path | None = None,
    images: Path | None = None,
    model: MaModel | None = None,
    workers: int = 1,
) -> Scores:
    """Enlarge every test image and judge the results.

    Args:
        upscaler: (H, W, 3) to (sH, sW, 3), uint8 RGB, s being the scale of the data.
        dataset: gives the test images.
        crops: folder for the showcase of every image, as `NAME.png`.
        images: folder for the whole images, as `NAME.png`.
        model: of Ma's score; without it there is neither Ma nor PI.
        workers: processes that judge; the images are enlarged in this one.
    """
    for folder in (crops, images):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def results() -> Iterator[Pair]:
        for test in dataset.test_images():
            result = upscaler(test.low)
            if crops is not None:
                shown = cut(result, test.entry.showcase)
                Image.fromarray(shown).save(crops / f"{test.entry.name}.png")
            if images is not None:
                Image.fromarray(result).save(images / f"{test.entry.name}.png")
            yield Pair(test.entry.name, result, np.asarray(test.high))

    return judge_all(results(), len(dataset.manifest.test), model, workers)
