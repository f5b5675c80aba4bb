"""The two steps of the learning: pre-training on pixels, fine-tuning on the four-term loss.

Both are deterministic: the same data, settings, seed and number of threads make the same
networks on the same machine, to the last bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.checkpoint import Checkpoint
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import Diverged, UserError
from superres.features import FeatureNetwork
from superres.losses import (
    ADVERSARIAL_SCALE,
    LossTerms,
    LossWeights,
    feature_terms,
    relativistic_loss,
)
from superres.model import Generator, Preset
from superres.tiling import to_tensor

Progress = Callable[[dict[str, float]], None]
"""Gets the means since the last report: `step`, `epoch`, `loss`, the terms, `rmse`."""

View = tuple[EllipsisType] | tuple[EllipsisType, slice, slice]
"""An index that cuts images (..., H, W)."""

CRITIC_LEARNING_RATE = 5e-4
"""Adam's learning rate of the discriminator, in the warm-up and in the fine-tuning."""

EXPLODED = 0.25
"""A pixel MSE beyond this is worse than a grey picture can be. A training that gets there, and to
twice what it started with, has run away."""

SMALLEST_FEATURES = 16
"""Side in pixels of the smallest image that the feature networks and the discriminator can see."""

_Module = TypeVar("_Module", bound=nn.Module)

_REPORTS = 20
_AVERAGE_DECAY = 0.97


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how fast to train.

    Attributes:
        steps: updates of the generator.
        batch: patches a step.
        patch: side of a low-resolution patch in pixels.
        learning_rate: Adam's, of the generator; falls linearly to zero in the second half.
        seed: of the initial weights (pre-training) and of the order of the patches.

    Raises:
        UserError: a value is out of its range.
    """

    steps: int
    batch: int
    patch: int
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError(f"steps and batch must be 1 at least: {self.steps}, {self.batch}")
        if self.patch < 4:
            raise UserError(f"a patch needs 4 low-resolution pixels at least, not {self.patch}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UserError(f"the learning rate must be positive: {self.learning_rate}")
        if self.seed < 0:
            raise UserError(f"the seed must not be negative: {self.seed}")


def steps_of_epochs(epochs: int, tiles: int, batch: int) -> int:
    """Steps in which `epochs` times `tiles` patches are seen, rounded up."""
    return -(-epochs * tiles // batch)


def decay(step: int, steps: int) -> float:
    """Factor of the learning rate at `step` (from 0) of `steps`.

    It rises to 1 over the first tenth, since Adam's first steps are as long as any and point
    into hardly averaged directions, and falls linearly to 0 in the second half.
    """
    ramp = (step + 1) / max(1, steps // 10)
    return min(1.0, ramp, 2 * (steps - step) / steps)


def pretrain(
    dataset: Dataset, preset: Preset, settings: Settings, warmup: int, progress: Progress
) -> tuple[Checkpoint, float]:
    """Train a generator on the pixel loss, then a discriminator against it.

    Args:
        dataset: training tiles.
        preset: sizes of the networks.
        settings: of the generator's training.
        warmup: updates of the discriminator, against the finished generator.
        progress: gets the reports.

    Returns:
        The checkpoint, without history, and the final loss.

    Raises:
        Diverged: the training ran away.
        UserError: the data were prepared for another scale.
    """
    dataset.require_scale(preset.generator.scale)
    torch.manual_seed(settings.seed)
    generator = _fast(Generator(preset.generator))
    discriminator = _fast(Discriminator(preset.critic_width))
    optimiser = _adam(generator, settings.learning_rate)
    monitor = _Monitor(settings, dataset.tiles, progress)
    batches = dataset.batches(settings.batch, settings.patch, settings.seed)
    for step in range(1, settings.steps + 1):
        low, high = (to_tensor(images) for images in next(batches))
        loss = functional.mse_loss(generator(low), high)
        _update(optimiser, loss, settings.learning_rate * decay(step - 1, settings.steps))
        monitor.watch(step, {"loss": loss, "mse": loss})

    generator.eval()
    critic_optimiser = _adam(discriminator, CRITIC_LEARNING_RATE)
    for _ in range(warmup):
        low, high = (to_tensor(images) for images in next(batches))
        with torch.no_grad():
            fake = generator(low)
        view = _random_view(dataset.scale)
        loss = relativistic_loss(discriminator(high[view]), discriminator(fake[view]))
        _update(critic_optimiser, loss, CRITIC_LEARNING_RATE)
    return Checkpoint(generator, discriminator.eval(), ()), monitor.final_loss


def finetune(
    start: Checkpoint,
    dataset: Dataset,
    features: FeatureNetwork,
    weights: LossWeights,
    settings: Settings,
    progress: Progress,
) -> tuple[Checkpoint, float]:
    """Continue the training of `start` on the four-term loss.

    The generator that is returned is the exponential average of the generator over about the
    last 30 steps. Without it, NIQE differs by more from seed to seed than from weight to weight.

    Args:
        start: its networks are trained further, in place.
        dataset: training tiles.
        features: for the perceptual and the style term.
        weights: of the four terms; only their ratios matter.
        settings: of the training.
        progress: gets the reports.

    Returns:
        The checkpoint with the history of `start`, and the final loss by `weights`.

    Raises:
        Diverged: the training ran away.
        UserError: the data were prepared for another scale, or the patches are too small.
    """
    scale = start.generator.config.scale
    dataset.require_scale(scale)
    if settings.patch * scale < SMALLEST_FEATURES:
        raise UserError(
            f"at {scale}x, a patch needs {SMALLEST_FEATURES // scale} low-resolution pixels "
            f"at least, not {settings.patch}"
        )
    torch.manual_seed(settings.seed)
    generator, discriminator = _fast(start.generator).train(), _fast(start.discriminator).train()
    features = _fast(features)
    optimiser = _adam(generator, settings.learning_rate)
    critic_optimiser = _adam(discriminator, CRITIC_LEARNING_RATE)
    average = _Average(generator)
    monitor = _Monitor(settings, dataset.tiles, progress)
    ratios = weights.normalised()
    batches = dataset.batches(settings.batch, settings.patch, settings.seed)
    for step in range(1, settings.steps + 1):
        low, high = (to_tensor(images) for images in next(batches))
        fake = generator(low)
        view = _random_view(dataset.scale)
        terms = loss_terms(fake, high, weights, features, discriminator, view)
        factor = decay(step - 1, settings.steps)
        _update(optimiser, terms.weighted(ratios), settings.learning_rate * factor)
        average.update(generator)
        if weights.adv > 0:
            loss = relativistic_loss(discriminator(high[view]), discriminator(fake.detach()[view]))
            _update(critic_optimiser, loss, CRITIC_LEARNING_RATE * factor)
        monitor.watch(
            step,
            {
                "loss": terms.weighted(weights),
                "mse": terms.mse,
                "vgg": terms.vgg,
                "adv": terms.adv,
                "style": terms.style,
            },
        )
    average.store(generator)
    done = Checkpoint(generator.eval(), discriminator.eval(), start.history)
    return done, monitor.final_loss


def loss_terms(
    fake: Tensor,
    real: Tensor,
    weights: LossWeights,
    features: FeatureNetwork,
    discriminator: Discriminator,
    view: View = (...,),
) -> LossTerms:
    """The terms of a batch, with gradients to `fake`; what has no weight is not computed.

    Args:
        fake: enlarged images (B, 3, H, W).
        real: originals of the same shape.
        weights: tell which terms are wanted.
        features: for the perceptual and the style term.
        discriminator: for the adversarial term; it gets no gradient.
        view: the part of the images that the discriminator sees.
    """
    zero = fake.new_zeros(())
    perceptual = style = adversarial = zero
    if weights.vgg > 0 or weights.style > 0:
        with torch.no_grad():
            wanted = features(real)
        perceptual, style = feature_terms(features(fake), wanted)
    if weights.adv > 0:
        discriminator.requires_grad_(False)
        with torch.no_grad():
            real_scores = discriminator(real[view])
        adversarial = ADVERSARIAL_SCALE * relativistic_loss(discriminator(fake[view]), real_scores)
        discriminator.requires_grad_(True)
    return LossTerms(functional.mse_loss(fake, real), perceptual, adversarial, style)


class _Average:
    """Exponential moving average of a network's parameters."""

    def __init__(self, module: nn.Module) -> None:
        self._values = [p.detach().clone() for p in module.parameters()]

    def update(self, module: nn.Module) -> None:
        with torch.no_grad():
            for value, parameter in zip(self._values, module.parameters(), strict=True):
                value.lerp_(parameter, 1 - _AVERAGE_DECAY)

    def store(self, module: nn.Module) -> None:
        with torch.no_grad():
            for value, parameter in zip(self._values, module.parameters(), strict=True):
                parameter.copy_(value)


