"""Exporting networks for other programs, as ONNX and as TorchScript.

Both map low-resolution RGB images (B, 3, H, W) in [0, 1] in fp32, of any size, to (B, 3, sH, sW),
not clipped, as `superres.model.Generator` does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch

from superres.files import write_whole
from superres.model import Generator

# Shape of the image on which the network is traced; the result does not depend on it.
_EXAMPLE = (2, 3, 12, 10)


def write_onnx(generator: Generator, path: Path) -> None:
    """Write an ONNX file with the input `low` and the output `high`.

    Args:
        generator: in evaluation mode, on the CPU.
        path: of the file.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
        OSError: the file cannot be written.
    """
    import onnx  # noqa: F401 - torch tells less clearly that it is missing
    import onnxscript  # noqa: F401

    dim = torch.export.Dim
    sizes = {0: dim("batch"), 2: dim("height", min=2), 3: dim("width", min=2)}
    with _quietly():
        program = torch.onnx.export(
            generator,
            (torch.rand(_EXAMPLE),),
            input_names=["low"],
            output_names=["high"],
            dynamic_shapes=(sizes,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content = program.model_proto.SerializeToString()
    write_whole(path, lambda file: file.write(content))


def write_torchscript(generator: Generator, path: Path) -> None:
    """Write a TorchScript file, which `torch.jit.load` and libtorch read.

    Args:
        generator: in evaluation mode, on the CPU.
        path: of the file.

    Raises:
        OSError: the file cannot be written.
    """
    content = BytesIO()
    with _quietly(), torch.no_grad():
        traced = torch.jit.trace(generator, torch.rand(_EXAMPLE))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, content)
    write_whole(path, lambda file: file.write(content.getbuffer()))


WRITERS: Mapping[str, Callable[[Generator, Path], None]] = {
    "onnx": write_onnx,
    "torchscript": write_torchscript,
}
"""Writers by the names that the command line has for them."""


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress torch's deprecation warnings, and those about packages not needed here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
