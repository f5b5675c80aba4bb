"""The two stages of learning: pre-training on pixels, fine-tuning on the four-term loss.

On one machine, the same data, settings, seed and number of threads produce bitwise equal networks,
even if a training run was killed and resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from superres.average import Average, check_decay
from superres.checkpoint import Checkpoint
from superres.compute import Compute
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.features import FeatureNetwork
from superres.feeding import Fed
from superres.group import Group
from superres.losses import LossWeights
from superres.model import Generator, Preset
from superres.monitor import Monitor, Report
from superres.patches import Patches
from superres.running import Conditions, run
from superres.schedule import SCHEDULES
from superres.updates import DiscriminatorUpdate, FourTermUpdate, PixelUpdate, Terms

SMALLEST_FEATURES = 16
"""Side in pixels of the smallest image that the feature networks and the discriminator can see."""

FINETUNING_EMA = 0.97
"""Decay of the average over a fine-tuning: over about the last 30 steps.

Without it, NIQE differs by more from seed to seed than from weight to weight.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a training run.

    Attributes:
        steps: number of updates of the generator.
        batch: patches per step.
        patch: side of a low-resolution patch in pixels.
        learning_rate: largest learning rate of the generator's Adam.
        seed: of the initial weights (pre-training) and of the patches.
        schedule: name of the learning-rate schedule, see `superres.schedule`.
        clip: maximum norm of the generator's gradient; None: no bound.
        ema: decay of the exponential moving average of the generator that is returned; 0: the
            generator of the last step is.
        permute_colours: whether colour channels of patches are permuted.

    Raises:
        UserError: a value is out of its range.
    """

    steps: int
    batch: int
    patch: int
    learning_rate: float
    seed: int
    schedule: str = "linear"
    clip: float | None = None
    ema: float = 0.0
    permute_colours: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError(f"steps and batch must be 1 at least: {self.steps}, {self.batch}")
        if self.patch < 4:
            raise UserError(f"a patch needs 4 low-resolution pixels at least, not {self.patch}")
        for name, value in (("learning rate", self.learning_rate), ("clip", self.clip)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"the {name} must be positive: {value}")
        check_decay(self.ema)
        if self.seed < 0:
            raise UserError(f"the seed must not be negative: {self.seed}")
        if self.schedule not in SCHEDULES:
            raise UserError(f"the schedules are {', '.join(SCHEDULES)}; not {self.schedule}")

    def patches(self, dataset: Dataset, group: Group) -> Patches:
        """The patches of the steps; every process of the group gets its share."""
        return Patches(
            dataset,
            self.batch,
            self.patch,
            self.seed,
            permute_colours=self.permute_colours,
            share=(group.rank, group.size),
        )

    def factor(self, step: int) -> float:
        """Factor of the learning rate at `step`, counted from 1."""
        return SCHEDULES[self.schedule](step - 1, self.steps)


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a training run.

    Attributes:
        checkpoint: on the CPU, with the history of the checkpoint it started from.
        loss: mean loss over the last tenth of the steps.
        reports: all reports, for the curves.
    """

    checkpoint: Checkpoint
    loss: float
    reports: list[Report]


