"""The commands that train: `superres pretrain` and `superres finetune`."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from threading import Event
from types import FrameType
from typing import Any

import torch

from superres.checkpoint import Checkpoint
from superres.compute import Compute
from superres.curves import write_curves
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import Diverged, Stopped, UserError
from superres.evaluation import Pictures, evaluate
from superres.features import FeatureNetwork, pooled_image, random_features, vgg19_features
from superres.files import sha256
from superres.group import is_first, joined
from superres.losses import LossWeights
from superres.metrics.ma import MaModel
from superres.model import PRESETS, Generator, GeneratorConfig, Preset, parameter_count
from superres.monitor import Report
from superres.recipes import Recipe, recipe
from superres.records import Recorder
from superres.running import Conditions, validated
from superres.scores import Scores
from superres.snapshots import Snapshots
from superres.tensorboard import Board
from superres.tiling import network_upscaler
from superres.training import (
    FINETUNING_EMA,
    Settings,
    Trained,
    finetune,
    new_networks,
    pretrain,
    steps_of_epochs,
)

SNAPSHOT = "training.pt"
"""Name of the snapshot in the checkpoint's folder."""


def run_pretrain(a: argparse.Namespace, recorder: Recorder, model: MaModel | None) -> None:
    """`superres pretrain`; the arguments are checked as far as possible without torch."""
    if a.warmup < 0:
        raise UserError(f"--warmup must not be negative: {a.warmup}")
    dataset = Dataset(a.data)
    chosen = recipe(a.preset)
    preset = _network(a, chosen, dataset.scale)
    settings = _settings(a, chosen, chosen.pretrain, preset.learning_rate, dataset, ema=0.0)
    facts = {
        "stage": "pretrain",
        "network": asdict(preset.generator),
        "warmup": a.warmup,
        "loss": a.loss,
        **asdict(settings),
    }
    job = _Job(a, recorder, dataset, model, facts)
    _say(f"pre-training {preset.generator} for {settings.steps} steps")
    with job.compute() as compute:
        with job.conditions(compute) as conditions:
            trained = pretrain(dataset, preset, settings, a.warmup, conditions, a.loss)
        _say(f"{parameter_count(trained.checkpoint.generator)} parameters")
        job.finish(trained, {"preset": a.preset})


def run_finetune(a: argparse.Namespace, recorder: Recorder, model: MaModel | None) -> None:
    """`superres finetune`, likewise."""
    weights = LossWeights(a.w_mse, a.w_vgg, a.w_adv, a.w_style)
    dataset = Dataset(a.data)
    chosen = recipe(a.preset)
    begun: dict[str, Any]
    if a.scratch:
        preset = _network(a, chosen, dataset.scale)
        start = Checkpoint(*new_networks(preset, a.seed), ())
        begun = {"network": asdict(preset.generator)}
    else:
        _no_network_options(a)
        start = Checkpoint.load(a.start)
        begun = {"start": sha256(a.start / "generator.safetensors")}
    features = _features(a)
    length = chosen.scratch if a.scratch else chosen.finetune
    rate = _given(a.lr, chosen.learning_rate)
    settings = _settings(a, chosen, length, rate, dataset, ema=FINETUNING_EMA)
    facts = {
        "stage": "finetune",
        **begun,
        "weights": asdict(weights),
        "features": features.description,
        "features_sha256": features.sha256,
        "emulate_release": a.emulate_release,
        **asdict(settings),
    }
    job = _Job(a, recorder, dataset, model, facts, start.history)
    _say(f"fine-tuning for {settings.steps} steps, features: {features.description}")
    with job.compute() as compute:
        with job.conditions(compute) as conditions:
            trained = finetune(
                start,
                dataset,
                features,
                weights,
                settings,
                conditions,
                detached=a.emulate_release,
            )
        job.finish(trained, {})


