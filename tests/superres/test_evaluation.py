from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from superres import evaluation
from superres.color import luma
from superres.data import Dataset
from superres.evaluation import ImageScore, Scores, evaluate, network_upscaler, to_tensor
from superres.metrics import niqe
from superres.model import Generator, GeneratorConfig
from superres.resize import enlarge


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator(GeneratorConfig(6, 4, 2))
    with torch.no_grad():  # a level within the range of an image
        made.reconstruct.weight.mul_(0.02)
        assert made.reconstruct.bias is not None
        made.reconstruct.bias.fill_(0.5)
    return made


def test_summaries_follow_the_protocol() -> None:
    scores = Scores((ImageScore("a", 4.0, 1.0, 40.0), ImageScore("b", 6.0, 49.0, 30.0)))
    assert (scores.niqe, scores.rmse, scores.psnr) == (5.0, 5.0, 35.0)
    header, *rows = scores.table().splitlines()
    assert header.split() == ["image", "NIQE", "RMSE", "PSNR"]
    assert rows[-1].split() == ["all", "5.000", "5.000", "35.000"]


def test_images_are_judged_on_shaved_luma(dataset: Dataset, tmp_path: Path) -> None:
    scores = evaluate(lambda low: enlarge(low, 4), dataset, tmp_path / "crops", tmp_path / "all")
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


def test_a_perfect_enlargement_has_no_error(dataset: Dataset) -> None:
    (test,) = dataset.test_images()
    assert evaluate(lambda _: test.high, dataset).rmse == 0


def test_pieces_give_the_pixels_of_the_whole(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = np.random.default_rng(0).integers(0, 255, (61, 90, 3), np.uint8)
    whole = network_upscaler(generator)(low)
    monkeypatch.setattr(evaluation, "TILE", 32)
    pieces = network_upscaler(generator)(low)
    assert whole.shape == (244, 360, 3)
    assert whole.std() > 1
    # The last bit of a float may turn a rounding.
    assert np.abs(whole.astype(int) - pieces).max() <= 1


def test_the_number_of_threads_does_not_matter(generator: Generator) -> None:
    low = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    alone = network_upscaler(generator)(low)
    torch.set_num_threads(2)
    assert (network_upscaler(generator)(low) == alone).all()
    assert torch.get_num_threads() == 2


def test_tensors_are_scaled_to_one() -> None:
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    assert to_tensor(images).flatten().tolist() == pytest.approx([0, 0.2, 1])
