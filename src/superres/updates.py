"""Single training steps: the update of the networks by one batch.

Each update owns its networks' optimisers. `superres.training` combines them into training runs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.compute import Compute, exactly
from superres.discriminator import Discriminator
from superres.features import FeatureNetwork
from superres.feeding import Fed
from superres.losses import (
    ADVERSARIAL_SCALE,
    LossTerms,
    LossWeights,
    feature_terms,
    relativistic_loss,
)
from superres.model import Generator

DISCRIMINATOR_LEARNING_RATE = 5e-4
"""Adam's learning rate of the discriminator, in the warm-up and in the fine-tuning."""

Terms = dict[str, Tensor]
"""Scalars without gradient: `loss`, and what it is made of."""

PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
}
"""Losses of the pre-training by the names that the command line has for them."""


class PixelUpdate:
    """A step of the generator on a pixel loss.

    Args:
        generator: trained in place.
        learning_rate: learning rate of the generator.
        compute: device and precision.
        clip: maximum norm of the generator's gradient; None for no bound.
        loss: one of `PIXEL_LOSSES`.
    """

    def __init__(
        self,
        generator: Generator,
        learning_rate: float,
        compute: Compute,
        clip: float | None = None,
        loss: str = "mse",
    ) -> None:
        self.generator = compute.place(generator).train()
        self.optimiser = adam(generator, learning_rate)
        self.scaler = compute.scaler()
        self._compute = compute
        self._generate = compute.faster(generator)
        self._learning_rate = learning_rate
        self._clip = clip
        self._loss = PIXEL_LOSSES[loss]

    def __call__(self, batch: Fed, factor: float) -> Terms:
        """Learn from `batch` with the learning rate times `factor`."""
        low, high = (self._compute.images(i) for i in (batch.low, batch.high))
        with self._compute.autocast():
            fake = self._generate(low)
        image = fake.float()
        loss = self._loss(image, high)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._compute.group.average(_gradients(self.generator))
        _step(self.optimiser, self._learning_rate * factor, self.scaler, self._clip)
        self.scaler.update()
        if self._loss is functional.mse_loss:
            mse = loss.detach()
        else:
            mse = functional.mse_loss(image.detach(), high)
        return {"loss": loss.detach(), "mse": mse}


class DiscriminatorUpdate:
    """A step of the discriminator against a fixed generator."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, compute: Compute
    ) -> None:
        self.discriminator = compute.place(discriminator).train()
        self.optimiser = adam(discriminator, DISCRIMINATOR_LEARNING_RATE)
        self.scaler = compute.scaler()
        self._generate = compute.faster(generator)
        self._score = compute.faster(discriminator.scores)
        self._compute = compute

    def __call__(self, batch: Fed) -> Terms:
        """Learn to distinguish the originals in `batch` from the generator's results."""
        compute = self._compute
        low, high = (compute.images(i) for i in (batch.low, batch.high))
        weights = self.discriminator.normalised()
        with compute.autocast():
            with torch.no_grad():
                fake = self._generate(low).float()
            real_scores, scores = (
                self._score(_seen(image, batch.shift, low), *weights).float()
                for image in (high, fake)
            )
        loss = relativistic_loss(real_scores, scores, compute.group.mean)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        compute.group.average(_gradients(self.discriminator))
        _step(self.optimiser, DISCRIMINATOR_LEARNING_RATE, self.scaler)
        self.scaler.update()
        return {"discriminator": loss.detach()}