@dataclass(frozen=True, slots=True)
class _Job:
    """A training run with its environment: files, signals, and test images.

    Attributes:
        arguments: the arguments of the command line.
        recorder: receives reports and metrics.
        dataset: the data.
        model: the model of Ma's score, if wanted.
        facts: the facts that identify this training.
        history: the history of the checkpoint it starts from.
    """

    arguments: argparse.Namespace
    recorder: Recorder
    dataset: Dataset
    model: MaModel | None
    facts: Mapping[str, Any]
    history: tuple[dict[str, Any], ...] = ()

    @contextmanager
    def compute(self) -> Iterator[Compute]:
        """The compute settings: this process, or those that `torchrun` started."""
        a = self.arguments
        chosen = Compute.choose(
            a.device, a.precision, compiled=a.compile, deterministic=a.deterministic
        )
        with joined(chosen.device) as group:
            yield replace(chosen, group=group)

    @contextmanager
    def conditions(self, compute: Compute) -> Iterator[Conditions]:
        """The training's conditions; termination signals wait for a snapshot meanwhile.

        The snapshot of a diverged training is removed, as it would diverge again.
        """
        a = self.arguments
        a.out.mkdir(parents=True, exist_ok=True)
        facts = {
            **self.facts,
            "data": sha256(a.data / "manifest.json"),
            "precision": compute.precision,
        }
        snapshots = Snapshots(a.out / SNAPSHOT, facts, a.snapshot_every)
        if snapshots.path.is_file():
            _say(f"continuing from {snapshots.path}")
        stop = _StopSignals()
        with stop.heard():
            try:
                yield Conditions(
                    compute,
                    self._progress(),
                    snapshots,
                    self._validate,
                    a.validate_every,
                    self._keep,
                    a.keep_every,
                    stop.event,
                    _warn,
                )
            except Stopped as stopped:
                stopped.signal_number = stop.number
                raise
            except Diverged:
                snapshots.remove()
                with suppress(OSError):  # it holds something else
                    a.out.rmdir()
                raise

    def _progress(self) -> Callable[[Report], None]:
        a = self.arguments
        if not is_first():
            return lambda report: None
        if a.tensorboard is None:
            return self.recorder.progress
        board = Board(a.tensorboard)

        def progress(report: Report) -> None:
            self.recorder.progress(report)
            board(report)

        return progress

    def finish(self, trained: Trained, more: Mapping[str, Any]) -> None:
        """Judge the generator, write the checkpoint with its history, and report the metrics.

        Only the first of several processes does that.

        Raises:
            Diverged: the results are not valid images.
        """
        if not is_first():
            return
        a = self.arguments
        checkpoint = trained.checkpoint
        scores = self._judge(checkpoint.generator, Pictures(a.crops, None, a.sheet))
        checkpoint.generator.to("cpu")
        metrics = {**scores.metrics(), "loss": trained.loss}
        if not math.isfinite(scores.niqe):
            raise Diverged("diverged: the images have no statistics that NIQE could judge")
        stage = {
            **self.facts,
            **more,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "metrics": metrics,
        }
        done = replace(checkpoint, history=(*checkpoint.history, stage))
        done.save(a.out)
        reports = trained.reports
        if a.validate_every:
            step, epoch = (int(reports[-1][name]) for name in ("step", "epoch"))
            reports = [*reports, validated(step, epoch, scores.metrics())]
            self._progress()(reports[-1])
        write_curves(reports, a.out)
        (a.out / SNAPSHOT).unlink(missing_ok=True)
        print(scores.table())
        self.recorder.finish(metrics)

    def _keep(self, epoch: int, generator: Generator, discriminator: Discriminator) -> None:
        history = (*self.history, {**self.facts, "epoch": epoch})
        folder = self.arguments.out / "epochs" / f"{epoch:05d}"
        Checkpoint(generator, discriminator, history).save(folder)

    def _validate(self, generator: Generator) -> dict[str, float]:
        return self._judge(generator, Pictures()).metrics()

    def _judge(self, generator: Generator, pictures: Pictures) -> Scores:
        a = self.arguments
        device = Compute.choose(a.device, "fp32").device
        upscaler = network_upscaler(generator.to(device))
        return evaluate(upscaler, self.dataset, pictures, self.model, a.workers)


class _StopSignals:
    """Handling of SIGTERM, which schedulers send before SIGKILL, and of Ctrl-C.

    The training stops after its current step and saves a snapshot. A second signal ends the program
    at once.

    Attributes:
        event: set by the first signal.
        number: number of that signal.
    """

    def __init__(self) -> None:
        self.event = Event()
        self.number: int = signal.SIGTERM
        self._before: dict[int, Any] = {}

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Context in which the signals are handled, except for ignored ones."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._hear)
        try:
            yield
        finally:
            self._restore()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.event.set()
        self._restore()
        if number == signal.SIGINT:
            os.write(2, b"\nsuperres: saving after this step; Ctrl-C again stops at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    if is_first():
        print(line, flush=True)


def _warn(line: str) -> None:
    print(f"superres: {line}", file=sys.stderr, flush=True)


def _network(a: argparse.Namespace, chosen: Recipe, scale: int) -> Preset:
    named = PRESETS[chosen.network]
    size = named.generator
    config = GeneratorConfig(
        _given(a.n0, size.n0),
        _given(a.nr, size.nr),
        _given(a.stages, size.stages),
        residual=a.residual,
        scale=scale,
        recurrences=_given(a.recurrences, size.recurrences),
    )
    return Preset(config, named.discriminator_width, _given(a.lr, named.learning_rate))


def _no_network_options(a: argparse.Namespace) -> None:
    given = {
        "--n0": a.n0,
        "--nr": a.nr,
        "--stages": a.stages,
        "--recurrences": a.recurrences,
        "--residual": a.residual or None,
    }
    for name, value in given.items():
        if value is not None:
            raise UserError(f"{name} goes with --scratch: with --from, the checkpoint decides")


def _features(a: argparse.Namespace) -> FeatureNetwork:
    if a.emulate_release:
        if a.vgg is not None:
            raise UserError("--emulate-release compares poolings of the image: it takes no --vgg")
        return pooled_image()
    return random_features() if a.vgg is None else vgg19_features(a.vgg)


def _settings(
    a: argparse.Namespace,
    chosen: Recipe,
    length: int,
    learning_rate: float,
    dataset: Dataset,
    *,
    ema: float,
) -> Settings:
    batch = _given(a.batch, chosen.batch)
    if batch < 1:
        raise UserError(f"--batch must be 1 at least, not {batch}")
    epochs = length if chosen.epochs and a.steps is None else None
    if a.epochs is not None:
        epochs = a.epochs
    steps = _given(a.steps, length)
    if epochs is not None:
        steps = steps_of_epochs(epochs, len(dataset.manifest.train), batch)
    patch = _given(a.patch, chosen.patch)
    return Settings(
        steps,
        batch,
        patch,
        learning_rate,
        a.seed,
        a.schedule,
        a.clip,
        _given(a.ema, ema),
        a.permute_colours,
    )


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
