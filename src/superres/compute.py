"""Where and how networks are computed: device, precision, compilation.

Training runs with the same settings produce bitwise equal networks: on the CPU with the same
number of threads, on a GPU with `deterministic`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superres.errors import UserError
from superres.group import ALONE, Group, local_rank

Precision = Literal["fp32", "bf16", "fp16"]

_Module = TypeVar("_Module", bound=nn.Module)
_P = ParamSpec("_P")
_T = TypeVar("_T")

_PRECISIONS: dict[str, Precision] = {"fp32": "fp32", "bf16": "bf16", "fp16": "fp16"}

# Major versions of NVIDIA's architectures: Volta introduced matrix units for fp16, Ampere those for
# fp32 (as TF32).
_VOLTA, _AMPERE = 7, 8


@dataclass(frozen=True, slots=True)
class Compute:
    """How to compute.

    Attributes:
        device: torch's name of it: "cpu", "cuda", "cuda:1", ...
        precision: "bf16" computes convolutions with 8 bits of mantissa, several times as fast on
            hardware that supports it; weights, losses, Gram matrices and optimisers stay fp32.
            "fp16", for GPUs without bf16, has 11 bits but a small range: losses are scaled up
            before their gradients are computed, and a step whose gradients overflow is skipped.
        compiled: whether to use torch.compile, which takes minutes once and pays off in long
            training runs.
        deterministic: on a GPU, use only algorithms that give the same result every time.
        group: the processes that share the work.

    Raises:
        UserError: the device does not exist.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    compiled: bool = False
    deterministic: bool = False
    group: Group = ALONE

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
        """Resolve the options of the command line, where "auto" selects the best available.

        A GPU is preferred to the CPU, bf16 on GPUs that support it, and fp16 on those with matrix
        units for fp16 only. On the CPU, "auto" is fp32, so that results are comparable between
        machines. Each process of `torchrun` gets a GPU of its own.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        rank = local_rank()
        if device == "cuda" and rank is not None:
            device = f"cuda:{rank}"
        chosen = _PRECISIONS.get(precision)
        if precision == "auto":
            chosen = "fp32" if device == "cpu" else _best_precision(device)
        if chosen is None:
            known = ", ".join(f'"{name}"' for name in _PRECISIONS)
            raise UserError(f'--precision is "auto", {known}; not "{precision}"')
        return cls(device, chosen, compiled, deterministic)

    @property
    def on_gpu(self) -> bool:
        """Whether steps run asynchronously to the program."""
        return torch.device(self.device).type == "cuda"

    def prepare(self) -> None:
        """Configure torch for the whole process."""
        if self.deterministic:
            # cuBLAS is deterministic only with a configured workspace.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not self.deterministic  # all patches have the same size
        if self.compiled:
            from torch._functorch import config

            # The discriminator's graph is traversed twice, once for each network.
            config.donated_buffer = False

    @property
    def memory_format(self) -> torch.memory_format:
        """The memory layout of images and weights.

        With channels last, convolutions are faster on CPUs and in the matrix units of GPUs. Those
        of a GPU before Ampere do not compute in fp32, where it is slower than channels first.
        """
        if self.on_gpu and self.precision == "fp32":
            major, _ = torch.cuda.get_device_capability(self.device)
            if major < _AMPERE:
                return torch.contiguous_format
        return torch.channels_last

    def place(self, module: _Module) -> _Module:
        """Move a network to the device."""
        placed: _Module = module.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        return placed

    def faster(self, function: Callable[_P, _T]) -> Callable[_P, _T]:
        """Compile a network or function that always gets the same shapes, if enabled."""
        return torch.compile(function, dynamic=False) if self.compiled else function

    def images(self, pixels: NDArray[np.uint8] | Tensor) -> Tensor:
        """Images (B, H, W, 3) of uint8 as (B, 3, H, W) in [0, 1] on the device."""
        return to_tensor(pixels, self.device).contiguous(memory_format=self.memory_format)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which networks run."""
        kind = torch.device(self.device).type
        low = torch.float16 if self.precision == "fp16" else torch.bfloat16
        return torch.autocast(kind, low, enabled=self.precision != "fp32")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """The context in which a lack of memory on the GPU, or of a compiler, is a `UserError`."""
        try:
            yield
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"{self.device} has too little memory, a smaller --batch or --patch needs less: "
                f"{_first_lines(error)}"
            ) from error
        except RuntimeError as error:
            compiler = type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
            if not (self.compiled and compiler):
                raise
            raise UserError(
                f"--compile is impossible here, leave it out: {_first_lines(error)}"
            ) from error

    def scaler(self) -> torch.amp.GradScaler:
        """The scaler of losses, which does nothing unless the precision is fp16."""
        kind = torch.device(self.device).type
        return torch.amp.GradScaler(kind, enabled=self.precision == "fp16")


def _first_lines(error: Exception) -> str:
    """The first paragraph of a message of torch's, whose first line may be a mere heading."""
    return " ".join(str(error).strip().split("\n\n")[0].split())[:300] or type(error).__name__


def _best_precision(device: str) -> Precision:
    """The best precision of a GPU."""
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    major, _ = torch.cuda.get_device_capability(device)
    return "fp16" if major >= _VOLTA else "fp32"


def _no_device(name: str) -> str:
    return f'no such device: {name}; there are "cpu" and "cuda", "cuda:1" and so on'


def to_tensor(images: NDArray[np.uint8] | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1]."""
    # Transferred as bytes, a quarter of the size.
    there = (images if isinstance(images, Tensor) else torch.tensor(images)).to(device)
    # Channels stay innermost in memory, as in the image, which is fastest for convolutions.
    return there.permute(0, 3, 1, 2).float() / 255


def exactly(tensor: Tensor) -> AbstractContextManager[object]:
    """The context in which computations on `tensor` use its own precision."""
    return torch.autocast(tensor.device.type, enabled=False)
