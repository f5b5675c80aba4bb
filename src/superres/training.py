"""The two steps of the learning: pre-training on pixels, fine-tuning on the four-term loss.

What a training makes is decided by the data, the settings, the seed and the number of threads:
on one machine, the same of these make the same networks, to the last bit. That holds for a
training that was killed and resumed as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import NoReturn, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from superres.checkpoint import Checkpoint
from superres.compute import Compute
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import Stopped, UserError
from superres.features import FeatureNetwork
from superres.losses import LossWeights
from superres.model import Generator, Preset
from superres.monitor import Monitor, Progress, Report
from superres.patches import Batch, Patches
from superres.schedule import SCHEDULES
from superres.snapshots import Snapshots
from superres.updates import CriticUpdate, FourTermUpdate, PixelUpdate, Terms

SMALLEST_FEATURES = 16
"""Side in pixels of the smallest image that the feature networks and the discriminator can see."""

_AVERAGE_DECAY = 0.97

# Steps between two looks at the losses on a GPU, which has to be waited for.
_LOOK_EVERY = 25


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how fast to train.

    Attributes:
        steps: updates of the generator.
        batch: patches a step.
        patch: side of a low-resolution patch in pixels.
        learning_rate: Adam's, of the generator, at its largest.
        seed: of the initial weights (pre-training) and of the patches.
        schedule: name of the learning rate's course, see `superres.schedule`.
        clip: largest norm of the generator's gradient; None, no bound.

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

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError(f"steps and batch must be 1 at least: {self.steps}, {self.batch}")
        if self.patch < 4:
            raise UserError(f"a patch needs 4 low-resolution pixels at least, not {self.patch}")
        for name, value in (("learning rate", self.learning_rate), ("clip", self.clip)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"the {name} must be positive: {value}")
        if self.seed < 0:
            raise UserError(f"the seed must not be negative: {self.seed}")
        if self.schedule not in SCHEDULES:
            raise UserError(f"the schedules are {', '.join(SCHEDULES)}; not {self.schedule}")

    def factor(self, step: int) -> float:
        """Of the learning rate at `step`, counted from 1."""
        return SCHEDULES[self.schedule](step - 1, self.steps)


def _no_progress(report: Report) -> None:
    pass


def _no_warning(line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Conditions:
    """What surrounds a training and has no influence on what it makes, but for `compute`.

    Attributes:
        compute: where and how networks are computed.
        progress: gets the reports.
        snapshots: where the training is kept; a snapshot that is there is continued.
        validate: metrics of the generator as it would be kept now.
        validate_every: steps between two validations.
        stop: when it is set, a snapshot is saved, and the training ends.
        warn: gets a line about a snapshot that could not be saved, after which training goes on.
    """

    compute: Compute = field(default_factory=Compute)
    progress: Progress = _no_progress
    snapshots: Snapshots | None = None
    validate: Callable[[Generator], Mapping[str, float]] | None = None
    validate_every: int = 0
    stop: Event = field(default_factory=Event)
    warn: Callable[[str], None] = _no_warning


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gives.

    Attributes:
        checkpoint: on the CPU, with the history of where it began.
        loss: mean over the last tenth of the steps.
        reports: all of them, for the curves.
    """

    checkpoint: Checkpoint
    loss: float
    reports: list[Report]


