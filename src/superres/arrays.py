"""Writing numpy's .npy files piece by piece."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class ArrayWriter:
    """A .npy file of uint8 that grows along its first axis; use it as a context manager.

    Only the block being appended is in memory. After a normal exit, the file is complete and
    synced to disk; until then, its header says that it is empty.

    Args:
        path: the file; an existing one is replaced.
        shape: shape of the blocks without the first axis.

    Raises:
        OSError: it cannot be written. Unlike `numpy.save`, the error says whether the disk is full.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._length = 0
        self._file = path.open("wb")
        self._write_head()
        self._start = self._file.tell()

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._file.close()
            return
        with self._file:
            self._file.seek(0)
            self._write_head()
            # numpy reserves space in the header for the first axis to grow.
            assert self._file.tell() == self._start
            self._file.flush()
            os.fsync(self._file.fileno())

    def append(self, block: NDArray[np.uint8]) -> None:
        """Append `block`, (any length, *shape)."""
        if block.shape[1:] != self._shape or block.dtype != np.uint8:
            raise ValueError(f"{block.dtype} {block.shape} does not go on (any, *{self._shape})")
        self._file.write(np.ascontiguousarray(block).data)
        self._length += len(block)

    def _write_head(self) -> None:
        npy.write_array_header_1_0(
            self._file,
            {
                "descr": npy.dtype_to_descr(np.dtype(np.uint8)),
                "fortran_order": False,
                "shape": (self._length, *self._shape),
            },
        )


def write_array(path: Path, array: NDArray[np.uint8]) -> None:
    """Write a whole array as a .npy file, see `ArrayWriter`."""
    with ArrayWriter(path, array.shape[1:]) as writer:
        writer.append(array)
