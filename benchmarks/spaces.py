"""Search spaces with rules, beside Kernel Tuner's builder: ``python -m benchmarks.spaces``.

The spaces are those that Kernel Tuner's authors publish and measure their builder on, as facts: the
levels of each parameter and the restrictions. For each, the time and the memory that it takes

- Kernel Tuner to build its `Searchspace`, a list of all configurations with an index;
- dsice to count the allowed points (`Grid.counts`), after which it can draw any of them;
- dsice to list them all as well, in the order of the grid.

Each measurement is made in a new process, ``--repeat`` times; the least time counts.

Sources: F.-J. Willemsen, R. V. van Nieuwpoort, B. van Werkhoven, "Efficient construction of large
search spaces for auto-tuning", ICPP 2025 (dedispersion, expdist, hotspot, microhh, ATF's Gaussian
convolution); the auto-tuning benchmark hub (convolution, GEMM).
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dsice.grid import Axis, Grid

_TWOS: Final = [1, 2, 4, 8, 16, 32]
_TEN: Final = range(1, 11)
_SHARED: Final = (
    "(block_size_x*tile_size_x + temporal_tiling_factor * 2) * "
    "(block_size_y*tile_size_y + temporal_tiling_factor * 2) * (2+sh_power) * 4"
)


@dataclass(frozen=True)
class Space:
    """A published search space.

    Attributes:
        parameters: the values of each, by name.
        restrictions: which all must hold.
        allowed: how many configurations are left, as published or as counted one by one.
    """

    parameters: dict[str, Sequence[int]]
    restrictions: list[str]
    allowed: int

    def grid(self) -> Grid:
        """The same for dsice."""
        axes = [Axis(name, list(values)) for name, values in self.parameters.items()]
        return Grid(axes, " and ".join(f"({each})" for each in self.restrictions))


def _gaussian(size: int) -> Space:
    """ATF's Gaussian convolution, whose tile sizes run over all numbers up to ``size``."""
    every = range(1, size + 1)
    parameters: dict[str, Sequence[int]] = {
        "CACHE_L_CB": [0, 1],
        "CACHE_P_CB": [0, 1],
        "G_CB_RES_DEST_LEVEL": [2],
        "L_CB_RES_DEST_LEVEL": [2, 1, 0],
        "P_CB_RES_DEST_LEVEL": [2, 1, 0],
    }
    restrictions = [
        "L_CB_RES_DEST_LEVEL <= G_CB_RES_DEST_LEVEL",
        "P_CB_RES_DEST_LEVEL <= L_CB_RES_DEST_LEVEL",
        "OCL_DIM_L_2 != OCL_DIM_L_1",
    ]
    for d in (1, 2):
        parameters |= {f"INPUT_SIZE_L_{d}": [size], f"OCL_DIM_L_{d}": [0, 1]}
        names = ("L_CB_SIZE", "P_CB_SIZE", "NUM_WG", "NUM_WI")
        parameters |= {f"{name}_L_{d}": every for name in names}
        restrictions += [
            f"INPUT_SIZE_L_{d} % L_CB_SIZE_L_{d} == 0",
            f"L_CB_SIZE_L_{d} % P_CB_SIZE_L_{d} == 0",
            f"(INPUT_SIZE_L_{d} / L_CB_SIZE_L_{d}) % NUM_WG_L_{d} == 0",
            f"(L_CB_SIZE_L_{d} / P_CB_SIZE_L_{d}) % NUM_WI_L_{d} == 0",
            f"NUM_WI_L_{d} <= (INPUT_SIZE_L_{d} + NUM_WG_L_{d} - 1 / NUM_WG_L_{d})",
        ]
    return Space(parameters, restrictions, 0)


