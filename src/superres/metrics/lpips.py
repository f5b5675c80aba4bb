"""LPIPS, the learned perceptual distance of two images (Zhang et al., CVPR 2018, arXiv 1801.03924).

Version 0.1 with AlexNet, the one that papers report. Its weights come from two places. Those of the
five linear layers are in the package `lpips` (BSD licence); their file is read without importing
the package, which would import torchvision. The user provides a file with those of AlexNet.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superres.errors import UserError
from superres.states import read_state

_HEADS = "lpips/weights/v0.1/alex.pth"

# For images in [-1, 1], as the package's ScalingLayer.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

_EPSILON = 1e-10


class Lpips(nn.Module):
    """The distance: 0 for equal images, larger for perceptually more different ones.

    Args:
        alexnet: state-dict file in torchvision's layout: `features.0.weight`, ...

    Raises:
        UserError: the file is not such a state dict, or the package `lpips` is not installed.
    """

    def __init__(self, alexnet: Path) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2)
        self._levels = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU()),
                nn.Sequential(pool, nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
                nn.Sequential(pool, nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
            ]
        )
        convolutions = [m for m in self._levels.modules() if isinstance(m, nn.Conv2d)]
        state = read_state(alexnet)
        with torch.no_grad():
            for number, layer in zip((0, 3, 6, 8, 10), convolutions, strict=True):
                for name, own in (("weight", layer.weight), ("bias", layer.bias)):
                    key = f"features.{number}.{name}"
                    given = state.get(key)
                    if own is None or given is None or given.shape != own.shape:
                        raise UserError(
                            f"{alexnet} is no AlexNet in torchvision's layout: see {key}"
                        )
                    own.copy_(given)
        self._heads = _read_heads()
        self.eval().requires_grad_(False)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Distances (B,) of RGB images (B, 3, H, W) in [0, 1]."""
        shift, scale = (one.new_tensor(v).view(3, 1, 1) for v in (_SHIFT, _SCALE))
        a, b = (((2 * image - 1) - shift) / scale for image in (one, other))
        total = one.new_zeros(len(one))
        for level, head in zip(self._levels, self._heads, strict=True):
            a, b = level(a), level(b)
            difference = (_normalised(a) - _normalised(b)) ** 2  # equation 1
            total += (difference * head.to(one.device)).sum(1).mean((1, 2))
        return total

    def of_pixels(self, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
        """The distance of two images (H, W, 3)."""
        a, b = (torch.tensor(i).permute(2, 0, 1)[None].float() / 255 for i in (one, other))
        return float(self(a, b))


def _read_heads() -> list[Tensor]:
    """Read the weights (C, 1, 1) of the linear layers, one per level."""
    try:
        path = Path(str(distribution("lpips").locate_file(_HEADS)))
    except PackageNotFoundError as error:
        raise UserError('lpips is not installed: pip install "dsice[lpips]"') from error
    state = read_state(path)
    return [state[f"lin{level}.model.1.weight"][0] for level in range(5)]


def _normalised(features: Tensor) -> Tensor:
    length: Tensor = features.square().sum(1, keepdim=True).sqrt()
    return features / (length + _EPSILON)
