from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from superres.errors import UserError
from superres.features import random_features, vgg19_features

_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0)


def vgg_state() -> dict[str, Tensor]:
    """Random weights under torchvision's names, with a layer beyond what is needed."""
    torch.manual_seed(0)
    state = {}
    index, channels = 0, 3
    for width in _WIDTHS:
        if width == 0:
            index += 1
            continue
        state[f"features.{index}.weight"] = torch.randn(width, channels, 3, 3) * 0.05
        state[f"features.{index}.bias"] = torch.rand(width) * 0.1
        index, channels = index + 2, width
    state["classifier.0.bias"] = torch.zeros(3)
    return state


def test_random_features_are_the_same_every_time() -> None:
    image = torch.rand(1, 3, 32, 32)
    torch.manual_seed(1)
    first = random_features()(image)
    torch.manual_seed(2)
    second = random_features()(image)
    assert all(torch.equal(a.perceptual, b.perceptual) for a, b in zip(first, second, strict=True))


def test_features_are_frozen_but_let_gradients_through() -> None:
    network = random_features()
    assert not any(p.requires_grad for p in network.parameters())
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    levels = network(image)
    assert len(levels) == 4
    for level in levels:
        (gradient,) = torch.autograd.grad(level.style.sum(), image, retain_graph=True)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vgg19_from_a_state_dict(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vgg19{suffix}"
    state = vgg_state()
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    network = vgg19_features(path)
    image = torch.rand(1, 3, 32, 32)
    x = (image - network.mean) / network.std
    index = 0
    found = network(image)
    for width in _WIDTHS:  # layer by layer, uncalibrated
        if width == 0:
            level = found.pop(0).perceptual  # what goes into the pooling
            ratio = level[x > 0] / x[x > 0]
            assert ratio.std() < 1e-4 * ratio.mean()
            x = functional.max_pool2d(x, 2)
            index += 1
            continue
        weight, bias = (state[f"features.{index}.{name}"] for name in ("weight", "bias"))
        x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
        index += 2
    assert not found
    assert str(path) in network.description
    assert network.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_no_vgg19_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        vgg19_features(tmp_path / "missing.pth")
    (tmp_path / "text.pth").write_text("not a state dict")
    with pytest.raises(UserError, match="not a readable state dict"):
        vgg19_features(tmp_path / "text.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(UserError, match="holds a Tensor"):
        vgg19_features(tmp_path / "tensor.pth")
    state = vgg_state()
    state["features.5.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"see features\.5\.weight"):
        vgg19_features(tmp_path / "other.pth")
