from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from superres import progress
from superres.cli import main
from superres.color import luma, unrounded_luma
from superres.data import Dataset
from superres.errors import UserError
from superres.judging import Pair, Protocol, judge, judge_all, judge_folders
from superres.metrics import ma, niqe, ssim
from superres.metrics.ma import Features, MaModel, extract
from superres.metrics.ma.forest import Forest
from tests.superres.conftest import synthetic_photo

Pixels = NDArray[np.uint8]
Folders = tuple[Path, Path]


def leaf(value: float) -> Forest:
    """A forest of one tree that asks nothing."""
    zeros = np.zeros(1, np.int32)
    return Forest(zeros, zeros, np.zeros(1), zeros, zeros, np.array([value]), 0.0, 1.0)


def question(feature: int, threshold: float) -> Forest:
    """A forest of one tree: 4 for at most the threshold, else 8."""
    return Forest(
        roots=np.array([0], np.int32),
        feature=np.array([feature, 0, 0], np.int32),
        threshold=np.array([threshold, 0, 0]),
        yes=np.array([1, 1, 2], np.int32),
        no=np.array([2, 1, 2], np.int32),
        answer=np.array([0.0, 4, 8]),
        intercept=0.0,
        slope=1.0,
    )


MODEL = MaModel((leaf(5), leaf(6), question(24, 0.1)), np.array([0.5, 0.1, 0.2, 0.5]))


