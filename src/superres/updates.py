"""Single steps of the learning: what one batch changes in the networks.

Each update owns its networks' optimisers. `superres.training` makes trainings of them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.compute import Compute
from superres.discriminator import Discriminator
from superres.features import FeatureNetwork
from superres.losses import (
    ADVERSARIAL_SCALE,
    LossTerms,
    LossWeights,
    feature_terms,
    relativistic_loss,
)
from superres.model import Generator
from superres.patches import Batch

DISCRIMINATOR_LEARNING_RATE = 5e-4
"""Adam's learning rate of the discriminator, in the warm-up and in the fine-tuning."""

Terms = dict[str, Tensor]
"""Scalars without gradient: `loss`, and what it is made of."""

_View = tuple[EllipsisType, slice, slice]


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
}
"""Losses of the pre-training by the names that the command line has for them."""


class PixelUpdate:
    """A step of the generator on a pixel loss.

    Args:
        generator: trained in place.
        learning_rate: of the generator.
        compute: where and how.
        clip: largest norm of the generator's gradient; None for no bound.
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
        self._compute = compute
        self._generate = compute.faster(generator)
        self._learning_rate = learning_rate
        self._clip = clip
        self._loss = PIXEL_LOSSES[loss]

    def __call__(self, batch: Batch, factor: float) -> Terms:
        """Learn from `batch` with the learning rate times `factor`."""
        low, high = (self._compute.images(i) for i in (batch.low, batch.high))
        with self._compute.autocast():
            fake = self._generate(low)
        image = fake.float()
        loss = self._loss(image, high)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        _step(self.optimiser, self._learning_rate * factor, self._clip)
        if self._loss is functional.mse_loss:
            mse = loss.detach()
        else:
            mse = functional.mse_loss(image.detach(), high)
        return {"loss": loss.detach(), "mse": mse}


class DiscriminatorUpdate:
    """A step of the discriminator against a generator that stays as it is."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, compute: Compute
    ) -> None:
        self.discriminator = compute.place(discriminator).train()
        self.optimiser = adam(discriminator, DISCRIMINATOR_LEARNING_RATE)
        self._generator = generator
        self._compute = compute

    def __call__(self, batch: Batch) -> Terms:
        """Learn to tell the originals in `batch` from what the generator makes."""
        low, high = (self._compute.images(i) for i in (batch.low, batch.high))
        view = _view(batch)
        with self._compute.autocast():
            with torch.no_grad():
                fake = self._generator(low).float()
            scores = self.discriminator(high[view]), self.discriminator(fake[view])
        loss = relativistic_loss(scores[0].float(), scores[1].float())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        _step(self.optimiser, DISCRIMINATOR_LEARNING_RATE, None)
        return {"discriminator": loss.detach()}


class FourTermUpdate:
    """A step of the generator on the four-term loss, and of the discriminator against it.

    The generator runs once, and so does the discriminator on each kind of image: both networks
    learn from the same scores.

    Args:
        generator: trained in place.
        discriminator: trained in place, if the adversarial term has a weight.
        features: for the perceptual and the style term.
        weights: of the four terms; only their ratios matter.
        learning_rate: of the generator.
        compute: where and how.
        clip: largest norm of the generator's gradient, which is that of the loss whose weights
            sum to one; None for no bound.
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
        self._features = compute.place(features)
        self._weights = weights
        self._ratios = weights.normalised()
        self._learning_rate = learning_rate
        self._compute = compute
        self._generate = compute.faster(generator)
        self._clip = clip
        self._detached = detached

    def __call__(self, batch: Batch, factor: float) -> Terms:
        """Learn from `batch` with the learning rates times `factor`."""
        low, high = (self._compute.images(i) for i in (batch.low, batch.high))
        with self._compute.autocast():
            fake = self._generate(low)
        # The terms' graphs end here, and are freed before the generator's is walked.
        image = fake.detach().float().requires_grad_()
        terms, gradient = self._judge(image, high, _view(batch), factor)
        self.optimiser.zero_grad(set_to_none=True)
        fake.backward(gradient.to(fake.dtype))  # type: ignore[no-untyped-call]
        _step(self.optimiser, self._learning_rate * factor, self._clip)
        return {
            "loss": terms.weighted(self._weights),
            "mse": terms.mse,
            "vgg": terms.vgg,
            "adv": terms.adv,
            "style": terms.style,
        }

    def _judge(
        self, image: Tensor, real: Tensor, view: _View, factor: float
    ) -> tuple[LossTerms, Tensor]:
        """The terms, without gradient, and the gradient of their sum with respect to `image`.

        What has no weight is not computed. The discriminator learns on the way.
        """
        ratios = self._ratios
        zero = image.new_zeros(())
        mse, perceptual, style, adversarial = functional.mse_loss(image, real), zero, zero, zero
        if ratios.vgg > 0 or ratios.style > 0:
            seen = image.detach() if self._detached else image
            with self._compute.autocast():
                with torch.no_grad():
                    wanted = self._features(real)
                found = self._features(seen)
            perceptual, style = feature_terms(found, wanted)
        gradient = _gradient(LossTerms(mse, perceptual, zero, style).weighted(ratios), image)
        if ratios.adv > 0:
            with self._compute.autocast():
                real_scores = self.discriminator(real[view]).float()
                scores = self.discriminator(image[view]).float()
            adversarial = ADVERSARIAL_SCALE * relativistic_loss(scores, real_scores.detach())
            gradient = gradient + _gradient(ratios.adv * adversarial, image, keep=True)
            self.discriminator_optimiser.zero_grad(set_to_none=True)
            loss = relativistic_loss(real_scores, scores)
            loss.backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
            _step(self.discriminator_optimiser, DISCRIMINATOR_LEARNING_RATE * factor, None)
        return LossTerms(*(t.detach() for t in (mse, perceptual, adversarial, style))), gradient


def adam(module: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """The optimiser of a generator or a discriminator."""
    # The discriminator aims at a moving target: a long memory of gradients makes it lose sight,
    # and the two networks then settle where it says nothing. The epsilon is far below any
    # gradient here, so that Adam sees directions and no scales.
    betas = (0.5, 0.99) if isinstance(module, Discriminator) else (0.9, 0.999)
    return torch.optim.Adam(module.parameters(), learning_rate, betas, eps=1e-12, fused=True)


def _gradient(loss: Tensor, image: Tensor, *, keep: bool = False) -> Tensor:
    if not loss.requires_grad:  # no term with a weight depends on the image
        return torch.zeros_like(image)
    (gradient,) = torch.autograd.grad(loss, image, retain_graph=keep)
    return gradient


def _step(optimiser: torch.optim.Adam, learning_rate: float, clip: float | None) -> None:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
        if clip is not None:
            nn.utils.clip_grad_norm_(group["params"], clip)
    optimiser.step()


def _view(batch: Batch) -> _View:
    """All but a few rows and columns at the top and on the left.

    The generator works on a grid of as many pixels as the scale, and the discriminator's strides
    make another. With both always in step, a pattern of that period goes unseen, and soon covers
    the image.
    """
    down, right = batch.shift
    return (..., slice(down, None), slice(right, None))