SPACES: Final[dict[str, Space]] = {
    "convolution": Space(
        {
            "filter_height": [15],
            "filter_width": [15],
            "block_size_x": range(16, 257, 16),
            "block_size_y": [1, 2, 4, 8, 16],
            "tile_size_x": [1, 2, 3, 4],
            "tile_size_y": [1, 2, 3, 4],
            "read_only": [0, 1],
            "use_padding": [0, 1],
            "use_shmem": [0, 1],
            "use_cmem": [1],
        },
        [
            "use_padding==0 or block_size_x % 32 != 0",
            "block_size_x*block_size_y<=1024",
            "use_padding==0 or use_shmem != 0",
            "use_shmem == 0 or (((block_size_x*tile_size_x+(filter_width-1)))"
            "*((block_size_y*tile_size_y+(filter_height-1)))) < 12*1024",
        ],
        4362,
    ),
    "dedispersion": Space(
        {
            "block_size_x": _TWOS,
            "block_size_y": range(32, 257, 8),
            "block_size_z": [1],
            "tile_size_x": range(1, 5),
            "tile_size_y": range(1, 9),
            "tile_stride_x": [0, 1],
            "tile_stride_y": [0, 1],
            "loop_unroll_factor_channel": [0],
        },
        [
            "32 <= block_size_x * block_size_y <= 1024",
            "tile_size_x > 1 or tile_stride_x == 0",
            "tile_size_y > 1 or tile_stride_y == 0",
        ],
        11130,
    ),
    "gemm": Space(
        {
            "GEMMK": [0],
            "MWG": [16, 32, 64, 128],
            "NWG": [16, 32, 64, 128],
            "KWG": [16, 32],
            "MDIMC": [8, 16, 32],
            "NDIMC": [8, 16, 32],
            "MDIMA": [8, 16, 32],
            "NDIMB": [8, 16, 32],
            "KWI": [2],
            "VWM": [1, 2, 4, 8],
            "VWN": [1, 2, 4, 8],
            "STRM": [0, 1],
            "STRN": [0, 1],
            "SA": [0, 1],
            "SB": [0, 1],
            "KREG": [1],
            "PRECISION": [32],
        },
        [
            "KWG % KWI == 0",
            "MWG % (MDIMC * VWM) == 0",
            "NWG % (NDIMC * VWN) == 0",
            "MWG % (MDIMA * VWM) == 0",
            "NWG % (NDIMB * VWN) == 0",
            "KWG % ((MDIMC * NDIMC)/MDIMA) == 0",
            "KWG % ((MDIMC * NDIMC)/NDIMB) == 0",
            "not (MWG == 128 and NWG == 128 and MDIMC == 8 and NDIMC == 8)",
        ],
        116928,
    ),
    "microhh": Space(
        {
            "STATIC_STRIDES": [0],
            "TILING_STRATEGY": [0],
            "REWRITE_INTERP": [0],
            "BLOCK_SIZE_X": [1, 2, 4, 8, 16, 32, 128, 256, 512, 1024],
            "BLOCK_SIZE_Y": _TWOS,
            "BLOCK_SIZE_Z": [1, 2, 4],
            "TILING_FACTOR_X": [1, 2, 4, 8],
            "TILING_FACTOR_Y": [1, 2, 4],
            "TILING_FACTOR_Z": [1, 2, 4],
            "LOOP_UNROLL_FACTOR_X": [1, 2, 4, 8],
            "LOOP_UNROLL_FACTOR_Y": [1, 2, 4],
            "LOOP_UNROLL_FACTOR_Z": [1, 2, 4],
            "BLOCKS_PER_MP": [0, 1, 2, 3, 4],
        },
        [
            "BLOCK_SIZE_X * BLOCK_SIZE_Y * BLOCK_SIZE_Z * BLOCKS_PER_MP <= 1024",
            "32 <= BLOCK_SIZE_X * BLOCK_SIZE_Y * BLOCK_SIZE_Z <= 1536",
            "LOOP_UNROLL_FACTOR_X == 0 or TILING_FACTOR_X % LOOP_UNROLL_FACTOR_X == 0",
            "LOOP_UNROLL_FACTOR_Y == 0 or TILING_FACTOR_Y % LOOP_UNROLL_FACTOR_Y == 0",
            "LOOP_UNROLL_FACTOR_Z == 0 or TILING_FACTOR_Z % LOOP_UNROLL_FACTOR_Z == 0",
            "BLOCK_SIZE_X * TILING_FACTOR_X > 0",
            "BLOCK_SIZE_Y * TILING_FACTOR_Y > 0",
            "BLOCK_SIZE_Z * TILING_FACTOR_Z > 0",
        ],
        138600,
    ),
    "expdist": Space(
        {
            "block_size_x": [1024, 512, 256, 128, 64, 32],
            "block_size_y": _TWOS,
            "tile_size_x": range(1, 9),
            "tile_size_y": range(1, 9),
            "use_shared_mem": [0, 1, 2],
            "loop_unroll_factor_x": range(1, 9),
            "loop_unroll_factor_y": range(1, 9),
            "use_column": [0, 1],
            "use_separate_acc": [0],
            "n_y_blocks": [2**k for k in range(11)],
        },
        [
            "use_column != 0 or n_y_blocks <= 1",
            "use_column != 0 or use_shared_mem != 2",
            "loop_unroll_factor_x <= tile_size_x and (tile_size_x % loop_unroll_factor_x == 0)",
            "loop_unroll_factor_y <= tile_size_y and (tile_size_y % loop_unroll_factor_y == 0)",
        ],
        504000,
    ),
    "hotspot": Space(
        {
            "block_size_x": [1, 2, 4, 8, 16, *range(32, 1025, 32)],
            "block_size_y": _TWOS,
            "tile_size_x": _TEN,
            "tile_size_y": _TEN,
            "temporal_tiling_factor": _TEN,
            "max_tfactor": [10],
            "loop_unroll_factor_t": _TEN,
            "sh_power": [0, 1],
            "blocks_per_sm": [0, 1, 2, 3, 4],
        },
        [
            "block_size_x*block_size_y >= 32",
            "temporal_tiling_factor % loop_unroll_factor_t == 0",
            "block_size_x*block_size_y <= 1024",
            f"{_SHARED} <= 49152",
            f"blocks_per_sm == 0 or (({_SHARED}) * blocks_per_sm <= 102400)",
        ],
        349853,
    ),
    "gaussian-64": _gaussian(64),
    "gaussian-4096": _gaussian(4096),
}
