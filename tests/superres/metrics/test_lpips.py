"""LPIPS against the authors' package, with AlexNet's weights drawn at random."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from superres.cli import main
from superres.metrics.lpips import Lpips
from tests.superres.conftest import synthetic_photo

try:
    version("lpips")
except PackageNotFoundError:
    pytest.skip("the extra lpips is not installed", allow_module_level=True)


def features() -> nn.Sequential:
    """AlexNet's, as torchvision numbers them."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return features()


@pytest.fixture(scope="module")
def alexnet(network: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("alexnet") / "alexnet.pth"
    torch.save({f"features.{name}": value for name, value in network.state_dict().items()}, file)
    return file


@pytest.fixture
def theirs(network: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The authors' network, with a stand-in for torchvision, which it takes AlexNet from."""
    models = ModuleType("torchvision.models")
    models.alexnet = lambda pretrained: SimpleNamespace(features=network)  # type: ignore[attr-defined]
    torchvision = ModuleType("torchvision")
    torchvision.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    import lpips

    return lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)


def test_distances_are_those_of_the_authors_package(theirs: Any, alexnet: Path) -> None:
    ours = Lpips(alexnet)
    one = torch.rand(2, 3, 64, 80)
    other = (one + 0.2 * torch.randn(one.shape)).clamp(0, 1)
    expected: Tensor = theirs(one, other, normalize=True).flatten()
    torch.testing.assert_close(ours(one, other), expected, rtol=1e-5, atol=1e-7)
    assert (expected > 0).all()
    assert ours(one, one).tolist() == [0, 0]


def test_evaluate_gives_their_mean(
    alexnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = []
    for name in "ab":
        original = synthetic_photo(112, 120, ord(name))
        result = np.clip(original.astype(int) + 20, 0, 255).astype(np.uint8)
        for folder, image in (("results", result), ("originals", original)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{name}.png")
        expected.append(Lpips(alexnet).of_pixels(result, original))
    folders = ["--images", str(tmp_path / "results"), "--originals", str(tmp_path / "originals")]
    assert main(["evaluate", *folders, "--lpips", str(alexnet)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["lpips"] == pytest.approx(np.mean(expected), rel=1e-6)
    assert found["lpips"] > 0


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "a.pth")
    folders = ["--images", str(tmp_path), "--originals", str(tmp_path)]
    Image.fromarray(synthetic_photo(112, 120)).save(tmp_path / "a.png")
    assert main(["evaluate", *folders, "--lpips", str(tmp_path / "a.pth")]) == 2
    assert "is no AlexNet in torchvision's layout: see features.0.weight" in capsys.readouterr().err
