"""The script for a GPU machine runs, here on the CPU at toy size, and its reference is right."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.superres import gpu, on_gpu
from benchmarks.superres.on_gpu import (
    Case,
    Operation,
    Rate,
    Setup,
    by_operation,
    count_flop,
    errors,
    projections,
    rate,
)
from benchmarks.superres.photographs import draw, tiles
from superres.compute import Compute
from superres.features import random_vgg19, vgg19_features


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder = tmp_path_factory.mktemp("gpu")
    draw(folder / "photos", 3, (240, 240))
    tiles(folder / "photos", folder / "tiles", 16)
    return Setup("tiny", 16, "cpu", folder / "tiles", small=True)


def test_errors_are_those_of_the_precision(setup: Setup) -> None:
    fp32, bf16 = (errors(setup, precision, False) for precision in ("fp32", "bf16"))
    for name, value in fp32.items():
        assert value < 1e-4, name
        assert 10 * value < bf16[name] < 0.3, name


def test_fp16_scales_losses_as_a_training_does(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scaler(self: Compute) -> torch.amp.GradScaler:
        return torch.amp.GradScaler("cpu", 2.0**30)

    monkeypatch.setattr(Compute, "scaler", scaler)  # at which gradients overflow
    assert max(errors(setup, "fp16", False).values()) < 3e-3


def test_rates_and_operations(setup: Setup) -> None:
    assert count_flop(setup) > 1e8
    for side in ("superres", "published"):
        found = rate(setup, Case(side, "fp32", False, 2), 0.01)
        assert found is not None
        assert found.images > 0
    operations = by_operation(setup, Case("superres", "fp32", False, 2), count=1)
    assert any("convolution" in operation.name for operation in operations)
    seconds = [operation.seconds for operation in operations]
    assert seconds == sorted(seconds, reverse=True)


def test_projections_are_timed_in_both_forms(setup: Setup) -> None:
    found = projections(setup, 2, 0.01)
    assert len(found) == 4
    assert min(found.values()) > 0


def test_what_does_not_fit_is_no_error(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(on_gpu, "FourTermUpdate", full)
    assert rate(setup, Case("superres", "fp32", False, 2), 0.01) is None


def test_random_vgg19_has_the_size_of_vgg19(tmp_path: Path) -> None:
    network = random_vgg19()
    state: dict[str, torch.Tensor | None] = {}
    index = 0
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            state[f"features.{index}.weight"], state[f"features.{index}.bias"] = (
                module.weight,
                module.bias,
            )
        index += isinstance(module, torch.nn.Conv2d | torch.nn.ReLU | torch.nn.MaxPool2d)
    torch.save(state, tmp_path / "vgg.pth")
    assert len(list(vgg19_features(tmp_path / "vgg.pth").parameters())) == 24


def test_the_tables_and_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is measured is tested above; here it is made up, and the study only looked at."""
    found = {"image": 1e-6, "terms": 2e-6, "generator": 3e-6, "discriminator": 4e-6}
    monkeypatch.setattr(gpu, "errors", lambda *arguments: found)
    monkeypatch.setattr(gpu, "count_flop", lambda setup: 5e11)
    monkeypatch.setattr(gpu, "peak", lambda *arguments: 8e14)
    monkeypatch.setattr(gpu, "projections", lambda *arguments: {"up, matrix product": 4e14})
    monkeypatch.setattr(gpu, "by_operation", lambda *arguments: [Operation("conv", 0.02, 7)])

    def rated(setup: Setup, case: Case, seconds: float) -> Rate | None:
        if case.batch > 4:
            return None
        return Rate({"published": 8.0, "superres": 320.0}[case.side] * case.batch, 12.5)

    monkeypatch.setattr(gpu, "rate", rated)
    run = subprocess.run

    def looked_at(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return run([*command, "--dry-run"], **options)

    monkeypatch.setattr(subprocess, "run", looked_at)
    out = tmp_path / "gpu.md"
    gpu.main(["--quick", "--minutes", "60", "--out", str(out)])
    text = out.read_text()
    assert "Left out" not in text
    assert "| bf16 | 1.0e-06 | 2.0e-06 | 3.0e-06 | 4.0e-06 |" in text
    assert "| up, matrix product | 400 |" in text
    assert "A step takes 500 GFLOP an image." in text
    assert "| superres, bf16, eager, batch 2 | 640 | 80 | 40% | 12.5 | 5.21 |" in text
    assert "| superres, bf16, eager, batch 8 | does not fit |" in text
    assert "| `conv` | 20 | 100% | 7 |" in text
    assert "## A study in two stages" in text
    figures = json.loads(out.with_suffix(".json").read_text())
    assert figures["superres, bf16, eager, batch 2"] == {"images/s": 640, "GB": 12.5}


def test_without_time_everything_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu.main(["--quick", "--minutes", "0"])
    told = capsys.readouterr().out
    assert "Left out: errors, fp32, eager" in told
    assert "Left out: a study in two stages" in told
