from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch

from superres.checkpoint import Checkpoint
from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.model import Generator, GeneratorConfig
from tests.superres.conftest import files_of_at_most


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(Generator(GeneratorConfig(5, 3, 2)), Discriminator(4), ({"stage": "x"},))


def test_what_is_saved_is_what_is_loaded(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.discriminator(torch.rand(1, 3, 16, 16))  # moves the power iteration's vectors
    checkpoint.save(tmp_path / "a")
    loaded = Checkpoint.load(tmp_path / "a")
    assert loaded.history == checkpoint.history
    assert loaded.generator.config == checkpoint.generator.config
    for ours, theirs in (
        (checkpoint.generator, loaded.generator),
        (checkpoint.discriminator, loaded.discriminator),
    ):
        assert not theirs.training
        state = theirs.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(
    "config",
    [
        GeneratorConfig(5, 3, 2, scale=2),
        GeneratorConfig(5, 3, 3, residual=True, scale=8),
        GeneratorConfig(5, 3, 1, recurrences=3),
        GeneratorConfig(5, 3, 2, recurrences=2, scale=2),
    ],
)
def test_every_kind_of_network_comes_back(config: GeneratorConfig, tmp_path: Path) -> None:
    generator = Generator(config).eval()
    Checkpoint(generator, Discriminator(4), ()).save(tmp_path)
    loaded = Checkpoint.load(tmp_path).generator
    assert loaded.config == config
    low = torch.rand(1, 3, 5, 6)
    assert torch.equal(loaded(low), generator(low))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_files_follow_the_umask(
    checkpoint: Checkpoint, tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        checkpoint.save(tmp_path / "a")
    finally:
        os.umask(before)
    files = list((tmp_path / "a").iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {mode}


def test_a_full_disk_leaves_no_half_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.save(tmp_path)
    for size in (100, 10_000):
        with files_of_at_most(size), pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path)
        assert not list(tmp_path.glob("*.partial"))
        with pytest.raises(UserError, match="holds no checkpoint"):
            Checkpoint.load(tmp_path)
    checkpoint.save(tmp_path)
    assert Checkpoint.load(tmp_path).history == checkpoint.history


@pytest.mark.parametrize("damage", ["missing", "text", "facts", "weights", "version"])
def test_what_is_no_checkpoint_is_named(
    checkpoint: Checkpoint, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "a"
    if damage != "missing":
        checkpoint.save(folder)
    facts = folder / "checkpoint.json"
    if damage == "text":
        facts.write_text("{")
    elif damage == "facts":
        facts.write_text('{"format": 3}')
    elif damage == "version":
        facts.write_text('{"format": 99}')
    elif damage == "weights":
        (folder / "generator.safetensors").write_bytes(b"12345678")
    with pytest.raises(UserError, match=str(folder)):
        Checkpoint.load(folder)