class FourTermUpdate:
    """A step of the generator on the four-term loss, and of the discriminator against it.

    The generator runs once, and the discriminator once on each kind of image: both networks learn
    from the same scores.

    Args:
        generator: trained in place.
        discriminator: trained in place, if the adversarial term has a weight.
        features: feature network of the perceptual and the style term.
        weights: weights of the four terms; only their ratios matter.
        learning_rate: learning rate of the generator.
        compute: device and precision.
        clip: maximum norm of the generator's gradient, for weights that sum to one; None for no
            bound.
        detached: compute the perceptual and the style term without gradient, as the authors'
            released script does, so that their weights have no effect.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        features: FeatureNetwork,
        weights: LossWeights,
        learning_rate: float,
        compute: Compute,
        clip: float | None = None,
        *,
        detached: bool = False,
    ) -> None:
        self.generator = compute.place(generator).train()
        self.discriminator = compute.place(discriminator).train()
        self.optimiser = adam(generator, learning_rate)
        self.discriminator_optimiser = adam(discriminator, DISCRIMINATOR_LEARNING_RATE)
        self.scaler = compute.scaler()
        self._features = compute.place(features)
        self._feature_terms = compute.faster(self._seen_features)
        self._weights = weights
        self._ratios = weights.normalised()
        self._learning_rate = learning_rate
        self._compute = compute
        self._generate = compute.faster(generator)
        self._score = compute.faster(discriminator.scores)
        self._clip = clip
        self._detached = detached

    def __call__(self, batch: Fed, factor: float) -> Terms:
        """Learn from `batch` with the learning rates times `factor`."""
        low, high = (self._compute.images(i) for i in (batch.low, batch.high))
        with self._compute.autocast():
            fake = self._generate(low)
        # The terms' graphs end here and are freed before the generator's is traversed.
        image = fake.detach().float().requires_grad_()
        terms, gradient = self._judge(image, high, low, batch.shift, factor)
        self.optimiser.zero_grad(set_to_none=True)
        fake.backward(gradient.to(fake.dtype))
        self._compute.group.average(_gradients(self.generator))
        _step(self.optimiser, self._learning_rate * factor, self.scaler, self._clip)
        self.scaler.update()
        return {
            "loss": terms.weighted(self._weights),
            "mse": terms.mse,
            "vgg": terms.vgg,
            "adv": terms.adv,
            "style": terms.style,
        }

    def _judge(
        self, image: Tensor, real: Tensor, low: Tensor, shift: tuple[int, int], factor: float
    ) -> tuple[LossTerms, Tensor]:
        """Compute the terms, detached, and the gradient of their sum with respect to `image`.

        The gradient is that of the scaled sum. Terms without weight are not computed. The
        discriminator is trained as well.
        """
        ratios, scale, mean = self._ratios, self.scaler.scale, self._compute.group.mean
        zero = image.new_zeros(())
        mse, perceptual, style, adversarial = functional.mse_loss(image, real), zero, zero, zero
        if ratios.vgg > 0 or ratios.style > 0:
            seen = image.detach() if self._detached else image
            with self._compute.autocast():
                perceptual, style = self._feature_terms(seen, real)
        others = LossTerms(mse, perceptual, zero, style).weighted(ratios)
        gradient = _gradient(scale(others), image)
        if ratios.adv > 0:
            weights = self.discriminator.normalised()
            with self._compute.autocast():
                real_scores, scores = (
                    self._score(_seen(one, shift, low), *weights).float() for one in (real, image)
                )
            adversarial = ADVERSARIAL_SCALE * relativistic_loss(scores, real_scores.detach(), mean)
            gradient = gradient + _gradient(scale(ratios.adv * adversarial), image, keep=True)
            self.discriminator_optimiser.zero_grad(set_to_none=True)
            loss = scale(relativistic_loss(real_scores, scores, mean))
            loss.backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
            self._compute.group.average(_gradients(self.discriminator))
            rate = DISCRIMINATOR_LEARNING_RATE * factor
            _step(self.discriminator_optimiser, rate, self.scaler)
        return LossTerms(*(t.detach() for t in (mse, perceptual, adversarial, style))), gradient

    def _seen_features(self, seen: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """The perceptual and the style term."""
        with torch.no_grad():
            wanted = self._features(real)
        found = self._features(seen)
        with exactly(seen):
            return feature_terms(found, wanted)


def adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Create the optimiser of a generator or a discriminator."""
    # The discriminator has a moving target: with a long memory of gradients it loses track, and the
    # two networks settle where it is uninformative. The epsilon is far below any gradient here, so
    # that Adam is invariant to scale.
    betas = (0.5, 0.99) if isinstance(module, Discriminator) else (0.9, 0.999)
    return torch.optim.Adam(module.parameters(), learning_rate, betas, eps=1e-12, fused=True)


def _gradient(loss: Tensor, image: Tensor, *, keep: bool = False) -> Tensor:
    if not loss.requires_grad:  # no term with a weight depends on the image
        return torch.zeros_like(image)
    (gradient,) = torch.autograd.grad(loss, image, retain_graph=keep)
    return gradient


def _gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def _step(
    optimiser: torch.optim.Adam,
    learning_rate: float,
    scaler: torch.amp.GradScaler,
    clip: float | None = None,
) -> None:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
        if clip is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(group["params"], clip)
    scaler.step(optimiser)


def _seen(image: Tensor, shift: tuple[int, int], low: Tensor) -> Tensor:
    """The input of the discriminator: `image` without s - 1 rows and columns, for the scale s.

    The generator works on a grid with the period of the scale, and the discriminator's strides form
    another. If both were always aligned, a pattern of that period would go unnoticed and soon cover
    the image. The position is therefore random; the size is constant, since GPU kernels are
    compiled for one size.

    Args:
        image: (B, 3, sH, sW).
        shift: row and column at which the part begins, less than s.
        low: (B, 3, H, W).
    """
    height, width = image.shape[2:]
    less = height // low.shape[2] - 1
    down, right = shift
    part = image[..., down : down + height - less, right : right + width - less]
    return part.contiguous(memory_format=_format(image))


def _format(image: Tensor) -> torch.memory_format:
    last = image.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