def steps_of_epochs(epochs: int, photographs: int, batch: int) -> int:
    """Number of steps for `epochs` times `photographs` patches, rounded up.

    As in the authors' training script and on the poster, an epoch is one patch of every photograph,
    regardless of its number of tiles.
    """
    return -(-epochs * photographs // batch)


def pretrain(
    dataset: Dataset,
    preset: Preset,
    settings: Settings,
    warmup: int,
    conditions: Conditions | None = None,
    loss: str = "mse",
) -> Trained:
    """Train a generator on a pixel loss, then a discriminator against it.

    Args:
        dataset: training tiles.
        preset: sizes of the networks.
        settings: settings of the generator's training.
        warmup: number of updates of the discriminator against the finished generator.
        conditions: conditions of the training.
        loss: the pixel loss, one of `PIXEL_LOSSES`.

    Raises:
        Diverged: the training diverged.
        Stopped: it was asked to stop.
        UserError: the data were prepared for another scale, or patches do not fit into tiles.
    """
    conditions = conditions or Conditions()
    dataset.require_scale(preset.generator.scale)
    generator, discriminator = new_networks(preset, settings.seed)
    course = _Pretraining(generator, discriminator, settings, warmup, conditions.compute, loss)
    monitor = run(course, settings.patches(dataset, conditions.compute.group), conditions)
    return _trained(Checkpoint(course.result, discriminator, ()), monitor)


def finetune(
    start: Checkpoint,
    dataset: Dataset,
    features: FeatureNetwork,
    weights: LossWeights,
    settings: Settings,
    conditions: Conditions | None = None,
    *,
    detached: bool = False,
) -> Trained:
    """Continue the training of `start` on the four-term loss.

    If the settings say so, the returned generator is an average over the last steps, see
    `FINETUNING_EMA`.

    Args:
        start: the checkpoint whose networks are trained in place.
        dataset: training tiles.
        features: feature network of the perceptual and the style term.
        weights: weights of the four terms; only their ratios matter.
        settings: settings of the training.
        conditions: conditions of the training.
        detached: see `FourTermUpdate`.

    Raises:
        Diverged: the training diverged.
        Stopped: it was asked to stop.
        UserError: the data were prepared for another scale, or the patches are too small.
    """
    conditions = conditions or Conditions()
    scale = start.generator.config.scale
    dataset.require_scale(scale)
    if settings.patch * scale < SMALLEST_FEATURES:
        raise UserError(
            f"at {scale}x, a patch needs {SMALLEST_FEATURES // scale} low-resolution pixels "
            f"at least, not {settings.patch}"
        )
    update = FourTermUpdate(
        start.generator,
        start.discriminator,
        features,
        weights,
        settings.learning_rate,
        conditions.compute,
        settings.clip,
        detached=detached,
    )
    course = _Finetuning(update, settings)
    monitor = run(course, settings.patches(dataset, conditions.compute.group), conditions)
    return _trained(Checkpoint(course.result, start.discriminator, start.history), monitor)


def new_networks(preset: Preset, seed: int) -> tuple[Generator, Discriminator]:
    """Create a generator and a discriminator with random weights."""
    torch.manual_seed(seed)
    return Generator(preset.generator), Discriminator(preset.discriminator_width)


class _Pretraining:
    """All steps of the generator, followed by all of the discriminator."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        settings: Settings,
        warmup: int,
        compute: Compute,
        loss: str,
    ) -> None:
        self.steps = settings.steps + warmup
        self.generator_steps = settings.steps
        self._settings = settings
        self._pixels = PixelUpdate(generator, settings.learning_rate, compute, settings.clip, loss)
        self._average = Average(generator, settings.ema) if settings.ema else None
        self.result = generator if self._average is None else self._average.module
        self._discriminator = DiscriminatorUpdate(self.result, discriminator, compute)
        self.modules: dict[str, nn.Module] = {
            "generator": generator,
            "discriminator": discriminator,
        }
        if self._average is not None:
            self.modules["average"] = self._average.module
        self.scalers = {
            "generator": self._pixels.scaler,
            "discriminator": self._discriminator.scaler,
        }
        self.optimisers = {
            "generator": self._pixels.optimiser,
            "discriminator": self._discriminator.optimiser,
        }

    def __call__(self, step: int, batch: Fed) -> Terms:
        if step <= self._settings.steps:
            terms = self._pixels(batch, self._settings.factor(step))
            if self._average is not None:
                self._average.update()
            return terms
        return self._discriminator(batch)


class _Finetuning:
    """Steps on the four-term loss, and their average."""

    def __init__(self, update: FourTermUpdate, settings: Settings) -> None:
        self.steps = self.generator_steps = settings.steps
        self._settings = settings
        self._update = update
        self._average = Average(update.generator, settings.ema) if settings.ema else None
        self.result = update.generator if self._average is None else self._average.module
        self.modules: dict[str, nn.Module] = {
            "generator": update.generator,
            "discriminator": update.discriminator,
        }
        if self._average is not None:
            self.modules["average"] = self._average.module
        self.scalers = {"both": update.scaler}
        self.optimisers = {
            "generator": update.optimiser,
            "discriminator": update.discriminator_optimiser,
        }

    def __call__(self, step: int, batch: Fed) -> Terms:
        terms = self._update(batch, self._settings.factor(step))
        if self._average is not None:
            self._average.update()
        return terms


def _trained(checkpoint: Checkpoint, monitor: Monitor) -> Trained:
    for module in (checkpoint.generator, checkpoint.discriminator):
        module.to("cpu").eval()
    return Trained(checkpoint, monitor.final_loss, monitor.reports)
