from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from superres.compute import Compute, exactly, to_tensor
from superres.errors import UserError


def test_tensors_are_scaled_to_one() -> None:
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    assert to_tensor(images).flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_tensors_keep_their_channels_innermost() -> None:
    tensor = to_tensor(np.zeros((2, 5, 6, 3), np.uint8))
    assert tensor.shape == (2, 3, 5, 6)
    assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_bf16_computes_convolutions_only() -> None:
    compute = Compute(precision="bf16")
    convolution = compute.place(torch.nn.Conv2d(3, 4, 3))
    image = torch.rand(1, 3, 8, 8)
    with compute.autocast():
        assert convolution(image).dtype == torch.bfloat16
        with exactly(image):
            assert convolution(image).dtype == torch.float32
    assert convolution.weight.dtype == torch.float32


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no such device: gpu"):
        Compute("gpu")
    for other in ("meta", "mps", "cuda:x"):
        with pytest.raises(UserError, match=f"no such device: {other}"):
            Compute(other)
    with pytest.raises(UserError, match='not "fp8"'):
        Compute.choose("cpu", "fp8")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no GPU here"):
            Compute("cuda:1")


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Compute("cuda").on_gpu
    assert Compute("cuda:1").on_gpu
    with pytest.raises(UserError, match="--device cuda:2 is impossible: torch finds 2 GPUs"):
        Compute("cuda:2")


def test_on_the_cpu_auto_is_fp32() -> None:
    assert Compute.choose("cpu", "auto") == Compute("cpu", "fp32")
    assert Compute.choose("cpu", "bf16").precision == "bf16"


def test_too_little_memory_of_a_gpu_is_said_in_one_line() -> None:
    message = r"^cpu has too little memory.*--batch.*tried 2 GiB, much is free$"
    with pytest.raises(UserError, match=message), Compute().explained():
        raise torch.cuda.OutOfMemoryError("tried 2 GiB,\nmuch is free\n\nSee the documentation")


def test_a_machine_without_a_compiler_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(graph: object, inputs: object) -> Callable[..., Any]:
        raise FileNotFoundError("no compiler: g++")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=failing))
    compute = Compute(compiled=True)
    torch.compiler.reset()
    with pytest.raises(UserError, match=r"--compile.*no compiler: g\+\+$"), compute.explained():
        compute.faster(torch.nn.Linear(2, 2))(torch.ones(1, 2))
    torch.compiler.reset()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^other$"), Compute(compiled=True).explained():
        raise RuntimeError("other")
