"""Several processes, started by torchrun, train as one does; also the program they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.compute import Compute
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.features import random_features
from superres.group import Group, joined
from superres.losses import LossWeights
from superres.model import Generator, GeneratorConfig
from superres.patches import Patches
from superres.updates import DiscriminatorUpdate, FourTermUpdate, PixelUpdate

ROOT = Path(__file__).parents[2]
KINDS = ["four terms", "pixels", "discriminator"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def one_step(kind: str, data: Path, group: Group) -> dict[str, Tensor]:
    """Gradients and terms of a step with four patches, by all processes of a group together."""
    compute = Compute(group=group)
    torch.manual_seed(0)
    generator, discriminator = Generator(GeneratorConfig(6, 4, 2)), Discriminator(4)
    patches = Patches(Dataset(data), 4, 8, 0, share=(group.rank, group.size))
    batch = patches.read(1)
    if kind == "four terms":
        weights = LossWeights(1e-2, 1e-1, 1e-3, 10)
        update = FourTermUpdate(
            generator, discriminator, random_features(), weights, 1e-3, compute, clip=0.1
        )
        terms = update(batch, 1.0)
    elif kind == "pixels":
        terms = PixelUpdate(generator, 1e-3, compute)(batch, 1.0)
    else:
        terms = DiscriminatorUpdate(generator, discriminator, compute)(batch)
    found = group.averaged(terms)
    for module in (generator, discriminator):
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                found[f"{type(module).__name__} {name}"] = parameter.grad
    return found


@pytest.fixture(scope="module")
def steps(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the steps of all kinds, by two processes."""
    folder = tmp_path_factory.mktemp("steps")
    done = torchrun("-m", "tests.superres.test_group", dataset.folder, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_take_the_step_of_one_with_twice_the_batch(
    kind: str, dataset: Dataset, steps: Path
) -> None:
    with joined("cpu") as group:
        alone = one_step(kind, dataset.folder, group)
    # The loss knows differences of scores only: the gradient of their common bias is rounding.
    largest = {
        module: max(float(value.abs().max()) for name, value in alone.items() if module in name)
        for module in {name.split(" ")[0] for name in alone}
    }
    for rank in (0, 1):
        together = torch.load(steps / f"{kind} {rank}.pt")
        assert together.keys() == alone.keys()
        for name, value in alone.items():
            atol = 1e-5 * largest[name.split(" ")[0]]
            torch.testing.assert_close(together[name], value, rtol=1e-4, atol=atol, msg=name)


def test_a_training_in_two_processes_is_judged_and_saved_once(
    dataset: Dataset, tmp_path: Path
) -> None:
    def arguments(name: str) -> list[str]:
        options = "--n0 6 --nr 4 --patch 8 --batch 4 --steps 6 --warmup 3 --lr 1e-4 --keep-every 6"
        files = [f"--data={dataset.folder}", f"--out={tmp_path / name}"]
        return ["pretrain", *options.split(), *files, f"--result={tmp_path / name}.json"]

    done = torchrun("-m", "superres.cli", *arguments("two"))
    assert done.returncode == 0, done.stderr
    assert main(arguments("one")) == 0
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert json.loads(done.stdout.splitlines()[-1]) == two
    assert done.stdout.count("parameters") == 1
    for name in ("rmse", "psnr", "loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-3)
    networks: list[dict[str, Any]] = [
        Checkpoint.load(tmp_path / name).generator.state_dict() for name in ("one", "two")
    ]
    for name, value in networks[0].items():
        # Adam takes a step of one length whatever the gradient: where that is next to zero,
        # rounding decides on its sign.
        assert (networks[1][name] - value).abs().max() <= 2 * 6 * 1e-4
        assert (networks[1][name] - value).abs().mean() < 2e-5
    assert not (tmp_path / "two" / "training.pt").exists()


def test_a_batch_that_cannot_be_shared_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    files = [f"--data={dataset.folder}", f"--out={tmp_path / 'out'}", "--patch=8"]
    done = torchrun("-m", "superres.cli", "pretrain", "--batch=3", "--steps=2", *files)
    assert done.returncode != 0
    assert "superres: --batch must be a multiple of the 2 processes, not 3" in done.stderr


if __name__ == "__main__":
    with joined("cpu") as group:
        for kind in KINDS:
            found = one_step(kind, Path(sys.argv[1]), group)
            torch.save(found, Path(sys.argv[2]) / f"{kind} {group.rank}.pt")
