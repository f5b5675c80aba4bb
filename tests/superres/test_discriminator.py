from __future__ import annotations

import torch

from superres.discriminator import Discriminator


def test_scores_patches() -> None:
    assert Discriminator(4)(torch.rand(2, 3, 80, 64)).shape == (2, 1, 20, 16)


def test_its_slope_is_bounded() -> None:
    """After some power iterations every layer's largest singular value is about one."""
    torch.manual_seed(0)
    discriminator = Discriminator(8)
    with torch.no_grad():
        for name, parameter in discriminator.named_parameters():
            if name.endswith("original"):
                parameter.mul_(100)
        for _ in range(100):
            discriminator(torch.rand(1, 3, 16, 16))
        for layer in discriminator.layers:
            if isinstance(layer, torch.nn.Conv2d):
                norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
                assert 0.9 < norm < 1.1