def blurred(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Three results and their originals of 144x120 pixels; the result "a" is its original."""
    results, originals = (tmp_path_factory.mktemp(name) for name in ("results", "originals"))
    for seed, name in enumerate("abc"):
        image = synthetic_photo(208, 208, seed)
        Image.fromarray(image).save(originals / f"{name}.png")
        result = image if name == "a" else blurred(image)
        Image.fromarray(result).save(results / f"{name}.png")
    return results, originals


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


def test_a_result_is_judged_on_shaved_luma() -> None:
    original = synthetic_photo(208, 230)
    result = blurred(original)
    score, features = judge(Pair("x", result, original), True)
    y, reference = (luma(i)[4:-4, 4:-4] for i in (result, original))
    assert score.niqe == niqe(y)
    assert score.squared_error == np.mean((y - reference) ** 2)
    assert score.ssim == ssim(y, reference)
    assert score.ma is None
    assert score.niqe_unrounded is None
    assert features is not None
    assert all((f == e).all() for f, e in zip(features, extract(y), strict=True))
    assert judge(Pair("x", result, original), False) == (score, None)


@pytest.mark.parametrize("shave", [0, 2, 8])
def test_papers_shave_another_number_of_pixels(shave: int) -> None:
    original = synthetic_photo(208, 230)
    result = blurred(original)
    score, _ = judge(Pair("x", result, original), False, Protocol(shave, unrounded=True))
    inside = (slice(shave, 208 - shave), slice(shave, 230 - shave))
    y, reference = (luma(i)[inside] for i in (result, original))
    assert score.squared_error == np.mean((y - reference) ** 2)
    assert score.ssim == ssim(y, reference)
    assert score.niqe == niqe(y)
    assert score.niqe_unrounded == niqe(unrounded_luma(result)[inside])
    assert abs(score.niqe_unrounded - score.niqe) > 1e-3


def test_the_command_judges_as_papers_do(
    dataset: Dataset, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    def last(*arguments: object) -> dict[str, float]:
        assert evaluate(*arguments) == 0
        found: dict[str, float] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return found

    which = ("--bicubic", "--data", dataset.folder)
    plain, scale = last(*which), last(*which, "--shave", "scale", "--niqe-unrounded")
    assert {n: v for n, v in scale.items() if n in plain and n != "seconds"} == {
        n: v for n, v in plain.items() if n != "seconds"
    }  # 4x
    assert scale["niqe_unrounded"] != scale["niqe"]
    assert last(*which, "--shave", 8)["psnr"] != plain["psnr"]
    both = ("--images", folders[0], "--originals", folders[1])
    assert last(*both, "--shave", 2)["rmse"] != last(*both)["rmse"]


def test_folders_are_judged_image_by_image(folders: Folders) -> None:
    scores = judge_folders(*folders, MODEL)
    assert [image.name for image in scores.images] == ["a", "b", "c"]
    assert scores.images[0].squared_error == 0
    # The spatial forest asks for the last singular value at full size: blur makes it small.
    assert [image.ma for image in scores.images] == pytest.approx([6.2, 4.2, 4.2])
    assert scores.pi == pytest.approx((10 - 14.6 / 3 + scores.niqe) / 2)


def test_processes_give_the_same_in_the_same_order(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    alone = judge_folders(*folders, MODEL, workers=1)
    together = judge_folders(*folders, MODEL, workers=2)
    assert [i.name for i in together.images] == [i.name for i in alone.images]
    assert together.niqe == pytest.approx(alone.niqe)
    assert together.rmse == pytest.approx(alone.rmse)
    assert together.ma == alone.ma
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_mistake_in_a_process_is_told() -> None:
    image = synthetic_photo(120, 120)
    bad = Pair("bad", image, image[:110])
    with pytest.raises(UserError, match=r"bad: the result has 120x120 pixels, .* 120x110"):
        judge_all([bad, bad, bad], 3, None, 2)


class Deadly:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return signal.raise_signal, (signal.SIGKILL,)


def test_a_killed_process_is_told() -> None:
    deadly: Any = Deadly()
    with pytest.raises(UserError, match="fewer --workers"):
        judge_all([Pair("x", deadly, deadly)] * 9, 9, None, 2)


def test_progress_is_told_when_it_takes_long(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge_folders(*folders)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    judge_folders(*folders)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "1 of 3 images judged",
        "2 of 3 images judged",
    ]


def test_the_command_judges_folders(
    folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, originals = folders
    file = tmp_path / "result.json"
    assert evaluate("--images", results, "--originals", originals, "--result", file) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["image", "NIQE", "RMSE", "PSNR", "SSIM"]
    assert lines[1].split()[::2] == ["a", "0.000", "1.000"]
    assert lines[-2].startswith(("region ", "outside "))
    found: dict[str, Any] = json.loads(file.read_text())
    assert found == json.loads(lines[-1])
    assert set(found) == {"niqe", "rmse", "psnr", "ssim", "region", "seconds"}
    assert found["psnr"] is None  # infinite, because of "a"
    assert found["rmse"] == judge_folders(results, originals).rmse
    assert evaluate("--images", originals, "--originals", originals) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["region"] == 1


def test_the_command_gives_ma_and_pi_with_a_model(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: Path) -> MaModel:
        assert path == Path("model.mat")
        return MODEL

    monkeypatch.setattr(ma, "load_model", load)
    which = ["--images", folders[0], "--originals", folders[1]]
    assert evaluate(*which, "--ma-model", "model.mat") == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["image", "NIQE", "RMSE", "PSNR", "SSIM", "Ma", "PI"]
    found = json.loads(last)
    assert found["pi"] == ((10 - found["ma"]) + found["niqe"]) / 2


def test_test_images_are_judged_alike(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ma, "load_model", lambda path: MODEL)
    which = ["--bicubic", "--data", dataset.folder]
    assert evaluate(*which) == 0
    plain = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluate(*which, "--ma-model", "model.mat", "--workers", 2) == 0
    full = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(plain) == {"niqe", "rmse", "psnr", "ssim", "seconds"}
    assert set(full) == {*plain, "ma", "pi"}
    assert full["rmse"] == plain["rmse"]
    assert full["ma"] == pytest.approx(4.2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--originals {o}", "--originals needs --images"),
        ("--originals {o} --images {r} --data {r}", "do not go with --originals"),
        ("--originals {o} --images {r} --crops {r}", "do not go with --originals"),
        ("--originals {o} --images {r} --workers 0", "--workers must be 1 at least"),
        ("--originals {o} --images {tmp}/none", "no such folder"),
        ("--originals {o} --images {tmp}", "no image in"),
        ("--originals {o} --images {text}", "as an image"),
        ("--originals {o} --images {small}", "the result has 100x208 pixels"),
        ("--originals {small} --images {small}", "NIQE needs 104x104 pixels"),
        ("--originals {o} --images {r} --ma-model {tmp}/none", "cannot read the model"),
        ("--originals {o} --images {r} --ma-model {text}/a.png", "git blob hash"),
        ("--originals {o} --images {r} --result {text}/a.png/r", "cannot write"),
        ("--originals {o} --images {r} --shave scale", "name the number"),
        ("--originals {o} --images {r} --shave -1", "--shave must not be negative"),
        ("--originals {o} --images {r} --shave 60", "NIQE needs 216x216 pixels"),
        ("--bicubic", "--data is missing"),
        ("--bicubic --data {tmp} --workers -1", "--workers must be 1 at least"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: str,
    expected: str,
    folders: Folders,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"tmp": tmp_path, "r": folders[0], "o": folders[1]}
    for name in ("text", "small"):
        places[name] = tmp_path / name
        places[name].mkdir()
        for image in "abc":
            Image.fromarray(synthetic_photo(208, 100)).save(places[name] / f"{image}.png")
    (places["text"] / "a.png").write_text("text")
    assert evaluate(*(word.format(**places) for word in arguments.split())) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("superres: ")
    assert expected in error


def test_no_feature_no_score() -> None:
    image = synthetic_photo(208, 208)
    _, features = judge(Pair("x", image, image), True)
    assert features is not None
    assert MODEL.score(features) == pytest.approx(6.2)
    broken = Features(features.dct * np.nan, features.gsm, features.singular)
    assert np.isnan(MODEL.score(broken))
    assert replace(MODEL, blend=np.zeros(4)).score(features) == 0
