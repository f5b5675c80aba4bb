"""Every scale from photographs to enlarged images, as a user would go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.data import Dataset

SMALL = ["--n0", "6", "--nr", "4", "--batch", "2", "--threads", "1"]


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.mark.parametrize(
    ("scale", "patch", "network"),
    [
        (2, 8, ["--preset", "dbpn-mr64-3", "--stages", "2"]),
        (8, 4, ["--preset", "dbpn-r64-10", "--recurrences", "2", "--residual"]),
    ],
)
def test_from_photographs_to_enlarged_images(
    scale: int,
    patch: int,
    network: list[str],
    photos: Path,
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, pre, tuned, big = (tmp_path / n for n in ("data", "pre", "tuned", "big"))
    made = ["prepare", "--photos", photos, "--crop", 96, "--scale", scale, "--out", data]
    assert run(*made) == 0
    length = ["--steps", 20, "--lr", 3e-3, "--patch", patch]
    files = ["--data", data, "--out", pre, "--crops", tmp_path / "crops"]
    assert run("pretrain", *files, "--warmup", 2, *length, *network, *SMALL) == 0
    again = ["--from", pre, "--out", tuned, "--result", tmp_path / "result.json", "--threads", 1]
    short = ["--batch", 2, "--steps", 2, "--patch", patch]
    assert run("finetune", *again, "--data", data, *short) == 0
    config = Checkpoint.load(tuned).generator.config
    assert config.scale == scale
    assert config.residual == ("--residual" in network)
    assert config.recurrences == (3 if scale == 2 else 2)

    capsys.readouterr()
    assert run("evaluate", "--checkpoint", tuned, "--data", data) == 0
    judged = json.loads(capsys.readouterr().out.splitlines()[-1])
    result = json.loads((tmp_path / "result.json").read_text())
    assert all(judged[name] == result[name] for name in ("niqe", "rmse", "psnr"))

    with Image.open(photos / "apple.png") as image:
        image.crop((0, 0, 31, 17)).save(tmp_path / "part.png")
    assert run("upscale", "--checkpoint", tuned, "--out", big, tmp_path / "part.png") == 0
    with Image.open(big / "part.png") as image:
        assert image.size == (31 * scale, 17 * scale)

    # Data for another scale.
    capsys.readouterr()
    for command in (
        ["finetune", *again, "--data", dataset.folder, *short],
        ["evaluate", "--checkpoint", tuned, "--data", dataset.folder],
    ):
        assert run(*command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"was prepared for 4x, but the network enlarges {scale}x" in error
        assert f"--scale {scale}" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("prepare --out {tmp}/d --scale 3", "2x, 4x or 8x, not 3x"),
        ("prepare --out {tmp}/d --scale 8 --crop 100", "multiple of 8"),
        ("pretrain --data {data} --out {tmp}/o --stages 1", "D-DBPN needs"),
        ("pretrain --data {data} --out {tmp}/o --recurrences 0", "D-DBPN needs"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: str,
    expected: str,
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*arguments.format(tmp=tmp_path, data=dataset.folder).split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_small_patches_are_refused_where_features_need_larger_ones(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pre = tmp_path / "data", tmp_path / "pre"
    assert run("prepare", "--photos", photos, "--crop", 96, "--scale", 2, "--out", data) == 0
    short = ["--steps", 1, "--patch", 6, "--batch", 2, "--threads", 1]
    names = ["--n0", 6, "--nr", 4, "--residual", "--warmup", 0, "--out", pre]
    assert run("pretrain", "--data", data, *names, *short) == 0
    capsys.readouterr()
    assert run("finetune", "--from", pre, "--data", data, "--out", tmp_path / "o", *short) == 2
    assert "at 2x, a patch needs 8 low-resolution pixels" in capsys.readouterr().err
