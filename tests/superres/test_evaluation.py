from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.color import luma
from superres.data import Dataset, cut
from superres.evaluation import Pictures, evaluate
from superres.metrics import niqe
from superres.resize import enlarge
from superres.scores import ImageScore, Scores


def test_summaries_follow_the_protocol() -> None:
    scores = Scores((ImageScore("a", 4.0, 1.0, 40.0), ImageScore("b", 6.0, 49.0, 30.0)))
    assert (scores.niqe, scores.rmse, scores.psnr) == (5.0, 5.0, 35.0)
    header, *rows = scores.table().splitlines()
    assert header.split() == ["image", "NIQE", "RMSE", "PSNR"]
    assert rows[-1].split() == ["all", "5.000", "5.000", "35.000"]


def test_images_are_judged_on_shaved_luma(dataset: Dataset, tmp_path: Path) -> None:
    pictures = Pictures(tmp_path / "crops", tmp_path / "all", tmp_path / "new" / "sheet.png")
    scores = evaluate(lambda low: enlarge(low, 4), dataset, pictures)
    (test,) = dataset.test_images()
    y, reference = (luma(i)[4:-4, 4:-4] for i in (enlarge(test.low, 4), test.high))
    assert scores.images[0].niqe == niqe(y)
    assert scores.rmse == pytest.approx(float(np.sqrt(np.mean((y - reference) ** 2))))
    with Image.open(tmp_path / "crops" / f"{test.entry.name}.png") as crop:
        bicubic = dataset.folder / "crops" / f"{test.entry.name}-bicubic.png"
        with Image.open(bicubic) as expected:
            assert (np.asarray(crop) == np.asarray(expected)).all()
    with Image.open(tmp_path / "all" / f"{test.entry.name}.png") as whole:
        assert whole.size == (240, 208)
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        columns = [np.asarray(sheet.crop((x, 26, x + 256, 282))) for x in (8, 272, 536)]
    shown = [column[::2, ::2] for column in columns]
    assert (shown[0] == shown[1]).all()  # the result is the bicubic one here
    assert (shown[2] == cut(test.high, test.entry.showcase)).all()


def test_a_perfect_enlargement_has_no_error(dataset: Dataset) -> None:
    (test,) = dataset.test_images()
    assert evaluate(lambda _: test.high, dataset).rmse == 0
