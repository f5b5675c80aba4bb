"""The generator: dense deep back-projection networks (D-DBPN) for 4x super-resolution.

Source: Haris, Shakhnarovich, Ukita, "Deep Back-Projection Networks for Super-Resolution",
CVPR 2018, sections 3.2 (projection units), 3.3 (dense units) and 3.4 (architecture).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.errors import UserError

SCALE = 4
"""Enlargement of one side. Everything in this package is 4x."""

# Projections at 4x (paper, section 4.1): 8x8 kernels, stride 4, two pixels of padding.
_KERNEL, _PADDING = 8, 2


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Size of a D-DBPN.

    Attributes:
        n0: channels of the first convolution.
        nr: channels of every projection unit (n_R in the paper).
        stages: number of up-projections T; there are T - 1 down-projections between them.
        residual: whether the network adds to a bicubic enlargement of its input instead of making
            the whole image. The published network does not; a small one gets further with it.
    """

    n0: int
    nr: int
    stages: int
    residual: bool = False

    def __post_init__(self) -> None:
        if min(self.n0, self.nr) < 1 or self.stages < 2:
            raise UserError(
                f"a D-DBPN needs n0 >= 1, nr >= 1 and stages >= 2, "
                f"not n0={self.n0}, nr={self.nr}, stages={self.stages}"
            )

    @property
    def receptive_radius(self) -> int:
        """Low-resolution pixels on each side that can influence an output pixel (upper bound).

        A projection unit is three stride-4 projections, each reaching at most one
        low-resolution pixel further; the first and the last convolution add one each.
        """
        return 3 * (2 * self.stages - 1) + 2


@dataclass(frozen=True, slots=True)
class Preset:
    """A named network with what its training needs to know.

    Attributes:
        generator: size of the generator.
        critic_width: channels of the discriminator's first layer.
        learning_rate: Adam's learning rate for the pre-training.
    """

    generator: GeneratorConfig
    critic_width: int
    learning_rate: float


PRESETS = {
    "tiny": Preset(GeneratorConfig(64, 16, 2), critic_width=16, learning_rate=3e-3),
    "dbpn-s": Preset(GeneratorConfig(256, 64, 2), critic_width=64, learning_rate=1e-4),
    "d-dbpn": Preset(GeneratorConfig(256, 64, 7), critic_width=64, learning_rate=1e-4),
    "dbpnll": Preset(GeneratorConfig(256, 64, 10), critic_width=64, learning_rate=1e-4),
}
"""Networks by name; "dbpnll" is the entry to the PIRM 2018 challenge."""


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.PReLU())


def _up(channels: int) -> nn.Sequential:
    deconv = nn.ConvTranspose2d(channels, channels, _KERNEL, SCALE, _PADDING)
    return nn.Sequential(deconv, nn.PReLU())


def _down(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, _KERNEL, SCALE, _PADDING), nn.PReLU())


class Projection(nn.Module):
    """An up- or a down-projection unit (paper, equations 1 to 5 and 6 to 10).

    The unit projects its input to the other resolution, projects that back, and adds the
    projection of the residual between input and back-projection:
    `first = p(x); out = first + r(q(first) - x)`.

    Args:
        channels: n_R.
        up: True for an up-projection (low to high resolution), False for its mirror.
        inputs: feature maps that arrive concatenated; more than one makes it a dense unit,
            which begins with a 1x1 convolution back to n_R channels (section 3.3).
    """

    def __init__(self, channels: int, *, up: bool, inputs: int = 1) -> None:
        super().__init__()
        there, back = (_up, _down) if up else (_down, _up)
        self.merge = _conv(channels * inputs, channels, 1) if inputs > 1 else nn.Identity()
        self.project = there(channels)
        self.back = back(channels)
        self.correct = there(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Project `x` (B, inputs * n_R, H, W) to (B, n_R, 4H, 4W), or to (B, n_R, H/4, W/4)."""
        x = self.merge(x)
        first: Tensor = self.project(x)
        residual: Tensor = self.back(first) - x
        out: Tensor = first + self.correct(residual)
        return out


class Generator(nn.Module):
    """D-DBPN: low-resolution RGB (B, 3, H, W) in [0, 1] to (B, 3, 4H, 4W), not clipped.

    Weights are Kaiming-normal and biases zero, drawn from torch's global generator.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        n0, nr, stages = config.n0, config.nr, config.stages
        self.extract = nn.Sequential(_conv(3, n0, 3), _conv(n0, nr, 1))
        self.ups = nn.ModuleList(
            Projection(nr, up=True, inputs=max(1, t - 1)) for t in range(1, stages + 1)
        )
        self.downs = nn.ModuleList(Projection(nr, up=False, inputs=t) for t in range(1, stages))
        self.reconstruct = nn.Conv2d(nr * stages, 3, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        if config.residual:  # begin as the bicubic enlargement itself
            nn.init.zeros_(self.reconstruct.weight)

    def forward(self, low: Tensor) -> Tensor:
        """Enlarge `low` fourfold."""
        x = self.extract(low)
        highs: list[Tensor] = [self.ups[0](x)]
        lows: list[Tensor] = []
        # Dense connections: every unit sees all earlier maps of its resolution, newest first.
        for down, up in zip(self.downs, self.ups[1:], strict=True):
            lows.insert(0, down(torch.cat(highs, 1)))
            highs.insert(0, up(torch.cat(lows, 1)))
        out: Tensor = self.reconstruct(torch.cat(highs, 1))
        if self.config.residual:
            out = out + functional.interpolate(low, scale_factor=SCALE, mode="bicubic")
        return out


def parameter_count(module: nn.Module) -> int:
    """Number of trainable scalars in `module`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
