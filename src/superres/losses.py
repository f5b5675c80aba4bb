"""The four-term loss of the fine-tuning and its weights.

The loss is `w_mse * MSE + w_vgg * sum MSE(features) + w_adv * adversarial
+ w_style * sum MSE(Gram matrices)`. Sources: perceptual and style terms, Johnson et al., ECCV
2016 (arXiv 1603.08155), equations 2 to 4; adversarial term, the relativistic average loss of
Jolicoeur-Martineau, ICLR 2019 (arXiv 1807.00734).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from superres.errors import UserError


class Level(NamedTuple):
    """What one level of a feature network contributes to the two feature terms."""

    perceptual: Tensor
    """Calibrated features (B, C, H, W)."""
    style: Tensor
    """Calibrated Gram matrices (B, C, C)."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the four terms, each finite and at least zero, not all zero.

    Raises:
        UserError: on anything else.
    """

    mse: float
    vgg: float
    adv: float
    style: float

    def __post_init__(self) -> None:
        values = astuple(self)
        if not all(math.isfinite(w) and w >= 0 for w in values) or not any(values):
            raise UserError(
                "the weights of the loss must be finite, not negative and not all zero: "
                f"mse={self.mse}, vgg={self.vgg}, adv={self.adv}, style={self.style}"
            )

    def normalised(self) -> LossWeights:
        """The same direction with sum one, which is what the optimiser is given.

        Adam ignores the scale of a loss but for its epsilon. With this it ignores it wholly:
        weights with the same ratios make the same training, and bit for bit the same if the
        common factor is a power of two.
        """
        total = sum(astuple(self))
        return LossWeights(*(w / total for w in astuple(self)))


DEFAULT_WEIGHTS = LossWeights(mse=1e-2, vgg=1e-1, adv=1e-3, style=10.0)
"""The defaults of the authors' released training script."""


ADVERSARIAL_SCALE = 0.01
"""Factor of the adversarial term, which brings it into balance at its default weight.

The released script balances against features that this package cannot ship; `superres.features`
calibrates the other two terms in the same spirit. At the defaults, all four terms then matter:
with a factor of 1, the adversarial term drowns the others and wrecks the image.
"""


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The unweighted terms of one batch, scalars; a term whose weight is zero may be zero."""

    mse: Tensor
    vgg: Tensor
    adv: Tensor
    style: Tensor

    def weighted(self, weights: LossWeights) -> Tensor:
        """The scalar loss; terms of weight zero stay out, so that they cost no gradient."""
        pairs = zip(astuple(weights), (self.mse, self.vgg, self.adv, self.style), strict=True)
        return torch.stack([w * term for w, term in pairs if w > 0]).sum()


def gram(features: Tensor) -> Tensor:
    """Gram matrices (B, C, C) of features (B, C, H, W), divided by C * H * W.

    Johnson et al., equation 3.
    """
    batch, channels, height, width = features.shape
    flat = features.reshape(batch, channels, height * width)
    return torch.bmm(flat, flat.transpose(1, 2)) / (channels * height * width)


def feature_terms(fake: Sequence[Level], real: Sequence[Level]) -> tuple[Tensor, Tensor]:
    """The perceptual and the style term: sums over the levels of a feature network."""
    pairs = list(zip(fake, real, strict=True))
    perceptual = [functional.mse_loss(a.perceptual, b.perceptual) for a, b in pairs]
    style = [functional.mse_loss(a.style, b.style) for a, b in pairs]
    return torch.stack(perceptual).sum(), torch.stack(style).sum()


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """Relativistic average loss that wants `winner` scored above `loser`.

    The discriminator minimises it with (real, fake), the generator with (fake, real).

    Args:
        winner: logits of any shape.
        loser: logits of the same shape.

    Returns:
        A scalar, log 2 where the two are indistinguishable.
    """
    above = functional.softplus(-(winner - loser.mean())).mean()
    below = functional.softplus(loser - winner.mean()).mean()
    return (above + below) / 2
