"""Enlarging images of any size with a network, in tiles that fit into memory.

A tile is enlarged with a context of the receptive radius, which is cut off afterwards. The pixels
equal those of the whole image in one piece, up to the last bit of a float, which may change a
rounding. Deep networks have a large radius (`GeneratorConfig.receptive_radius`), so small tiles are
mostly context: more memory saves time.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from superres.compute import to_tensor
from superres.data import Pixels
from superres.errors import UserError
from superres.model import Generator, GeneratorConfig

Upscaler = Callable[[Pixels], Pixels]
"""Enlarges (H, W, 3) to (sH, sW, 3), uint8 RGB."""

DEFAULT_MEMORY = 4_000_000_000
"""Bytes for a network's maps where nobody says otherwise; what it needs at least, if that is more.

Enough for every preset to enlarge the test images of `superres prepare` in one piece.
"""

# Tiles with smaller sides would take unreasonably long.
_SMALLEST_TILE = 16

# M_MMAP_THRESHOLD of glibc's malloc.h.
_MMAP_THRESHOLD = -3

# Measured memory of convolutions in addition to the maps.
_SLACK, _MARGIN = 32_000_000, 1.1


@dataclass(frozen=True, slots=True)
class Plan:
    """The tiling of an image, in low-resolution pixels.

    Attributes:
        height: height of a tile; the last row of tiles may be smaller.
        width: width of a tile, likewise.
        context: pixels around a tile that are enlarged with it and cut off again.
        work: total number of pixels of all tiles with context; that of the image if it is one tile.
    """

    height: int
    width: int
    context: int
    work: int


def network_upscaler(
    generator: Generator,
    memory: int | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    ensemble: bool = False,
) -> Upscaler:
    """Create an upscaler from `generator`, for images of any size.

    Args:
        generator: in evaluation mode.
        memory: bytes for its maps; by default `DEFAULT_MEMORY`, or more if needed.
        threads: number of torch's threads, which can change the last bits.
        progress: receives the number of finished pieces and the total.
        ensemble: whether to average over the eight orientations of the image, see
            `self_ensemble`, which takes eight times as long.

    Returns:
        The upscaler, which raises `UserError` if `memory` is too small.
    """
    config = generator.config
    enlarged = partial(self_ensemble, generator) if ensemble else generator

    def upscale(image: Pixels) -> Pixels:
        device = next(generator.parameters()).device
        height, width = image.shape[:2]
        least = least_memory(config, height, width)
        allowed = max(DEFAULT_MEMORY, least) if memory is None else memory
        if allowed < least:
            raise UserError(
                f"this network needs {least / 1e6:.0f} MB for {width}x{height} pixels, "
                f"but {max(0, allowed) / 1e6:.0f} MB are left"
            )
        pixels = int((allowed - _SLACK) / bytes_per_pixel(config))
        plan = make_plan(height, width, config.receptive_radius, pixels)
        scale = config.scale
        out = np.empty((scale * height, scale * width, 3), np.uint8)
        places = [
            (top, left)
            for top in range(0, height, plan.height)
            for left in range(0, width, plan.width)
        ]
        with _threads(threads), torch.inference_mode():
            for done, (top, left) in enumerate(places, 1):
                rows = slice(max(0, top - plan.context), top + plan.height + plan.context)
                columns = slice(max(0, left - plan.context), left + plan.width + plan.context)
                piece = _run(enlarged, image[rows, columns], device)
                down, right = scale * (top - rows.start), scale * (left - columns.start)
                target = out[scale * top :, scale * left :]
                target = target[: scale * plan.height, : scale * plan.width]
                target[:] = piece[down:, right:][: target.shape[0], : target.shape[1]]
                progress(done, len(places))
        return out

    return upscale


def make_plan(height: int, width: int, context: int, pixels: int) -> Plan:
    """Find the tiling of an image with the least work.

    Args:
        height: height of the image.
        width: width of the image.
        context: receptive radius of the network.
        pixels: maximum size of a tile with its context; at least one tile must fit.
    """
    best: Plan | None = None
    for columns in range(1, width + 1):
        tile_width = math.ceil(width / columns)
        piece_width = min(width, tile_width + 2 * context)
        room = pixels // piece_width
        if room < min(height, 1 + 2 * context):
            continue
        rows = 1 if room >= height else math.ceil(height / (room - 2 * context))
        tile_height = math.ceil(height / rows)
        piece_height = min(height, tile_height + 2 * context)
        plan = Plan(tile_height, tile_width, context, rows * columns * piece_height * piece_width)
        if best is None or plan.work < best.work:
            best = plan
    if best is None:
        raise ValueError(f"{pixels} pixels are too few for a context of {context}")
    return best


def bytes_per_pixel(config: GeneratorConfig) -> float:
    """Memory of a forward pass without gradients per low-resolution pixel.

    Nearly all of it is for high-resolution maps: those of all stages, those kept from earlier
    recurrences, and three within a unit. The rest is for low-resolution maps and some copies of
    the result. Measured peaks are 80 to 100 % of this if the allocator returns freed memory
    (`return_freed_memory`), and up to 150 % otherwise.
    """
    kept = config.recurrences if config.recurrences > 1 else 0
    high = (config.stages + kept + 3) * config.nr * config.scale**2
    low = (config.stages + 4) * config.nr + 2 * config.n0
    result = 4 * 3 * config.scale**2
    return 4 * _MARGIN * (high + low + result)


def least_memory(config: GeneratorConfig, height: int, width: int) -> int:
    """Minimum memory in bytes to enlarge an image of this size in reasonable time."""
    side = _SMALLEST_TILE + 2 * config.receptive_radius
    return math.ceil(bytes_per_pixel(config) * min(height, side) * min(width, side)) + _SLACK


def return_freed_memory() -> None:
    """Make the C library return freed blocks to the system at once, where supported.

    By default, glibc keeps blocks of up to 32 MB, but as the sizes vary, it reuses few of them.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1_000_000)


def self_ensemble(generator: Callable[[Tensor], Tensor], low: Tensor) -> Tensor:
    """Average a network's results for the eight orientations of an image, each turned back.

    Sources: Timofte et al., CVPR 2016 (arXiv 1511.02228); the geometric self-ensemble of Lim et
    al., CVPRW 2017 (arXiv 1707.02921), section 3.5.

    Args:
        generator: maps (B, 3, H, W) to (B, 3, sH, sW).
        low: low-resolution images (B, 3, H, W).
    """
    total: Tensor | None = None
    for turns in range(4):
        for mirrored in (False, True):
            seen = torch.rot90(low, turns, (2, 3))
            made = generator(seen.flip(3) if mirrored else seen)
            made = torch.rot90(made.flip(3) if mirrored else made, -turns, (2, 3))
            total = made if total is None else total + made
    assert total is not None
    return total / 8


def _run(enlarge: Callable[[Tensor], Tensor], image: Pixels, device: torch.device) -> Pixels:
    enlarged = enlarge(to_tensor(image[None], device))[0]
    levels = (enlarged.clamp(0, 1) * 255).round().to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).cpu().numpy()
    return pixels


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