class Course(Protocol):
    """A training as a sequence of steps, and all that changes in it."""

    @property
    def steps(self) -> int:
        """How many there are."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The networks that change."""

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Theirs."""

    @property
    def result(self) -> Generator:
        """The generator as it would be kept now."""

    def __call__(self, step: int, batch: Batch) -> Terms:
        """Take `step`, counted from 1."""


def steps_of_epochs(epochs: int, photographs: int, batch: int) -> int:
    """Steps in which `epochs` times `photographs` patches are seen, rounded up.

    An epoch is what it is in the authors' training script, and on the poster: one patch of every
    photograph, however many tiles it was cut into.
    """
    return -(-epochs * photographs // batch)


def pretrain(
    dataset: Dataset,
    preset: Preset,
    settings: Settings,
    warmup: int,
    conditions: Conditions | None = None,
) -> Trained:
    """Train a generator on the pixel loss, then a discriminator against it.

    Args:
        dataset: training tiles.
        preset: sizes of the networks.
        settings: of the generator's training.
        warmup: updates of the discriminator, against the finished generator.
        conditions: of the training.

    Raises:
        Diverged: the training ran away.
        Stopped: it was asked to stop.
        UserError: the data were prepared for another scale, or patches do not fit into tiles.
    """
    conditions = conditions or Conditions()
    dataset.require_scale(preset.generator.scale)
    generator, critic = new_networks(preset, settings.seed)
    course = _Pretraining(generator, critic, settings, warmup, conditions.compute)
    monitor = _run(course, dataset, settings, conditions)
    return _trained(Checkpoint(generator, critic, ()), monitor)


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

    The generator that is returned is the exponential average of the generator over about the
    last 30 steps. Without it, NIQE differs by more from seed to seed than from weight to weight.

    Args:
        start: its networks are trained further, in place.
        dataset: training tiles.
        features: for the perceptual and the style term.
        weights: of the four terms; only their ratios matter.
        settings: of the training.
        conditions: of the training.
        detached: see `FourTermUpdate`.

    Raises:
        Diverged: the training ran away.
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
    monitor = _run(course, dataset, settings, conditions)
    return _trained(Checkpoint(course.result, start.discriminator, start.history), monitor)


def new_networks(preset: Preset, seed: int) -> tuple[Generator, Discriminator]:
    """A generator and a discriminator with random weights."""
    torch.manual_seed(seed)
    return Generator(preset.generator), Discriminator(preset.critic_width)


class _Pretraining:
    """All steps of the generator, and then all of the discriminator."""

    def __init__(
        self,
        generator: Generator,
        critic: Discriminator,
        settings: Settings,
        warmup: int,
        compute: Compute,
    ) -> None:
        self.steps = settings.steps + warmup
        self.result = generator
        self._settings = settings
        self._pixels = PixelUpdate(generator, settings.learning_rate, compute, settings.clip)
        self._critic = CriticUpdate(generator, critic, compute)
        self.modules = {"generator": generator, "discriminator": critic}
        self.optimisers = {
            "generator": self._pixels.optimiser,
            "discriminator": self._critic.optimiser,
        }

    def __call__(self, step: int, batch: Batch) -> Terms:
        if step <= self._settings.steps:
            return self._pixels(batch, self._settings.factor(step))
        return self._critic(batch)


class _Finetuning:
    """Steps on the four-term loss, and their average."""

    def __init__(self, update: FourTermUpdate, settings: Settings) -> None:
        self.steps = settings.steps
        self._settings = settings
        self._update = update
        decay = get_ema_multi_avg_fn(_AVERAGE_DECAY)  # type: ignore[no-untyped-call]
        self._average = AveragedModel(update.generator, multi_avg_fn=decay)
        self._average.update_parameters(update.generator)  # the first one counts as well
        self.modules = {
            "generator": update.generator,
            "discriminator": update.critic,
            "average": self._average,
        }
        self.optimisers = {
            "generator": update.optimiser,
            "discriminator": update.critic_optimiser,
        }

    @property
    def result(self) -> Generator:
        averaged = self._average.module
        assert isinstance(averaged, Generator)
        return averaged

    def __call__(self, step: int, batch: Batch) -> Terms:
        terms = self._update(batch, self._settings.factor(step))
        self._average.update_parameters(self._update.generator)
        return terms


def _run(course: Course, dataset: Dataset, settings: Settings, conditions: Conditions) -> Monitor:
    """Take all steps of `course`, from the snapshot on if there is one."""
    compute = conditions.compute
    patches = Patches(dataset, settings.batch, settings.patch, settings.seed)
    epochs_a_step = settings.batch / len(dataset.manifest.train)
    look_every = _LOOK_EVERY if compute.on_gpu else 1
    monitor = Monitor(course.steps, epochs_a_step, conditions.progress, look_every)
    compute.prepare()
    done = _restore(course, monitor, conditions)
    for step, batch in enumerate(patches.stream(done + 1, course.steps), done + 1):
        monitor.watch(step, course(step, batch))
        last = step == course.steps
        every = conditions.validate_every
        if conditions.validate is not None and every and (last or step % every == 0):
            metrics = conditions.validate(course.result)
            monitor.add({"step": step, **{f"val_{k}": v for k, v in metrics.items()}})
        if last:
            break
        if conditions.stop.is_set():
            _stop(step, course, monitor, conditions)
        if conditions.snapshots is not None and conditions.snapshots.due:
            try:
                _keep(step, course, monitor, conditions.snapshots)
            except OSError as error:
                conditions.warn(f"no snapshot after step {step}, training goes on: {error}")
    return monitor


def _stop(step: int, course: Course, monitor: Monitor, conditions: Conditions) -> NoReturn:
    """Save a snapshot and end the training."""
    done = f"stopped after step {step} of {course.steps}"
    if conditions.snapshots is None:
        raise Stopped(done)
    try:
        _keep(step, course, monitor, conditions.snapshots)
    except OSError as error:
        earlier = (
            "from an earlier one" if conditions.snapshots.path.is_file() else "from the beginning"
        )
        raise Stopped(
            f"{done}, which could not be saved ({error}); the same command goes on {earlier}"
        ) from error
    raise Stopped(f"{done}; the same command continues it")


def _keep(step: int, course: Course, monitor: Monitor, snapshots: Snapshots) -> None:
    networks = {name: module.state_dict() for name, module in course.modules.items()}
    optimisers = {name: one.state_dict() for name, one in course.optimisers.items()}
    snapshots.save(
        {
            "step": step,
            "networks": networks,
            "optimisers": optimisers,
            "monitor": monitor.state(),
        }
    )


def _restore(course: Course, monitor: Monitor, conditions: Conditions) -> int:
    """Continue from the snapshot, if there is one.

    Returns:
        How many steps are done.
    """
    snapshots = conditions.snapshots
    state = None if snapshots is None else snapshots.load(conditions.compute.device)
    if state is None:
        return 0
    for name, module in course.modules.items():
        module.load_state_dict(state["networks"][name])
    for name, optimiser in course.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    monitor.restore(state["monitor"])
    step: int = state["step"]
    return step


def _trained(checkpoint: Checkpoint, monitor: Monitor) -> Trained:
    for module in (checkpoint.generator, checkpoint.discriminator):
        module.to("cpu").eval()
    return Trained(checkpoint, monitor.final_loss, monitor.reports)
