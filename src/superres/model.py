"""The generators: dense and recurrent deep back-projection networks (DBPN) for 2x, 4x and 8x.

Sources: Haris, Shakhnarovich, Ukita, "Deep Back-Projection Networks for Super-Resolution",
CVPR 2018 (arXiv 1803.02735), sections 3.2 (projection units), 3.3 (dense units) and 3.4
(architecture); for the recurrent networks the same authors' "Deep Back-Projection Networks for
Single Image Super-Resolution", TPAMI 2020 (arXiv 1904.05677), and the code they published with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.errors import UserError
from superres.layouts import BLOCKS, IMAGES, OVERLAP, PADDING, Layout
from superres.scale import DEFAULT_SCALE, check_scale

# Normalisation of images in normalised networks, and its inverse with the authors' digits.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHIFT, _FACTOR = (2.118, 2.036, 1.804), (4.367, 4.464, 4.444)

# Below this slope, the input of a PReLU is not reconstructed from its result.
_SMALLEST_SLOPE = 1e-3


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """The architecture of a network: everything except its weights.

    Attributes:
        n0: channels of the first convolution.
        nr: channels of every projection unit (n_R in the papers).
        stages: number of up-projections T, with T - 1 down-projections between them. With one
            stage, there is one of each, which is useful in a recurrent network only.
        residual: whether the network adds to a bicubic enlargement of its input instead of
            generating the whole image. The networks of 2018 do not; a small one benefits from it.
        scale: enlargement factor of one side.
        recurrences: how often the same units run, each time on the last low-resolution maps of
            the previous time. With more than one, the image is made from only the last
            high-resolution maps of each; with one, from those of all stages.
        normalised: whether the network works on images normalised as for VGG networks, as in the
            authors' entries to the PIRM 2018 challenge.
    """

    n0: int
    nr: int
    stages: int
    residual: bool = False
    scale: int = DEFAULT_SCALE
    recurrences: int = 1
    normalised: bool = False

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if min(self.n0, self.nr, self.stages, self.recurrences) < 1 or (
            self.stages == 1 and self.recurrences == 1
        ):
            raise UserError(
                f"a D-DBPN needs n0 >= 1, nr >= 1 and stages >= 2 (1 if recurrent), "
                f"not n0={self.n0}, nr={self.nr}, stages={self.stages}, "
                f"recurrences={self.recurrences}"
            )

    @property
    def maps(self) -> int:
        """Number of high-resolution maps, of `nr` channels each, that the image is made from."""
        return self.stages if self.recurrences == 1 else self.recurrences

    @property
    def receptive_radius(self) -> int:
        """Low-resolution pixels on each side that can influence an output pixel (upper bound).

        A projection unit is three projections, each reaching at most one low-resolution pixel
        further at any scale; the first and the last convolution add one each. Of an earlier
        recurrence, only the units up to its last low-resolution maps count.
        """
        handed_on = 2 * max(1, self.stages - 1)
        units = (self.recurrences - 1) * handed_on + 2 * self.stages - 1
        return 3 * units + 2


@dataclass(frozen=True, slots=True)
class Preset:
    """A named network with the defaults of its training.

    Attributes:
        generator: architecture of the generator.
        discriminator_width: channels of the discriminator's first layer.
        learning_rate: Adam's learning rate for the pre-training.
    """

    generator: GeneratorConfig
    discriminator_width: int
    learning_rate: float


def _published(stages: int, recurrences: int = 1) -> Preset:
    config = GeneratorConfig(256, 64, stages, recurrences=recurrences)
    return Preset(config, discriminator_width=64, learning_rate=1e-4)


PRESETS = {
    "tiny": Preset(GeneratorConfig(64, 16, 2), discriminator_width=16, learning_rate=3e-3),
    "dbpn-s": _published(2),
    "d-dbpn": _published(7),
    "dbpnll": _published(10),
    "dbpn-r64-10": _published(1, recurrences=10),
    "dbpn-mr64-3": _published(7, recurrences=3),
}
"""Networks by name, for any scale.

