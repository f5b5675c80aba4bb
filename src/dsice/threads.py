"""One BLAS thread for linear algebra on small matrices.

The threads of NumPy's and SciPy's BLAS wait for work by spinning. For matrices of a few hundred
rows that multiplies the CPU time of a proposal and takes the cores from the trials that run beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Final

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread within the block, in the whole process; also a decorator.

    Blocks may be nested. Of blocks that overlap in several Python threads the first one sets and
    lifts the limit: what the others would restore is not what they found.
    """
    if not _in_force.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1):
            yield
    finally:
        _in_force.release()


_in_force: Final = Lock()


@cache
def _controller() -> ThreadpoolController:
    """The BLAS libraries of NumPy and SciPy, found once: that takes milliseconds."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401  (the libraries must be loaded to be found)

    return ThreadpoolController().select(user_api="blas")
