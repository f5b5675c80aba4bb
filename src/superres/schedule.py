"""Learning-rate schedules, as a factor of the largest value."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int], float]
"""The factor at `step` (from 0) of `steps`, in (0, 1]."""


def linear(step: int, steps: int) -> float:
    """Rise to 1 over the first tenth, hold, and fall linearly to 0 in the second half.

    It rises because Adam's first steps are as long as later ones but their directions are hardly
    averaged. It falls because residual noise of a short training is visible in the images.
    """
    return min(_ramp(step, steps), 2 * (steps - step) / steps)


def cosine(step: int, steps: int) -> float:
    """Rise to 1 over the first tenth, and fall to 0 along half a period of a cosine.

    Source: Loshchilov and Hutter, ICLR 2017 (arXiv 1608.03983), equation 5, without restarts.
    """
    start = max(1, steps // 10)
    if step < start:
        return _ramp(step, steps)
    return (1 + math.cos(math.pi * (step - start) / (steps - start))) / 2


def halfway(step: int, steps: int) -> float:
    """1, and a tenth from the middle on, as in the training of the authors of DBPN."""
    return 1.0 if 2 * step < steps else 0.1


def constant(step: int, steps: int) -> float:
    """1 throughout."""
    return 1.0


SCHEDULES: dict[str, Schedule] = {
    "linear": linear,
    "cosine": cosine,
    "step": halfway,
    "constant": constant,
}
"""Schedules by the names that the command line has for them."""


def _ramp(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / max(1, steps // 10))
