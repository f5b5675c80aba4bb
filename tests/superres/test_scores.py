from __future__ import annotations

import pytest

from superres.scores import ImageScore, Scores, perceptual_index, pirm_region


def test_the_perceptual_index_is_made_of_means() -> None:
    scores = Scores(
        (ImageScore("a", 4.0, 1.0, 40.0, ma=8.0), ImageScore("long name", 6.0, 49.0, 30.0, ma=7.0))
    )
    assert scores.ma == 7.5
    assert scores.pi == perceptual_index(7.5, 5.0) == ((10 - 7.5) + 5) / 2
    assert scores.metrics() == {"niqe": 5, "rmse": 5, "psnr": 35, "ma": 7.5, "pi": 3.75}
    header, first, _, last = scores.table().splitlines()
    assert header.split() == ["image", "NIQE", "RMSE", "PSNR", "Ma", "PI"]
    assert first.split() == ["a", "4.000", "1.000", "40.000", "8.000", "3.000"]
    assert last.split() == ["all", "5.000", "5.000", "35.000", "7.500", "3.750"]


def test_figures_that_every_image_has_are_shown() -> None:
    one = ImageScore("a", 4.0, 1.0, 40.0, ssim=0.5, niqe_unrounded=3.5)
    other = ImageScore("b", 6.0, 49.0, 30.0, ssim=0.75, niqe_unrounded=4.5)
    scores = Scores((one, other))
    assert scores.metrics() == {
        "niqe": 5,
        "rmse": 5,
        "psnr": 35,
        "ssim": 0.625,
        "niqe_unrounded": 4,
    }
    header, *rows = scores.table().splitlines()
    assert header.split()[-3:] == ["SSIM", "NIQE", "unrounded"]
    assert rows[-1].split() == ["all", "5.000", "5.000", "35.000", "0.625", "4.000"]
    assert len({len(line) for line in (header, *rows)}) == 1
    assert "ssim" not in Scores((one, ImageScore("b", 6.0, 49.0, 30.0))).metrics()


def test_without_ma_nothing_is_called_ma_or_pi() -> None:
    one, other = ImageScore("a", 4.0, 1.0, 40.0), ImageScore("b", 6.0, 49.0, 30.0, ma=7.0)
    for images in ((one,), (one, other)):
        scores = Scores(images)
        assert scores.ma is None
        assert scores.pi is None
        assert set(scores.metrics()) == {"niqe", "rmse", "psnr"}
        assert "PI" not in scores.table()


@pytest.mark.parametrize(
    ("error", "region"),
    [(0, 1), (11.5, 1), (11.51, 2), (12.5, 2), (12.51, 3), (16, 3), (16.01, None)],
)
def test_regions_of_the_challenge(error: float, region: int | None) -> None:
    assert pirm_region(error) == region
