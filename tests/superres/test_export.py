"""Files for other programs compute what the network does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.discriminator import Discriminator
from superres.model import Generator, GeneratorConfig

CONFIGS = {
    "dense": GeneratorConfig(6, 4, 3),
    "residual": GeneratorConfig(6, 4, 2, residual=True),
    "recurrent": GeneratorConfig(6, 4, 1, recurrences=3, normalised=True, scale=2),
}


def saved(config: GeneratorConfig, folder: Path) -> Generator:
    torch.manual_seed(0)
    generator = Generator(config).eval()
    torch.nn.init.normal_(generator.reconstruct.weight, std=0.05)
    Checkpoint(generator, Discriminator(4).eval(), ()).save(folder)
    return generator


SIZES = ((1, 3, 17, 23), (3, 3, 8, 5))
# Runs in a process that knows nothing of this package: triples of a network, its input and output.
TORCHSCRIPT = """
import sys, numpy, torch, warnings
warnings.simplefilter("ignore")
for network, low, high in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3], strict=True):
    found = torch.jit.load(network)(torch.from_numpy(numpy.load(low)))
    numpy.save(high, found.detach().numpy())
assert "superres" not in sys.modules
"""


def exported(name: str, kind: str, folder: Path) -> tuple[Generator, Path]:
    """A network, and the file that the command makes of it."""
    generator = saved(CONFIGS[name], folder / name)
    file = folder / "new" / f"{name}.{kind}"
    command = ["export", "--checkpoint", str(folder / name), "--format", kind]
    assert main([*command, "--out", str(file)]) == 0
    return generator, file


def require_same(found: NDArray[np.float32], generator: Generator, low: Tensor) -> None:
    with torch.no_grad():
        expected = generator(low)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_onnx_agrees_with_the_network(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    generator, file = exported(name, "onnx", tmp_path)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for size in SIZES:
        low = torch.rand(size)
        require_same(session.run(["high"], {"low": low.numpy()})[0], generator, low)


def test_torchscript_agrees_with_the_network(tmp_path: Path) -> None:
    files: list[Path] = []
    wanted: list[tuple[Path, Generator, Tensor]] = []
    for name in CONFIGS:
        generator, network = exported(name, "torchscript", tmp_path)
        for number, size in enumerate(SIZES):
            low = torch.rand(size)
            given, found = (tmp_path / f"{name}-{number}-{end}.npy" for end in ("low", "high"))
            np.save(given, low.numpy())
            files += [network, given, found]
            wanted.append((found, generator, low))
    subprocess.run([sys.executable, "-c", TORCHSCRIPT, *files], check=True)
    for found, generator, low in wanted:
        require_same(np.load(found), generator, low)


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(CONFIGS["dense"], tmp_path / "network")
    monkeypatch.setitem(sys.modules, "onnx", None)
    files = ["--checkpoint", str(tmp_path / "network"), "--out", str(tmp_path / "a.onnx")]
    assert main(["export", "--format", "onnx", *files]) == 2
    told = capsys.readouterr().err
    assert told == 'superres: onnx is not installed: pip install "dsice[export]"\n'
    assert not (tmp_path / "a.onnx").exists()
