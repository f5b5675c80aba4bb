"""Frozen feature networks for the perceptual and the style term.

Two sources of features: a VGG19 (Simonyan and Zisserman, arXiv 1409.1556) whose weights the
user names, in torchvision's layout; or else a smaller network of the same style with random
weights, which is known to serve as a perceptual loss (Liu et al., "Generic Perceptual Loss for
Modeling Structured Output Dependencies", CVPR 2021, arXiv 2103.10571). As in Johnson et al., ECCV
2016, the features of a level are those of its last convolution, rectified, before the pooling.

The scale of such features is arbitrary, and with it the meaning of the weights of these two
terms. Both kinds are therefore calibrated: on a fixed synthetic picture and its blurred copy, the
perceptual and the style term with their default weights equal the pixel term with its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.compute import exactly
from superres.errors import UserError
from superres.files import sha256
from superres.losses import DEFAULT_WEIGHTS, Level, gram
from superres.states import read_state

_VGG19_LEVELS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4)
_RANDOM_LEVELS = ((16,), (32,), (64,), (64,))
# Fixed, so that all runs of a study use the same features.
_RANDOM_SEED = 1909


class FeatureNetwork(nn.Module):
    """Features of images at several levels, each at half the resolution of the one before.

    Args:
        blocks: one per level; each takes the output of the one before.
        description: origin of the weights, for the user.
        sha256: hash of their file, if any, hexadecimal.
        mean: subtracted from the RGB channels of an image in [0, 1].
        std: divides them.
    """

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        description: str,
        *,
        sha256: str | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        self.description = description
        self.sha256 = sha256
        self.blocks = nn.ModuleList(blocks)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self._weights = [(1.0, 1.0)] * len(self.blocks)
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Level]:
        """Features and Gram matrices of RGB images (B, 3, H, W), H and W >= 16, with weights."""
        x = (image - self.mean) / self.std
        found = []
        for block, weights in zip(self.blocks, self._weights, strict=True):
            x = block(x)
            with exactly(x):
                found.append(Level(x, gram(x), *weights))
        return found

    def calibrate(self) -> None:
        """Scale every level to its share of the default loss on a fixed blurred picture."""
        sharp = _pink_noise(128)
        kernel = torch.full((3, 1, 4, 4), 1 / 16)
        blurred = functional.conv2d(
            functional.pad(sharp, (2, 1, 2, 1), "reflect"), kernel, groups=3
        )
        share = DEFAULT_WEIGHTS.mse * functional.mse_loss(blurred, sharp).item() / len(self.blocks)
        self._weights = [
            (
                share / DEFAULT_WEIGHTS.vgg / _mse(a.perceptual, b.perceptual),
                share / DEFAULT_WEIGHTS.style / _mse(a.style, b.style),
            )
            for a, b in zip(self(blurred), self(sharp), strict=True)
        ]


def random_features() -> FeatureNetwork:
    """The frozen random network: the same weights in every process and on every machine."""
    return _random(_RANDOM_LEVELS, "frozen random VGG-style network")


def random_vgg19() -> FeatureNetwork:
    """A network of VGG19's size with random weights, for benchmarks."""
    return _random(_VGG19_LEVELS, "VGG19 with random weights")


def _random(levels: tuple[tuple[int, ...], ...], description: str) -> FeatureNetwork:
    network = FeatureNetwork(_blocks(levels), description)
    source = torch.Generator().manual_seed(_RANDOM_SEED)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            fan_in = module.weight[0].numel()
            module.weight.copy_(
                torch.randn(module.weight.shape, generator=source) * math.sqrt(2 / fan_in)
            )
            module.bias.zero_()
    network.calibrate()
    return network


def vgg19_features(path: Path) -> FeatureNetwork:
    """Load VGG19 up to its twelfth convolution from a state-dict file.

    Args:
        path: `.pth` (read with `weights_only`) or `.safetensors` in torchvision's layout, that
            is with entries `features.0.weight`, `features.0.bias`, `features.2.weight`, ...

    Raises:
        UserError: the file cannot be read or is not such a state dict.
    """
    state = read_state(path)
    # ImageNet statistics: what torchvision's weights were trained with.
    network = FeatureNetwork(
        _blocks(_VGG19_LEVELS),
        f"VGG19 from {path}",
        sha256=sha256(path),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    index = 0  # torchvision numbers convolutions, ReLUs and poolings in one sequence
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            for own, name in ((module.weight, "weight"), (module.bias, "bias")):
                key = f"features.{index}.{name}"
                given = state.get(key)
                if given is None or given.shape != own.shape:
                    raise UserError(f"{path} is no VGG19 in torchvision's layout: see {key}")
                own.copy_(given)
            index += 1
        elif isinstance(module, nn.ReLU | nn.MaxPool2d):
            index += 1
    network.calibrate()
    return network


def pooled_image() -> FeatureNetwork:
    """Max-poolings of the image without convolutions, as compared by the authors' released script.

    It replaces a feature network in the emulation of that script.
    """
    pools = [nn.MaxPool2d(2) for _ in _VGG19_LEVELS]
    return FeatureNetwork(pools, "poolings of the image, as released", mean=[0] * 3, std=[1] * 3)


def _blocks(levels: tuple[tuple[int, ...], ...]) -> list[nn.Sequential]:
    """3x3 convolutions with these output channels and ReLUs, with a pooling between levels."""
    blocks = []
    channels = 3
    for level, widths in enumerate(levels):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if level else []
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        blocks.append(nn.Sequential(*layers))
    return blocks


def _mse(a: Tensor, b: Tensor) -> float:
    return functional.mse_loss(a, b).item()


def _pink_noise(size: int) -> Tensor:
    """A (1, 3, size, size) picture in [0, 1] with the 1/f amplitude spectrum of photographs."""
    source = torch.Generator().manual_seed(_RANDOM_SEED)
    noise = torch.randn(1, 3, size, size, generator=source)
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :]
    frequency = torch.sqrt(rows**2 + columns**2).clamp(min=1 / size)
    picture = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(size, size))
    scaled: Tensor = (0.5 + 0.2 * picture / picture.std()).clamp(0, 1)
    return scaled
