"""How high-resolution maps lie in memory, and how projections compute in each layout.

The projections of a DBPN (Haris et al., CVPR 2018, section 3.2) are strided convolutions whose
kernel spans more than one stride. Libraries compute those of few channels slowly: on an H100, with
64 channels at 4x, a transposed convolution takes six times as long as a matrix product of as many
operations. In blocks of one stride, projections are matrix products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

OVERLAP, PADDING = 4, 2
"""The kernel of a projection is this much wider than its stride; the padding compensates."""

# Columns that fill the 27 of a reconstruction up to a multiple of what matrix units take.
_UNUSED = 5


class Layout(Protocol):
    """Activated convolutions between maps of low resolution (B, C, H, W) and of high resolution.

    High-resolution maps have a shape that only the layout knows; they can be added.
    """

    def up(self, layers: nn.Sequential, low: Tensor) -> Tensor:
        """Project to high resolution.

        Args:
            layers: a transposed convolution, and a PReLU with one slope.
            low: low-resolution maps.
        """
        ...

    def down(self, layers: nn.Sequential, high: Tensor) -> Tensor:
        """Project to low resolution, by a convolution and a PReLU."""
        ...

    def merge(self, layers: nn.Sequential, maps: Sequence[Tensor]) -> Tensor:
        """Merge maps of one resolution, by a 1x1 convolution of all their channels and a PReLU."""
        ...

    def reconstruct(self, convolution: nn.Module, highs: Sequence[Tensor]) -> Tensor:
        """Make an image (B, 3, sH, sW) of high-resolution maps, by a 3x3 convolution.

        Contributions may be computed in 16 bits; their sum is in fp32 at least.
        """
        ...


class Images:
    """High-resolution maps as images (B, C, sH, sW); torch's own convolutions."""

    def up(self, layers: nn.Sequential, low: Tensor) -> Tensor:
        """See `Layout.up`."""
        high: Tensor = layers(low)
        return high

    def down(self, layers: nn.Sequential, high: Tensor) -> Tensor:
        """See `Layout.down`."""
        low: Tensor = layers(high)
        return low

    def merge(self, layers: nn.Sequential, maps: Sequence[Tensor]) -> Tensor:
        """See `Layout.merge`."""
        convolution, activation = layers
        # On a GPU, summing would take many small kernels, and more memory traffic.
        if len(maps) <= 2 or maps[0].is_cuda:
            whole = convolution(torch.cat(list(maps), 1))
        else:
            whole = _convolved_one_by_one(convolution, maps)
        merged: Tensor = activation(whole)
        return merged

    def reconstruct(self, convolution: nn.Module, highs: Sequence[Tensor]) -> Tensor:
        """See `Layout.reconstruct`."""
        if len(highs) <= 2:
            return _wide(convolution(torch.cat(list(highs), 1)))
        return _convolved_one_by_one(convolution, highs, widely=True)


