"""The exponential moving average of a network over its training."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from superres.errors import UserError

Network = TypeVar("Network", bound=nn.Module)


def check_decay(decay: float) -> float:
    """Return `decay` if a network can be averaged with it.

    Raises:
        UserError: it is negative, 1 or more, or NaN.
    """
    if not 0 <= decay < 1:
        raise UserError(f"--ema must be 0 or more, and less than 1: {decay}")
    return decay


class Average(Generic[Network]):
    """A copy of a network whose weights follow it: `average += (1 - decay) * (network - average)`.

    torch's `AveragedModel` does the same, but waits for the GPU at every update.

    Args:
        network: the initial value of the average; it must not have buffers that training changes.
        decay: share of the average that an update keeps.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.module = copy.deepcopy(network)
        self._own: list[Tensor] = list(self.module.parameters())
        self._theirs: list[Tensor] = list(network.parameters())
        self._weight = 1 - decay

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current weights of the network."""
        torch._foreach_lerp_(self._own, self._theirs, self._weight)
