"""One measurement in a process of its own, so that no program profits from another's memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.superres.rungs import Loop, Task, loop

P = ParamSpec("P")
T = TypeVar("T")

# Sides of the matrices and of the image that the machine's peak is measured with. To be busy, a GPU
# needs larger matrices, and several calls between two waits, which take as long as a small one.
_MATRIX, _GPU_MATRIX, _CHANNELS, _IMAGE = 2048, 8192, 256, 96
_GPU_CALLS = 10


@dataclass(frozen=True, slots=True)
class Turn:
    """What a measurement found.

    Attributes:
        rate: images per second of wall-clock time.
        cpu: seconds of CPU time an image, of the process that computes.
        peak: most memory that process ever had, in MB; on a GPU, most of the GPU's memory that
            tensors had.
        flop: floating-point operations an image, as torch counts them; 0 where not asked for.
    """

    rate: float
    cpu: float
    peak: float
    flop: float


def take_turn(
    rung: str, what: str, task: Task, threads: int, seconds: float, count: bool = False
) -> Turn:
    """Run a loop for `seconds`, and for one step at least, after a step that is not measured.

    Args:
        rung: whose loop.
        what: of the loop, see `benchmarks.superres.rungs.loop`.
        task: what is trained on what.
        threads: of torch.
        seconds: the least to measure.
        count: whether to count the operations of one more step.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    contender: Loop[Any] = loop(rung, what, task)
    return _measure(contender, task, seconds, count)


def peak_flops(dtype: str, device: str, threads: int, seconds: float) -> float:
    """The most operations a second that a matrix product or a convolution gets here.

    Both are tried, as on some CPUs torch's convolutions are faster than its matrix products.
    """
    torch.set_num_threads(threads)
    kind = getattr(torch, dtype)
    side = _MATRIX if device == "cpu" else _GPU_MATRIX
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    image, weight = (
        torch.randn(shape, device=device).to(kind).to(memory_format=torch.channels_last)
        for shape in ((1, _CHANNELS, _IMAGE, _IMAGE), (_CHANNELS, _CHANNELS, 3, 3))
    )
    product = 2.0 * side**3
    convolution = 2.0 * 9 * _CHANNELS**2 * _IMAGE**2

    def convolve() -> torch.Tensor:
        return functional.conv2d(image, weight, padding=1)

    return max(
        product * fastest(lambda: a @ b, device, seconds),
        convolution * fastest(lambda: functional.conv2d(image, weight, padding=1), device, seconds),
    )


def alone(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


class Counter(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions within it, gradients' too.

    As torch's FlopCounterMode does, which cannot stand `torch.autograd.grad`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if (cost := flop_registry.get(func._overloadpacket)) is not None:
            self.flop += cost(*args, **kwargs, out_val=result)
        return result


def _measure(contender: Loop[T], task: Task, seconds: float, count: bool) -> Turn:
    with closing(contender.open()) as batches:
        contender.step(next(batches))
        _wait(task.device)
        began, busy, done = time.perf_counter(), time.process_time(), 0
        while done == 0 or time.perf_counter() - began < seconds:
            contender.step(next(batches))
            done += task.batch
            _wait(task.device)
        wall, cpu = time.perf_counter() - began, time.process_time() - busy
        peak = _peak(task.device)
        flop = 0.0
        if count:
            with Counter() as counter:
                contender.step(next(batches))
            flop = counter.flop / task.batch
    return Turn(done / wall, cpu / done, peak, flop)


def fastest(function: Callable[[], object], device: str, seconds: float) -> float:
    """Calls a second of the fastest of all calls within `seconds`."""
    function()
    _wait(device)
    calls = 1 if device == "cpu" else _GPU_CALLS
    best, end = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        for _ in range(calls):
            function()
        _wait(device)
        best = min(best, (time.perf_counter() - began) / calls)
    return 1 / best


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _peak(device: str) -> float:
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
