from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.compute import Compute
from superres.data import Dataset

SMALL = ["--n0", "6", "--nr", "4", "--patch", "8", "--batch", "2", "--threads", "1"]


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


@pytest.fixture(scope="module")
def start(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pre-trained checkpoint, just good enough to be an image."""
    out = tmp_path_factory.mktemp("start")
    steps = ["--steps", 30, "--warmup", 3, "--lr", 3e-3]
    assert run("pretrain", "--data", dataset.folder, "--out", out, *steps, *SMALL) == 0
    return out


def test_from_photographs_to_enlarged_images(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, pre, tuned, big = (tmp_path / n for n in ("data", "pre", "tuned", "big"))
    assert run("prepare", "--photos", photos, "--out", data, "--crop", 96) == 0
    bicubic = last_line(capsys)
    assert run("evaluate", "--bicubic", "--data", data) == 0
    again = last_line(capsys)
    assert all(bicubic[name] == again[name] for name in ("niqe", "rmse", "psnr"))

    progress = tmp_path / "progress.jsonl"
    files = ["--result", tmp_path / "pre.json", "--progress", progress, "--crops", tmp_path / "c"]
    steps = ["--steps", 30, "--warmup", 3, "--lr", 3e-3]
    assert run("pretrain", "--data", data, "--out", pre, *steps, *files, *SMALL) == 0
    assert json.loads((tmp_path / "pre.json").read_text()) == last_line(capsys)
    reports = [json.loads(line) for line in progress.read_text().splitlines()]
    assert reports[29]["step"] == 30
    assert set(reports[29]) == {"step", "epoch", "loss", "mse", "rmse"}
    assert set(reports[-1]) == {"step", "epoch", "discriminator"}
    curves = json.loads((pre / "curves.json").read_text())
    assert curves == reports
    assert "RMSE of patches" in (pre / "curves.svg").read_text()
    (crop,) = (tmp_path / "c").iterdir()
    with Image.open(crop) as image:
        assert image.size == (128, 128)

    weights = ["--w-mse", 1e-2, "--w-vgg", 1e-1, "--w-adv", 1e-3, "--w-style", 10]
    result = tmp_path / "tuned.json"
    common = ["--patch", 8, "--batch", 2, "--epochs", 9, "--result", result, "--threads", 1]
    assert run("finetune", "--from", pre, "--data", data, "--out", tuned, *weights, *common) == 0
    final = json.loads(result.read_text())
    assert set(final) == {"niqe", "rmse", "psnr", "ssim", "loss", "seconds"}
    stages = Checkpoint.load(tuned).history
    assert [stage["stage"] for stage in stages] == ["pretrain", "finetune"]
    assert stages[1]["steps"] == 9
    assert "random" in stages[1]["features"]

    capsys.readouterr()
    assert run("evaluate", "--checkpoint", tuned, "--data", data) == 0
    judged = last_line(capsys)
    assert all(judged[name] == final[name] for name in ("niqe", "rmse", "psnr"))

    assert run("upscale", "--checkpoint", tuned, "--out", big, photos / "apple.png") == 0
    with Image.open(big / "apple.png") as image:
        assert image.size == (960, 832)


def test_epochs_are_kept_as_checkpoints(start: Path, dataset: Dataset, tmp_path: Path) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    length = ["--epochs", 6, "--batch", 2, "--patch", 8, "--threads", 1, "--data", dataset.folder]
    command = ["finetune", "--from", start, *length]
    assert run(*command, "--out", out, "--keep-every", 2) == 0
    assert sorted(path.name for path in (out / "epochs").iterdir()) == ["00002", "00004", "00006"]
    kept = Checkpoint.load(out / "epochs" / "00004")
    assert [stage["stage"] for stage in kept.history] == ["pretrain", "finetune"]
    assert kept.history[-1]["epoch"] == 4
    final = Checkpoint.load(out)
    last = Checkpoint.load(out / "epochs" / "00006").generator.state_dict()
    assert all(torch.equal(v, last[n]) for n, v in final.generator.state_dict().items())
    assert "epoch" not in final.history[-1]
    assert run("evaluate", "--checkpoint", out / "epochs" / "00002", "--data", dataset.folder) == 0
    command = ["pretrain", *SMALL, "--steps", 4, "--warmup", 2, "--data", dataset.folder]
    assert run(*command, "--out", again, "--keep-every", 1, "--loss", "l1") == 0
    assert len(list((again / "epochs").iterdir())) == 4
    assert Checkpoint.load(again).history[0]["loss"] == "l1"


def test_the_device_can_be_named(
    start: Path, dataset: Dataset, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    choose = Compute.choose

    def record(device: str, precision: str) -> Compute:
        asked.append(device)
        return choose("cpu", precision)

    monkeypatch.setattr(Compute, "choose", record)
    assert (
        run("evaluate", "--checkpoint", start, "--data", dataset.folder, "--device", "cuda:1") == 0
    )
    apple = photos / "apple.png"
    big = tmp_path / "big"
    assert run("upscale", "--checkpoint", start, "--out", big, "--device", "cuda", apple) == 0
    assert run("upscale", "--checkpoint", start, "--out", big, apple) == 0
    assert asked == ["cuda:1", "cuda", "auto"]


def test_a_diverged_training_leaves_no_result(
    start: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    result.write_text("{}")
    arguments = ["--from", start, "--data", dataset.folder, "--out", tmp_path / "out"]
    wild = ["--lr", 1e6, "--steps", 50, "--patch", 8, "--batch", 2, "--result", result]
    assert run("finetune", *arguments, *wild) == 3
    assert not result.exists()
    assert not (tmp_path / "out").exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "diverged at step" in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("prepare --photos {tmp}/none --out {tmp}/d", "no such folder"),
        ("prepare --test-photos {tmp} --out {tmp}/d", "needs --photos"),
        ("prepare --out {tmp}/d --crop 33", "multiple of 4"),
        ("prepare --out {tmp}/d --workers 0", "--workers must be 1 at least"),
        ("pretrain --data {tmp} --out {tmp}/o", "no prepared data"),
        ("pretrain --data {data} --out {tmp}/o --steps 0", "1 at least"),
        ("pretrain --data {data} --out {tmp}/o --batch 0", "1 at least"),
        ("pretrain --data {data} --out {tmp}/o --epochs 0", "1 at least"),
        ("pretrain --data {data} --out {tmp}/o --warmup -1", "must not be negative"),
        ("pretrain --data {data} --out {tmp}/o --threads 0", "1 at least"),
        ("pretrain --data {data} --out {tmp}/o --nr 0", "D-DBPN needs"),
        ("pretrain --data {data} --out {tmp}/o --lr 0", "must be positive"),
        ("pretrain --data {data} --out {tmp}/o --patch 25", "--patch 24 or less"),
        ("pretrain --data {data} --out {file}", "is a file"),
        ("pretrain --data {data} --out {tmp}/o --keep-every -1", "must not be negative"),
        ("finetune --from {tmp} --data {data} --out {tmp}/o", "holds no checkpoint"),
        ("finetune --from {start} --data {data} --out {tmp}/o --w-adv -1", "not negative"),
        ("finetune --from {start} --data {data} --out {tmp}/o --w-mse nan", "must be finite"),
        ("finetune --from {start} --data {data} --out {tmp}/o --vgg {file}", "state dict"),
        ("finetune --from {start} --data {data} --out {tmp}/o --result {file}/r", "cannot write"),
        ("evaluate --checkpoint {start} --data {tmp}/none", "no prepared data"),
        ("evaluate --bicubic --data {data} --crops {file}", "is a file"),
        ("evaluate --checkpoint {start} --data {data} --device meta", "no such device: meta"),
        ("evaluate --checkpoint {start} --data {data} --shave -1", "--shave must not be negative"),
        ("upscale --checkpoint {start} --out {tmp}/o --device meta {file}", "no such device: meta"),
        ("upscale --checkpoint {start} --out {tmp}/o {file}", "as an image"),
        ("upscale --checkpoint {start} --out {tmp}/o a.png b/a.jpg", "would both become"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: str,
    expected: str,
    start: Path,
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    places = {"tmp": tmp_path, "data": dataset.folder, "start": start, "file": file}
    assert run(*(word.format(**places) for word in arguments.split())) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("superres: ")
    assert expected in error


def test_a_wrong_argument_is_exit_code_2() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--data", "x"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    "command",
    ["prepare", "pretrain", "finetune", "evaluate", "table", "upscale", "import", "export"],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "Exit codes" in capsys.readouterr().out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys, superres.cli\n"
        "try: superres.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'PIL', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from superres.cli import main\n"
        "sys.exit(main(['upscale', '--checkpoint', 'a', '--out', 'b', 'c.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == 'superres: torch is not installed: pip install "dsice[superres]"\n'
