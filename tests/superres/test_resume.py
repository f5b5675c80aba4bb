"""Trainings that are stopped or killed, and continued."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import pytest
import torch

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import Stopped
from superres.features import random_features
from superres.losses import LossWeights
from superres.model import Generator, GeneratorConfig, Preset
from superres.monitor import Report
from superres.running import Conditions
from superres.snapshots import Snapshots
from superres.training import Settings, Trained, finetune, pretrain
from tests.superres.conftest import files_of_at_most

PRESET = Preset(GeneratorConfig(6, 4, 2), discriminator_width=4, learning_rate=1e-3)
SETTINGS = Settings(steps=5, batch=2, patch=8, learning_rate=1e-3, seed=1)


def _pretrain(dataset: Dataset, conditions: Conditions) -> Trained:
    return pretrain(dataset, PRESET, SETTINGS, 4, conditions)


def _finetune(dataset: Dataset, conditions: Conditions) -> Trained:
    start = _pretrain(dataset, Conditions()).checkpoint
    weights = LossWeights(1e-2, 1e-1, 1e-3, 10)
    return finetune(start, dataset, random_features(), weights, SETTINGS, conditions)


def weights(trained: Trained) -> list[torch.Tensor]:
    networks = trained.checkpoint.generator, trained.checkpoint.discriminator
    return [value for network in networks for value in network.state_dict().values()]


@pytest.mark.parametrize("train", [_pretrain, _finetune])
def test_stopped_after_any_step_it_ends_as_if_it_had_not_been(
    train: Callable[[Dataset, Conditions], Trained], dataset: Dataset, tmp_path: Path
) -> None:
    unbroken = train(dataset, Conditions())
    snapshots = Snapshots(tmp_path / "s.pt", {}, 1e9)
    stop = Event()
    stop.set()  # as soon as one step is done
    stops = 0
    while True:
        try:
            broken = train(dataset, Conditions(snapshots=snapshots, stop=stop))
            break
        except Stopped:
            stops += 1
    assert stops == (8 if train is _pretrain else 4)
    assert all(map(torch.equal, weights(unbroken), weights(broken)))
    assert broken.reports == unbroken.reports
    assert broken.loss == unbroken.loss


@pytest.mark.parametrize("train", [_pretrain, _finetune])
def test_a_full_disk_costs_the_snapshot_and_not_the_training(
    train: Callable[[Dataset, Conditions], Trained], dataset: Dataset, tmp_path: Path
) -> None:
    warnings: list[str] = []
    snapshots = Snapshots(tmp_path / "s.pt", {}, 0)
    with files_of_at_most(1000):
        trained = train(dataset, Conditions(snapshots=snapshots, warn=warnings.append))
    assert all(map(torch.equal, weights(trained), weights(train(dataset, Conditions()))))
    assert len(warnings) == (8 if train is _pretrain else 4)
    assert warnings[0].startswith("no snapshot after step 1, training goes on: ")
    assert "File too large" in warnings[0]
    assert not list(tmp_path.iterdir())


def test_stopped_with_a_full_disk_it_says_what_is_lost(dataset: Dataset, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    conditions = Conditions(snapshots=Snapshots(tmp_path / "s.pt", {}, 1e9), stop=stop)
    with files_of_at_most(1000), pytest.raises(Stopped, match=r"too large.*from the beginning"):
        _pretrain(dataset, conditions)
    assert not list(tmp_path.iterdir())
    with pytest.raises(Stopped, match="after step 1 of 9; the same command continues it"):
        _pretrain(dataset, conditions)
    with files_of_at_most(1000), pytest.raises(Stopped, match=r"step 2 .*from an earlier one"):
        _pretrain(dataset, conditions)
    with pytest.raises(Stopped, match="after step 2 of 9"):
        _pretrain(dataset, conditions)


@pytest.mark.parametrize("train", [_pretrain, _finetune])
def test_checkpoints_are_kept_on_the_way(
    train: Callable[[Dataset, Conditions], Trained], dataset: Dataset
) -> None:
    kept: dict[int, list[torch.Tensor]] = {}

    def keep(epoch: int, generator: Generator, discriminator: Discriminator) -> None:
        networks = (generator, discriminator)
        kept[epoch] = [v.clone() for n in networks for v in n.state_dict().values()]

    # Five steps of two patches see each of the two photographs five times.
    done = train(dataset, Conditions(keep=keep, keep_every=2))
    assert list(kept) == [2, 4]
    assert all(map(torch.equal, weights(done), weights(train(dataset, Conditions()))))
    kept.clear()
    train(dataset, Conditions(keep=keep, keep_every=5))
    assert list(kept) == [5]
    generator = done.checkpoint.generator.state_dict()
    assert all(map(torch.equal, kept[5], generator.values()))


def test_a_full_disk_costs_an_epoch_and_not_the_training(dataset: Dataset) -> None:
    def keep(epoch: int, generator: Generator, discriminator: Discriminator) -> None:
        raise OSError(28, "No space left on device")

    warnings: list[str] = []
    _finetune(dataset, Conditions(keep=keep, keep_every=2, warn=warnings.append))
    assert [line.split(",")[0] for line in warnings] == [
        "epoch 2 is not kept",
        "epoch 4 is not kept",
    ]


def test_validation_changes_nothing(dataset: Dataset) -> None:
    reports: list[Report] = []
    watched = Conditions(
        progress=reports.append,
        validate=lambda generator: {"niqe": float(next(generator.parameters()).detach().sum())},
        validate_every=2,
    )
    validated = _finetune(dataset, watched)
    assert all(map(torch.equal, weights(validated), weights(_finetune(dataset, Conditions()))))
    judged = [report for report in reports if "val_niqe" in report]
    assert [report["step"] for report in judged] == [2, 4]  # not the last, which is judged anyway


def _arguments(name: str, data: Path, out: Path, start: Path | None) -> list[str]:
    begin = ["--n0=6", "--nr=4", "--warmup=10"] if start is None else [f"--from={start}"]
    where = [f"--data={data}", f"--out={out}", f"--result={out}.json", f"--progress={out}.jsonl"]
    # Long enough to be killed in, with many snapshots on the way.
    common = "--steps=40 --patch=8 --batch=2 --threads=1 --snapshot-every=0.03"
    return [name, *begin, *where, *common.split()]


def _run(arguments: list[str]) -> None:
    sys.exit(main(arguments))


def _exit_code(arguments: list[str], kill: tuple[int, int] | None = None) -> int | None:
    """Run the program in a process of its own; after so many new reports, send it a signal."""
    # A server that has torch loaded: each process of its own would need seconds to load it.
    context = get_context("forkserver")
    context.set_forkserver_preload(["superres.cli_training"])
    progress = Path(next(a for a in arguments if a.startswith("--progress=")).split("=")[1])
    progress.touch()
    process = context.Process(target=_run, args=(arguments,))
    with progress.open() as lines:
        lines.seek(0, os.SEEK_END)
        process.start()
        assert process.pid is not None
        if kill is not None:
            seen = 0
            while seen < kill[0] and process.is_alive():
                seen += lines.read().count("\n")
                time.sleep(0.002)  # leaves the processor to the program
            os.kill(process.pid, kill[1])
        process.join()
    return process.exitcode


def test_killed_at_any_moment_the_same_command_ends_with_the_same_bits(
    dataset: Dataset, tmp_path: Path
) -> None:
    def made(name: str, kind: str, start: Path | None, kills: list[tuple[int, int]]) -> Path:
        out = tmp_path / name
        arguments = _arguments(kind, dataset.folder, out, start)
        for kill in kills:
            codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}
            assert _exit_code(arguments, kill) == codes[signal.Signals(kill[1])]
            assert not (out / "checkpoint.json").exists()
            assert (out / "training.pt").exists()
        assert _exit_code(arguments) == 0
        assert not (out / "training.pt").exists()
        assert {path.name for path in out.iterdir()} >= {"curves.json", "curves.svg"}
        return out

    start = made("start", "pretrain", None, [])
    broken_start = made("start2", "pretrain", None, [(9, signal.SIGKILL)])
    tuned = made("tuned", "finetune", start, [])
    kills: list[tuple[int, int]] = [(2, signal.SIGTERM), (3, signal.SIGINT), (5, signal.SIGKILL)]
    broken = made("tuned2", "finetune", broken_start, kills)
    for one, other in ((start, broken_start), (tuned, broken)):
        for network in ("generator", "discriminator"):
            name = f"{network}.safetensors"
            assert (one / name).read_bytes() == (other / name).read_bytes()
        assert (one / "curves.json").read_bytes() == (other / "curves.json").read_bytes()
        assert Checkpoint.load(one).history == Checkpoint.load(other).history
    results = [json.loads((tmp_path / f"{n}.json").read_text()) for n in ("tuned", "tuned2")]
    assert all(results[0][key] == results[1][key] for key in ("niqe", "rmse", "psnr", "loss"))
