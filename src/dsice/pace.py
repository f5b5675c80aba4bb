"""Checking that rules given as functions are quick: a search calls them thousands of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Final

from dsice.errors import InvalidInput
from dsice.grid import Grid
from dsice.units import duration

LIMIT: Final = 0.01  # seconds at one point
_POINTS: Final = 3


def require_quick(grid: Grid, clock: Callable[[], float] = time.perf_counter) -> None:
    """Check that the rule of ``grid``, if it is a function, can be called thousands of times.

    The quickest of up to three calls counts, as the first one may import or read something.

    Raises:
        InvalidInput: it takes more than 0.01 seconds at one point.
    """
    if not callable(grid.rule):
        return
    random, quickest = Random(0), float("inf")
    for _ in range(_POINTS):
        point = tuple(random.randrange(n) for n in grid.shape)
        began = clock()
        grid.rule(grid.params(point))
        quickest = min(quickest, clock() - began)
        if quickest <= LIMIT:
            return
    raise InvalidInput(
        f"the rule of the grid takes {duration(quickest)} at one point, and a search asks it at "
        f"thousands of points for each proposal: up to {duration(LIMIT)} are accepted. Make it "
        "quicker, write it as an expression, or let the program fail where it does not apply"
    )
