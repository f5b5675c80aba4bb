"""Transferring batches to the device while earlier ones are computed."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import torch
from torch import Tensor

from superres.compute import Compute
from superres.patches import Batch, Patches


class Sent(NamedTuple):
    """A batch whose images, uint8 as in `Batch`, are on the GPU."""

    low: Tensor
    high: Tensor
    shift: tuple[int, int]


Fed = Batch | Sent
"""What a step is given."""


def batches(patches: Patches, first: int, last: int, compute: Compute) -> Generator[Fed]:
    """The batches of the steps `first` to `last`, for a GPU as tensors on the device.

    The thread that reads them copies them from pinned memory on a separate stream, so that neither
    the program nor the kernels of a step wait for a copy.
    """
    if not compute.on_gpu:
        yield from patches.stream(first, last)
        return
    device = torch.device(compute.device)
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(batch: Batch) -> tuple[Sent, torch.cuda.Event]:
        with torch.cuda.stream(side):
            low, high = (
                torch.as_tensor(pixels).pin_memory().to(device, non_blocking=True)
                for pixels in (batch.low, batch.high)
            )
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(side)
        return Sent(low, high, batch.shift), done

    for sent, done in patches.stream(first, last, send):
        current = torch.cuda.current_stream(device)
        current.wait_event(done)
        for pixels in (sent.low, sent.high):
            pixels.record_stream(current)  # otherwise its memory could be reused while it is read
        yield sent
