"""Preparing data from pairs of high and low resolution."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.cli import main
from superres.data import Dataset, Pixels
from superres.resize import Downscaling, enlarge, shrink
from tests.superres.conftest import synthetic_photo


def marked(image: Pixels, scale: int = 4) -> Pixels:
    """Low resolution that neither Pillow nor MATLAB would make."""
    height, width = (side - side % scale for side in image.shape[:2])
    return 255 - shrink(np.ascontiguousarray(image[:height, :width]), scale)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three training photographs and one for the test, with their low resolution."""
    made = {name: tmp_path / name for name in ("hr", "lr", "test-hr", "test-lr")}
    for folder in made.values():
        folder.mkdir()
    for seed, name in enumerate(("0001", "0002", "0003", "0801")):
        split = "test-" if name == "0801" else ""
        image = synthetic_photo(211, 242, seed)  # no multiples of 4
        Image.fromarray(image).save(made[f"{split}hr"] / f"{name}.png")
        low = name if name == "0002" else f"{name}x4"  # a name without the scale will do
        Image.fromarray(marked(image)).save(made[f"{split}lr"] / f"{low}.png")
    return made


def prepare(folders: dict[str, Path], out: Path, *more: str) -> int:
    which = ["--photos", folders["hr"], "--test-photos", folders["test-hr"]]
    lows = ["--lr", folders["lr"], "--test-lr", folders["test-lr"]]
    return main(["prepare", "--crop", "96", "--out", str(out), *map(str, [*which, *lows]), *more])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_low_resolution_is_that_of_the_files(
    folders: dict[str, Path],
    tmp_path: Path,
    workers: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "data"
    assert prepare(folders, out, "--workers", workers, "--test-crop", "200") == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    dataset = Dataset(out)
    assert dataset.manifest.downscaling is Downscaling.GIVEN
    for number in range(dataset.tiles):
        high, low = dataset.tile(number)
        difference = marked(high)[2:-2, 2:-2].astype(int) - low[2:-2, 2:-2]
        assert np.abs(difference).max() <= 1  # the same place, reduced as a whole and as a part
    (test,) = dataset.test_images()
    top, left, height, width = (side // 4 for side in test.entry.box)
    with Image.open(folders["test-lr"] / "0801x4.png") as image:
        given = np.asarray(image)[top : top + height, left : left + width]
    assert (test.low == given).all()
    large = enlarge(given, 4, Downscaling.MATLAB)
    assert (dataset.bicubic(test.low) == large).all()
    assert metrics["tiles"] == dataset.tiles
    # Other files make other data, which a training that is continued has to notice.
    before = (out / "manifest.json").read_bytes()
    Image.fromarray(np.asarray(given)).save(tmp_path / "x.png")
    with Image.open(folders["lr"] / "0001x4.png") as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    turned.save(folders["lr"] / "0001x4.png")
    assert prepare(folders, out, "--test-crop", "200") == 0
    assert (out / "manifest.json").read_bytes() != before


def test_held_out_photographs_have_theirs_in_the_same_folder(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    command = ["prepare", "--crop", "96", "--photos", str(folders["hr"])]
    command += ["--lr", str(folders["lr"]), "--out", str(tmp_path / "data")]
    assert main(command) == 0
    manifest = Dataset(tmp_path / "data").manifest
    assert len(manifest.train) + len(manifest.test) == 3
    assert all(entry.low_sha256 for entry in manifest.train)
    assert all(entry.low_sha256 for entry in manifest.test)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("missing", "without low resolution in {lr}"),
        ("other scale", "without low resolution in {lr}"),
        ("other size", "low resolution of another size, 59x52 pixels instead of 60x52"),
        ("text", "low resolution cannot be decoded ("),
        ("dangling", "cannot be read (No such file"),
    ],
)
def test_a_photograph_without_its_pair_is_skipped_or_an_error(
    folders: dict[str, Path],
    tmp_path: Path,
    trouble: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, split in (("0001", ""), ("0801", "test-")):
        folder = folders[f"{split}lr"]
        low = folder / f"{name}x4.png"
        if trouble == "other scale":
            low.rename(folder / f"{name}x2.png")
        elif trouble == "other size":
            with Image.open(low) as image:
                smaller = image.crop((0, 0, 59, 52))
            smaller.save(low)
        elif trouble == "text":
            low.write_text("text")
        else:
            shutil.copy(low, folder / "9999x4.png")  # not all are gone; one too many is no harm
            low.unlink()
            if trouble == "dangling":
                low.symlink_to(tmp_path / "nowhere")
        where = folders[f"{split}hr"] / f"{name}.png"
        expected = f"{where}: {reason.format(lr=folder)}"
        if split:
            assert prepare(folders, tmp_path / "data") == 2
            assert expected in capsys.readouterr().err
        else:
            assert prepare(folders, tmp_path / "data") == 0
            assert f"skip   {expected}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--lr {lr}", "--lr goes with --photos"),
        ("--photos {hr} --test-photos {test-hr} --lr {lr}", "--test-lr with --test-photos"),
        ("--photos {hr} --test-photos {test-hr} --test-lr {lr}", "--test-lr with --test-photos"),
        ("--photos {hr} --lr {lr} --test-lr {lr}", "--test-lr with --test-photos"),
        ("--photos {hr} --lr {lr} --downscaling matlab", "--downscaling does not go with --lr"),
        ("--photos {hr} --lr {hr}/none", "no such folder"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folders: dict[str, Path],
    tmp_path: Path,
    arguments: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word.format(**folders) for word in arguments.split()]
    assert main(["prepare", "--out", str(tmp_path / "data"), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_two_images_for_one_photograph(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folders["lr"] / "0001x4.png", folders["lr"] / "0001.png")
    assert prepare(folders, tmp_path / "data") == 2
    assert "two low-resolution images of 0001" in capsys.readouterr().err