class Blocks:
    """High-resolution maps as blocks of s x s pixels: (B, H', W', s * s, C), for the scale s.

    Block (i, j) holds the pixels from (s * i - 2, s * j - 2) on, row by row, so that the kernel of
    a projection covers whole blocks, n x n of them: n = 1 + ceil(4 / s), H' = H + n - 1. Pixels
    outside the image are zero, as convolutions see them.

    - Up: each block is the product of n x n low-resolution pixels, (n * n * C), with a matrix.
    - Down: each block times a matrix gives its contribution to n x n low-resolution pixels.

    Products are activated without anything in between, so that torch.compile keeps the products
    themselves for the gradient, instead of a copy with a bias or zeros in it.
    """

    def up(self, layers: nn.Sequential, low: Tensor) -> Tensor:
        """See `Layout.up`."""
        convolution, activation = _typed(layers)
        scale, channels = convolution.stride[0], convolution.out_channels
        count = _taps(scale)
        (height, width), more = low.shape[2:], count - 1
        padded = functional.pad(low.permute(0, 2, 3, 1), (0, 0, more, more, more, more))
        rows = torch.cat(
            [padded[:, i : i + height + more, j : j + width + more] for i, j in _pairs(count)], -1
        )
        # A pixel further down sees an earlier row of the kernel.
        matrix = _in_taps(convolution.weight, scale).flip(2, 4).permute(3, 5, 1, 2, 4, 0)
        bias = convolution.bias.repeat(scale * scale)
        blocks = functional.linear(rows.flatten(0, 2), matrix.reshape(len(bias), -1), bias)
        shape = (*rows.shape[:3], scale * scale, channels)
        return _inside(_activated(blocks, activation).view(shape))

    def down(self, layers: nn.Sequential, high: Tensor) -> Tensor:
        """See `Layout.down`."""
        convolution, activation = _typed(layers)
        scale, channels = convolution.stride[0], convolution.out_channels
        count = _taps(scale)
        height, width = (n - count + 1 for n in high.shape[1:3])
        matrix = _in_taps(convolution.weight, scale).permute(2, 4, 0, 3, 5, 1)
        parts = functional.linear(high.flatten(3), matrix.reshape(count * count * channels, -1))
        parts = parts.view(*high.shape[:3], count, count, channels)
        low = sum(parts[:, i : i + height, j : j + width, i, j] for i, j in _pairs(count))
        activated: Tensor = activation(_biased(low, convolution.bias).permute(0, 3, 1, 2))
        return activated

    def merge(self, layers: nn.Sequential, maps: Sequence[Tensor]) -> Tensor:
        """See `Layout.merge`."""
        convolution, activation = _typed(layers)
        if maps[0].ndim == 4:
            low: Tensor = activation(convolution(torch.cat(list(maps), 1)))
            return low
        whole = torch.cat(list(maps), -1).flatten(0, 3)
        high = functional.linear(whole, convolution.weight.flatten(1), convolution.bias)
        return _inside(_activated(high, activation).view(maps[0].shape))

    def reconstruct(self, convolution: nn.Module, highs: Sequence[Tensor]) -> Tensor:
        """See `Layout.reconstruct`."""
        assert isinstance(convolution, nn.Conv2d)
        batch, rows, columns, area, channels = highs[0].shape
        scale = math.isqrt(area)
        height, width = (scale * (n - _taps(scale) + 1) for n in (rows, columns))
        # The contributions of each pixel to its 3 x 3 neighbours, before those are gathered.
        kernels = convolution.weight.permute(2, 3, 0, 1).flatten(0, 2)
        matrices = torch.split(functional.pad(kernels, (0, 0, 0, _UNUSED)), channels, 1)
        parts = [
            _wide(functional.linear(high, matrix))
            for high, matrix in zip(highs, matrices, strict=True)
        ]
        blocks = sum(parts[1:], parts[0])[..., :-_UNUSED].view(
            batch, rows, columns, scale, scale, 27
        )
        pixels = blocks.transpose(2, 3).reshape(batch, scale * rows, scale * columns, 3, 3, 3)
        first = PADDING - 1
        image = sum(
            pixels[:, first + i :, first + j :][:, :height, :width, i, j] for i, j in _pairs(3)
        )
        return _biased(image, convolution.bias).permute(0, 3, 1, 2)


IMAGES, BLOCKS = Images(), Blocks()


def _typed(layers: nn.Sequential) -> tuple[Any, nn.PReLU]:
    """A convolution of either kind and its activation."""
    convolution, activation = layers
    assert isinstance(activation, nn.PReLU)
    return convolution, activation


def _taps(scale: int) -> int:
    """How many blocks a kernel covers on each side."""
    return 1 + -(-OVERLAP // scale)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(count) for j in range(count))


def _in_taps(kernels: Tensor, scale: int) -> Tensor:
    """Kernels (A, B, k, k), filled up with zeros, as (A, B, n, s, n, s)."""
    a, b, size, _ = kernels.shape
    count = _taps(scale)
    more = count * scale - size
    return functional.pad(kernels, (0, more, 0, more)).view(a, b, count, scale, count, scale)


def _activated(rows: Tensor, activation: nn.PReLU) -> Tensor:
    """Apply a PReLU with one slope to rows (N, C).

    As a slope of each column, its gradient is a sum of the same shape as that of the bias: torch.
    compile computes both in one pass.
    """
    return functional.prelu(rows, activation.weight.expand(rows.shape[1]))


def _inside(blocks: Tensor) -> Tensor:
    """`blocks` with zeros outside the image."""
    rows, columns, area = blocks.shape[1:4]
    scale = math.isqrt(area)
    inside = []
    for count in (rows, columns):
        place = torch.arange(scale * count, device=blocks.device)
        end = scale * (count - _taps(scale) + 1) + PADDING
        inside.append(((place >= PADDING) & (place < end)).view(count, scale))
    down, right = inside
    mask = down[:, None, :, None] & right[None, :, None, :]
    return torch.where(mask.view(rows, columns, area, 1), blocks, 0)


def _biased(values: Any, bias: Tensor | None) -> Tensor:
    biased: Tensor = values if bias is None else values + bias.to(values.dtype)
    return biased


def _convolved_one_by_one(
    convolution: nn.Module, maps: Sequence[Tensor], *, widely: bool = False
) -> Tensor:
    """Convolve the concatenation of maps (B, C, H, W), which would double their memory.

    Args:
        convolution: a convolution of all channels of the maps.
        maps: newest or oldest first, in the order of the weights.
        widely: whether to sum in at least fp32.
    """
    assert isinstance(convolution, nn.Conv2d)
    padding = convolution.padding
    assert not isinstance(padding, str)
    first, *others = torch.split(convolution.weight, maps[0].shape[1], 1)
    out = functional.conv2d(maps[0], first, convolution.bias, padding=padding)
    out = _wide(out) if widely else out
    for weight, part in zip(others, maps[1:], strict=True):
        out = out + functional.conv2d(part, weight, padding=padding)
    return out


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