"dbpnll" is the entry to the PIRM 2018 challenge. The recurrent "dbpn-r64-10" runs a single pair of
units ten times; "dbpn-mr64-3" runs the seven stages of "d-dbpn" three times (with `residual` it is
the authors' DBPN-RES-MR64-3).
"""


class Activation(nn.PReLU):
    """An in-place PReLU with one slope; nothing else may need its input.

    On a CPU, torch's own PReLU costs as much as a convolution, mostly for its gradient, and keeps
    the input in addition to the result. Here, the gradient is computed from the result.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to `x` of any shape."""
        if x.device.type != "cpu" or _is_noted():
            return super().forward(x)
        slope = float(self.weight.detach())
        if slope < _SMALLEST_SLOPE:  # the input cannot be reconstructed from the result
            return super().forward(x)
        result: Tensor = _Activate.apply(x, self.weight, slope)  # type: ignore[no-untyped-call]
        return result


def _is_noted() -> bool:
    """Whether operations are being traced, for torch.compile or an export."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


class _Activate(torch.autograd.Function):
    """x where it is positive, slope * x elsewhere, for a positive slope."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, slope: float) -> Tensor:
        ctx.mark_dirty(x)
        functional.leaky_relu_(x, slope)
        ctx.save_for_backward(x)
        ctx.slope = slope
        ctx.shape = weight.shape
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        (result,) = ctx.saved_tensors
        passed = torch.ops.aten.leaky_relu_backward(gradient, result, ctx.slope, True)
        of_slope = torch.mul(gradient, result.clamp(max=0)).sum(dtype=torch.float32) / ctx.slope
        return passed, of_slope.reshape(ctx.shape), None


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), Activation())


def _up(channels: int, scale: int) -> nn.Sequential:
    kernel = scale + OVERLAP
    deconv = nn.ConvTranspose2d(channels, channels, kernel, scale, PADDING)
    return nn.Sequential(deconv, Activation())


def _down(channels: int, scale: int) -> nn.Sequential:
    kernel = scale + OVERLAP
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, scale, PADDING), Activation())


class Projection(nn.Module):
    """An up- or a down-projection unit (CVPR paper, equations 1 to 5 and 6 to 10).

    The unit projects its input to the other resolution, projects that back, and adds the
    projection of the residual between input and back-projection:
    `first = p(x); out = first + r(q(first) - x)`.

    Args:
        channels: n_R.
        scale: ratio of the two resolutions.
        up: True for an up-projection (low to high resolution), False for its mirror.
        inputs: number of input feature maps. With more than one, it is a dense unit, which begins
            with a 1x1 convolution of all of them to n_R channels (section 3.3).
    """

    def __init__(self, channels: int, scale: int, *, up: bool, inputs: int = 1) -> None:
        super().__init__()
        self.up = up
        there, back = (_up, _down) if up else (_down, _up)
        self.merge = _conv(channels * inputs, channels, 1) if inputs > 1 else nn.Sequential()
        self.project = there(channels, scale)
        self.back = back(channels, scale)
        self.correct = there(channels, scale)

    def forward(self, *maps: Tensor, layout: Layout = IMAGES) -> Tensor:
        """Project maps of one resolution, each (B, n_R, H, W) or as the layout has them."""
        there, back = (layout.up, layout.down) if self.up else (layout.down, layout.up)
        x = layout.merge(self.merge, maps) if self.merge else maps[0]
        first = there(self.project, x)
        residual = back(self.back, first) - x
        return first + there(self.correct, residual)


class Generator(nn.Module):
    """DBPN: low-resolution RGB (B, 3, H, W) in [0, 1] to (B, 3, sH, sW), not clipped.

    Weights are Kaiming-normal and biases zero, drawn from torch's global generator.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        n0, nr, stages, scale = config.n0, config.nr, config.stages, config.scale
        self.extract = nn.Sequential(_conv(3, n0, 3), _conv(n0, nr, 1))
        self.ups = nn.ModuleList(
            Projection(nr, scale, up=True, inputs=max(1, t - 1)) for t in range(1, stages + 1)
        )
        self.downs = nn.ModuleList(
            Projection(nr, scale, up=False, inputs=t) for t in range(1, max(2, stages))
        )
        self.reconstruct = nn.Conv2d(nr * config.maps, 3, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        if config.residual:  # start as the bicubic enlargement itself
            nn.init.zeros_(self.reconstruct.weight)

    def forward(self, low: Tensor, layout: Layout | None = None) -> Tensor:
        """Enlarge `low` by the scale of the network.

        Args:
            low: as above.
            layout: of the high-resolution maps; None for the one that is fastest here.
        """
        layout = layout or _fastest(low)
        seen = low
        if self.config.normalised:
            seen = (low - _channels(low, _MEAN)) / _channels(low, _STD)
        x = self.extract(seen)
        if self.config.recurrences == 1:
            highs, _ = self._project(x, layout)
        else:
            highs = []
            for _ in range(self.config.recurrences):
                found, x = self._project(x, layout)
                highs.append(found[0])  # oldest first, as in the authors' code
                del found  # frees the others before the next recurrence
        # Every map's contribution may have 8 bits of mantissa, but not their sum.
        out = layout.reconstruct(self.reconstruct, highs)
        if self.config.normalised:
            out = (out + _channels(out, _SHIFT)) / _channels(out, _FACTOR)
        if self.config.residual:
            scale = self.config.scale
            # With `antialias` torch's kernel is Pillow's (a = -1/2), as the authors add; without,
            # it is a different one (a = -3/4).
            out = out + functional.interpolate(
                low, scale_factor=scale, mode="bicubic", antialias=True
            )
        return out

    def _project(self, x: Tensor, layout: Layout) -> tuple[list[Tensor], Tensor]:
        """Run all units once, on (B, n_R, H, W).

        Returns:
            The high-resolution maps, newest first, and the newest low-resolution maps.
        """
        highs: list[Tensor] = [self.ups[0](x, layout=layout)]
        if self.config.stages == 1:
            return highs, self.downs[0](highs[0], layout=layout)
        lows: list[Tensor] = []
        # Dense connections: every unit sees all earlier maps of its resolution, newest first.
        for down, up in zip(self.downs, self.ups[1:], strict=True):
            lows.insert(0, down(*highs, layout=layout))
            highs.insert(0, up(*lows, layout=layout))
        return highs, lows[0]


def _fastest(low: Tensor) -> Layout:
    """The fastest layout of high-resolution maps for the input `low`.

    What blocks need besides matrix products is fast only where it is compiled. In fp32, torch's
    convolutions use TF32 on GPUs that have it, its matrix products do not.
    """
    on_gpu = low.is_cuda and torch.is_autocast_enabled("cuda")
    return BLOCKS if on_gpu and torch.compiler.is_compiling() else IMAGES


def _channels(like: Tensor, values: Sequence[float]) -> Tensor:
    return like.new_tensor(values).view(3, 1, 1)


def parameter_count(module: nn.Module) -> int:
    """Number of trainable scalars in `module`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