class _Monitor:
    """Reports means now and then, and stops a training that has run away."""

    def __init__(self, settings: Settings, tiles: int, progress: Progress) -> None:
        self._settings = settings
        self._tiles = tiles
        self._progress = progress
        self._every = max(1, settings.steps // _REPORTS)
        self._limit: float | None = None
        self._since: list[dict[str, float]] = []
        self._losses: deque[float] = deque(maxlen=max(1, settings.steps // 10))

    @property
    def final_loss(self) -> float:
        """Mean loss over the last tenth of the steps."""
        return sum(self._losses) / len(self._losses)

    def watch(self, step: int, terms: dict[str, Tensor]) -> None:
        values = {name: term.item() for name, term in terms.items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise Diverged(f"diverged at step {step}: the loss is not finite")
        if self._limit is None:
            self._limit = max(EXPLODED, 2 * values["mse"])
        if values["mse"] > self._limit:
            raise Diverged(
                f"diverged at step {step}: pixel MSE {values['mse']:.3g}, worse than a grey picture"
            )
        self._losses.append(values["loss"])
        self._since.append(values)
        if step % self._every == 0 or step == self._settings.steps:
            count = len(self._since)
            means = {name: sum(v[name] for v in self._since) / count for name in values}
            seen = step * self._settings.batch
            rmse = 255 * math.sqrt(means["mse"])
            self._progress({"step": step, "epoch": seen // self._tiles, **means, "rmse": rmse})
            self._since.clear()


def _fast(module: _Module) -> _Module:
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _random_view(scale: int) -> View:
    """All but fewer than `scale` rows and columns at the top and on the left.

    The generator works on a grid of `scale` pixels, and the discriminator's strides make another.
    With both always in step, a pattern of that period goes unseen, and soon covers the image.
    """
    down, right = torch.randint(scale, (2,)).tolist()
    return (..., slice(down, None), slice(right, None))


def _adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    # The discriminator aims at a moving target: a long memory of gradients makes it lose sight,
    # and the two networks then settle where it says nothing. The epsilon is far below any
    # gradient here, so that Adam sees directions and no scales.
    betas = (0.5, 0.99) if isinstance(module, Discriminator) else (0.9, 0.999)
    return torch.optim.Adam(module.parameters(), learning_rate, betas, eps=1e-12)


def _update(optimiser: torch.optim.Adam, loss: Tensor, learning_rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
