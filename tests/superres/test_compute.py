from __future__ import annotations

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
