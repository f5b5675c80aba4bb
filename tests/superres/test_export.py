"""Files for other programs compute what the network does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_exports_agree_with_the_network(kind: str, config: GeneratorConfig, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxscript")
        runtime = pytest.importorskip("onnxruntime")
    generator = saved(config, tmp_path / "network")
    file = tmp_path / "new" / f"network.{kind}"
    command = ["export", "--checkpoint", str(tmp_path / "network"), "--format", kind]
    assert main([*command, "--out", str(file)]) == 0
    for size in ((1, 3, 17, 23), (3, 3, 8, 5)):
        low = torch.rand(size)
        with torch.no_grad():
            expected = generator(low)
        if kind == "onnx":
            session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
            found = session.run(["high"], {"low": low.numpy()})[0]
        else:
            # A process that knows nothing of this package.
            np.save(tmp_path / "low.npy", low.numpy())
            code = (
                "import sys, numpy, torch, warnings; warnings.simplefilter('ignore')\n"
                "network = torch.jit.load(sys.argv[1])\n"
                "low = torch.from_numpy(numpy.load(sys.argv[2]))\n"
                "numpy.save(sys.argv[3], network(low).detach().numpy())\n"
                "assert 'superres' not in sys.modules"
            )
            files = [str(file), str(tmp_path / "low.npy"), str(tmp_path / "high.npy")]
            subprocess.run([sys.executable, "-c", code, *files], check=True)
            found = np.load(tmp_path / "high.npy")
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=2e-5)


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    saved(CONFIGS["dense"], tmp_path / "network")
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from superres.cli import main\n"
        "sys.exit(main(['export', '--format', 'onnx', *sys.argv[1:]]))"
    )
    files = ["--checkpoint", str(tmp_path / "network"), "--out", str(tmp_path / "a.onnx")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == 'superres: onnx is not installed: pip install "dsice[export]"\n'
    assert not (tmp_path / "a.onnx").exists()
