"""Where and how networks are computed: device, precision, compilation.

What is computed is decided elsewhere. Trainings with the same choices give the same networks to
the last bit: on the CPU with the same number of threads, on a GPU with `deterministic`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superres.errors import UserError

Precision = Literal["fp32", "bf16"]

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Compute:
    """How to compute.

    Attributes:
        device: "cpu", "cuda", "cuda:1", ... of torch.
        precision: "bf16" computes convolutions with 8 bits of mantissa, for a multiple of the
            speed on hardware that has it; weights, losses, Gram matrices and optimisers stay fp32.
        compiled: whether networks go through torch.compile; it takes minutes once, and pays in
            long trainings.
        deterministic: on a GPU, use only algorithms that give the same result every time.

    Raises:
        UserError: there is no such device.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False
    deterministic: bool = False

    def __post_init__(self) -> None:
        try:
            device = torch.device(self.device)
        except RuntimeError as error:
            raise UserError(_no_device(self.device)) from error
        if device.type not in ("cpu", "cuda"):
            raise UserError(_no_device(self.device))
        if device.type == "cuda":
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if count == 0:
                raise UserError(f"torch finds no GPU here: --device {self.device} is impossible")
            if (device.index or 0) >= count:
                raise UserError(f"--device {self.device} is impossible: torch finds {count} GPUs")

    @classmethod
    def choose(
        cls, device: str, precision: str, *, compiled: bool = False, deterministic: bool = False
    ) -> Compute:
        """The choices of the command line, where "auto" takes the best that is there.

        A GPU comes before the CPU; bf16 is taken on GPUs that have it. On the CPU "auto" is fp32,
        so that results stay comparable from one machine to the next.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "auto":
            fast = device != "cpu" and torch.cuda.is_bf16_supported(including_emulation=False)
            precision = "bf16" if fast else "fp32"
        if precision not in ("fp32", "bf16"):
            raise UserError(f'--precision is "auto", "fp32" or "bf16", not "{precision}"')
        chosen: Precision = "bf16" if precision == "bf16" else "fp32"
        return cls(device, chosen, compiled, deterministic)

    @property
    def on_gpu(self) -> bool:
        """Whether steps run beside the program that asks for them."""
        return torch.device(self.device).type == "cuda"

    def prepare(self) -> None:
        """Tell torch; for the whole process."""
        if self.deterministic:
            # cuBLAS is deterministic only with a workspace of its own.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not self.deterministic  # patches have one size

    def place(self, module: _Module) -> _Module:
        """Move a network to the device; channels come last, which convolutions like better."""
        placed: _Module = module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed

    def faster(self, module: nn.Module) -> Callable[..., Tensor]:
        """What to call instead of `module`, whose parameters and names it shares."""
        return torch.compile(module) if self.compiled else module

    def images(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Images (B, H, W, 3) as (B, 3, H, W) in [0, 1] on the device."""
        return to_tensor(pixels, self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """In which networks run."""
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.precision == "bf16")


def _no_device(name: str) -> str:
    return f'no such device: {name}; there are "cpu" and "cuda", "cuda:1" and so on'


def to_tensor(images: NDArray[np.uint8], device: str | torch.device = "cpu") -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1]."""
    there = torch.tensor(images)
    if torch.device(device).type == "cuda":
        # A fourth of the bytes, out of memory that the GPU can read while the program goes on.
        there = there.pin_memory().to(device, non_blocking=True)
    # Channels stay innermost in memory, as in the image: convolutions like that best.
    return there.permute(0, 3, 1, 2).float() / 255


def exactly(tensor: Tensor) -> AbstractContextManager[object]:
    """In which what is computed from `tensor` is computed in its own precision."""
    return torch.autocast(tensor.device.type, enabled=False)
