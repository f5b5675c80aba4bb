"""Data-parallel training of one network in several processes, started by `torchrun`.

Each process computes its share of every batch, and all hold the same networks. Gradients, and the
statistics of the whole batch that a loss needs, are means over the processes. The result is that of
one process with the whole batch, up to the order of summation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

# The other processes wait while the first one judges images and saves.
_PATIENCE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Group:
    """The group of processes from the view of one of them; by default, a single process.

    Attributes:
        rank: number of this process, from 0. The first one prints, judges and saves.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that prints, judges and saves."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their means over the processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def mean(self, scores: Tensor) -> Tensor:
        """The mean of scores over the shares of all processes, a scalar.

        Its gradient is that of a loss that is the mean of the processes' losses.
        """
        own = scores.mean()
        if self.size == 1:
            return own
        shared: Tensor = _Mean.apply(own, self.size)  # type: ignore[no-untyped-call]
        return shared

    def averaged(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Means of scalars over the processes."""
        if self.size == 1:
            return terms
        values = torch.stack(list(terms.values())).float()
        self.average([values])
        return dict(zip(terms, values.unbind(), strict=True))

    def any(self, wish: bool, device: str) -> bool:
        """Whether `wish` is true in any process; all processes must call it."""
        if self.size == 1:
            return wish
        wishes = torch.tensor(float(wish), device=device)
        distributed.all_reduce(wishes)
        return bool(wishes.item())


ALONE = Group()
"""The group of a process that is not one of several."""


class _Mean(torch.autograd.Function):
    """The mean of a scalar over the processes; its gradient is the mean of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, size: int) -> Tensor:
        ctx.size = size
        mean = value.clone()
        distributed.all_reduce(mean)
        return mean / size

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        mean = gradients[0].clone()
        distributed.all_reduce(mean)
        return mean / ctx.size, None


def is_first() -> bool:
    """Whether this is the first process that `torchrun` started, or the only one."""
    return local_rank() is None or os.environ["RANK"] == "0"


def local_rank() -> int | None:
    """The number of this process on its machine; None if `torchrun` did not start it."""
    return int(os.environ["LOCAL_RANK"]) if distributed.is_torchelastic_launched() else None


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the group of processes that `torchrun` started, or a group of this one alone.

    Args:
        device: device of this process.
    """
    if local_rank() is None:
        yield Group()
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
