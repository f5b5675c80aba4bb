"""Search spaces with rules, beside Kernel Tuner's builder: ``python -m benchmarks.spaces``.

The spaces are those on which Kernel Tuner's authors measure their builder, and those of the
auto-tuning benchmark hub, as facts: the levels of each parameter and the restrictions. Measured are
the time of one core and the memory that it takes

- Kernel Tuner to build a `Searchspace`, a list of all configurations with an index;
- dsice to find and count the allowed points, after which any of them can be drawn;
- dsice to list them as well, in index order.

Each measurement is made in a new process, several times; the shortest time and the least memory
count. Memory is what the process needs at most beyond what it had after its imports.

Sources: F.-J. Willemsen, R. V. van Nieuwpoort, B. van Werkhoven, "Efficient construction of large
search spaces for auto-tuning", ICPP 2025, and its published benchmarks (dedispersion, expdist,
hotspot, microhh, the Gaussian convolution of ATF); benchmark hub of the auto-tuning community
(convolution, gemm).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import multiprocessing
import resource
import time
import warnings
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
        allowed: how many configurations are left.
    """

    parameters: dict[str, Sequence[int]]
    restrictions: list[str]
    allowed: int

    def grid(self) -> Grid:
        """The same for dsice."""
        axes = [Axis(name, list(values)) for name, values in self.parameters.items()]
        return Grid(axes, " and ".join(f"({each})" for each in self.restrictions))


def _gaussian(size: int, allowed: int) -> Space:
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
    return Space(parameters, restrictions, allowed)


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
    "gaussian-64": _gaussian(64, 2_116_800),
    "gaussian-4096": _gaussian(4096, 158_995_200),
}
_NO_LIMIT: Final = 2**31  # of threads in a block, which Kernel Tuner adds to the restrictions
_MOST_LISTED: Final = 10_000_000
_PATIENCE: Final = 600.0  # seconds for one measurement


def build(space: Space) -> int:
    """Kernel Tuner's list of all configurations; returns how many there are."""
    from kernel_tuner.searchspace import Searchspace

    parameters = {name: list(values) for name, values in space.parameters.items()}
    return int(Searchspace(parameters, list(space.restrictions), _NO_LIMIT).size)


def count(space: Space) -> int:
    """The allowed points, found and counted."""
    return space.grid().counts().allowed or 0


def list_all(space: Space) -> int:
    """The allowed points, found and listed."""
    return len(list(space.grid()))


HOW: Final[dict[str, Callable[[Space], int]]] = {
    "kernel-tuner": build,
    "dsice": count,
    "dsice, listed": list_all,
}


def measure(how: str, name: str) -> tuple[float, float]:
    """Seconds and MB that it takes, in this process."""
    # Imports are no part of what is measured.
    importlib.import_module(
        "kernel_tuner.searchspace" if how == "kernel-tuner" else "dsice.allowed.find"
    )
    warnings.simplefilter("ignore")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = HOW[how](SPACES[name])
    seconds = time.process_time() - began
    if found != SPACES[name].allowed:
        raise AssertionError(f"{name}: {how} finds {found}, not {SPACES[name].allowed}")
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measure_apart(how: str, name: str, repeat: int) -> tuple[float, float] | None:
    """The least of several new processes; None where one takes too long."""
    found = []
    for _ in range(repeat):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            try:
                found.append(pool.apply_async(measure, (how, name)).get(_PATIENCE))
            except multiprocessing.TimeoutError:
                return None
    return min(seconds for seconds, _ in found), min(size for _, size in found)


def table(names: Sequence[str], repeat: int) -> list[str]:
    """A row for each space, as Markdown."""
    with_peer = importlib.util.find_spec("kernel_tuner") is not None
    rows = [
        "| space | combinations | allowed | Kernel Tuner | dsice | ratio | dsice, listed | ratio |",
        "| :- | -: | -: | -: | -: | -: | -: | -: |",
    ]
    for name in names:
        few = SPACES[name].allowed <= _MOST_LISTED
        peer = measure_apart("kernel-tuner", name, repeat) if with_peer and few else None
        ours = measure_apart("dsice", name, repeat)
        listed = measure_apart("dsice, listed", name, repeat) if few else None
        cells = [name, f"{SPACES[name].grid().size:.3g}", f"{SPACES[name].allowed:,}", _cell(peer)]
        for each in (ours, listed):
            cells += [_cell(each), f"{peer[0] / each[0]:.3g}" if peer and each else "-"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _cell(found: Any) -> str:
    return "-" if found is None else f"{found[0]:.3g} s, {found[1]:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("spaces", nargs="*", default=list(SPACES), metavar="SPACE")
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    options = parser.parse_args()
    for line in table(options.spaces, options.repeat):
        print(line, flush=True)


if __name__ == "__main__":
    main()
