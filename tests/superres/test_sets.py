"""Tables of test sets: what is judged, and how it is printed."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.discriminator import Discriminator
from superres.model import Generator, GeneratorConfig
from superres.table import Row, as_csv, as_latex, as_markdown
from tests.superres.conftest import synthetic_photo
from tests.superres.imresize import imresize_levels
from tests.superres.photographs import photograph


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders: parts of photographs, one of them grey, with sides that no scale divides."""
    folder = tmp_path_factory.mktemp("sets")
    for name, images in {
        "Set2": {
            "astronaut": photograph("astronaut")[60:189, 150:285],
            "grey": photograph("camera")[100:231, 200:331, 0],
        },
        "Set1": {"flower": photograph("flower")[200:330, 200:345]},
    }.items():
        (folder / name).mkdir()
        for image, pixels in images.items():
            Image.fromarray(pixels).save(folder / name / f"{image}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that makes nearly the bicubic enlargement, at 4x."""
    out = tmp_path_factory.mktemp("network") / "nearly_bicubic"
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(6, 4, 2, residual=True)).eval()
    torch.nn.init.normal_(generator.reconstruct.weight, std=1e-3)
    Checkpoint(generator, Discriminator(4).eval(), ()).save(out)
    return out


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_scores_what_an_independent_program_makes_of_it(
    scale: int, sets: Path, tmp_path: Path
) -> None:
    out = tmp_path / "table.csv"
    options = ["--scale", scale, "--format", "csv", "--out", out]
    assert run("table", sets / "Set2", *options) == 0
    (row,) = read_csv(out)
    assert (row["set"], row["method"], row["images"]) == ("Set2", "bicubic", "2")
    found = []
    for path in sorted((sets / "Set2").iterdir()):
        with Image.open(path) as image:
            original = np.asarray(image.convert("RGB"))
        height, width = (side // scale * scale for side in original.shape[:2])
        original = original[:height, :width]
        low = imresize_levels(original, height // scale, width // scale)
        result = imresize_levels(low, height, width)
        weights = np.array([65.481, 128.553, 24.966]) / 255
        y, reference = (
            np.floor(16 + i @ weights + 0.5)[scale:-scale, scale:-scale] for i in (result, original)
        )
        found.append(20 * math.log10(255 / np.sqrt(np.mean((y - reference) ** 2))))
    assert float(row["psnr"]) == pytest.approx(np.mean(found), abs=1e-4)


def test_networks_stand_beside_bicubic(
    sets: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "table.csv"
    options = ["--format", "csv", "--out", out, "--checkpoint", network]
    assert run("table", sets / "Set2", f"other={sets / 'Set1'}", *options) == 0
    assert capsys.readouterr().out == out.read_text()
    rows = read_csv(out)
    assert [(row["set"], row["method"]) for row in rows] == [
        ("Set2", "bicubic"),
        ("Set2", "nearly_bicubic"),
        ("other", "bicubic"),
        ("other", "nearly_bicubic"),
    ]
    assert list(rows[0]) == ["set", "method", "images", "psnr", "ssim", "niqe", "rmse"]
    for bicubic, ours in (rows[:2], rows[2:]):
        assert float(ours["psnr"]) == pytest.approx(float(bicubic["psnr"]), abs=0.5)
        assert ours["psnr"] != bicubic["psnr"]
    assert run("table", sets / "Set2", "--self-ensemble", *options) == 0
    again = read_csv(out)
    assert again[0] == rows[0]
    assert again[1]["psnr"] != rows[1]["psnr"]


ROWS = [
    Row("Set_5", "bicubic", 5, {"psnr": 28.4183, "ssim": 0.81044, "niqe": 9.11, "rmse": 12.58}),
    Row("Set_5", "ours|a", 5, {"psnr": 30.1, "ssim": 0.85, "niqe": 7.2, "rmse": 10.1, "pi": 5.5}),
]


def test_markdown() -> None:
    assert as_markdown(ROWS).splitlines() == [
        "| set | method | PSNR | SSIM | NIQE | RMSE | PI |",
        "|---|---|---:|---:|---:|---:|---:|",
        "| Set_5 | bicubic | 28.42 | 0.8104 | 9.110 | 12.580 |  |",
        r"| Set_5 | ours\|a | **30.10** | **0.8500** | **7.200** | **10.100** | **5.500** |",
    ]


def test_latex() -> None:
    lines = as_latex(ROWS[:1]).splitlines()
    assert lines[0] == r"\begin{tabular}{llrrrr}"
    assert lines[2] == r"Set & Method & PSNR & SSIM & NIQE & RMSE \\"
    assert lines[4] == r"Set\_5 & bicubic & 28.42 & 0.8104 & 9.110 & 12.580 \\"  # alone, not bold
    assert lines[-1] == r"\end{tabular}"
    assert r" & ours|a & \textbf{30.10}" in as_latex(ROWS)


def test_csv_has_all_digits() -> None:
    assert as_csv(ROWS[:1]).splitlines() == [
        "set,method,images,psnr,ssim,niqe,rmse",
        "Set_5,bicubic,5,28.4183,0.81044,9.11,12.58",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("{tmp}/none", "no such folder"),
        ("{sets}/Set1 a={sets}/Set2 a={sets}/Set1", "two test sets are called a"),
        ("{sets}/Set1 --checkpoint {net} --checkpoint {net}", "two methods are called"),
        ("{sets}/Set1 --checkpoint bicubic={net}", "two methods are called bicubic"),
        ("{sets}/Set1 --checkpoint {net} --scale 2", "enlarges 4x, but the table is for 2x"),
        ("{sets}/Set1 --scale 3", "not 3x"),
        ("{sets}/Set1 --workers 0", "--workers must be 1 at least"),
        ("{sets}/Set1 {tmp}", "NIQE needs 104x104"),
    ],
)
def test_mistakes_are_told_before_the_work(
    arguments: str,
    expected: str,
    sets: Path,
    network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(synthetic_photo(90, 200)).save(tmp_path / "small.png")
    words = arguments.format(tmp=tmp_path, sets=sets, net=network).split()
    assert run("table", *words) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert expected in captured.err
    assert captured.out == ""
