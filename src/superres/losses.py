"""The four-term loss of the fine-tuning and its weights.

The loss is `w_mse * MSE + w_vgg * sum MSE(features) + w_adv * adversarial
+ w_style * sum MSE(Gram matrices)`. Sources: perceptual and style terms, Johnson et al., ECCV
2016 (arXiv 1603.08155), equations 2 to 4; adversarial term, the relativistic average loss of
Jolicoeur-Martineau, ICLR 2019 (arXiv 1807.00734).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from superres.errors import UserError

# Types in which sums would lose precision.
_LOW = (torch.bfloat16, torch.float16)

# Whether a product of 16-bit matrices can have a 32-bit result (torch 2.8 and later).
_BMM_WIDENS = hasattr(torch.ops.aten.bmm, "dtype")


class Level(NamedTuple):
    """The input of the two feature terms from one level of a feature network."""

    perceptual: Tensor
    """Features (B, C, H, W), in the precision in which they were computed."""
    style: Tensor
    """Gram matrices (B, C, C), in fp32."""
    perceptual_weight: float = 1.0
    """Calibrates the mean squared difference of the features."""
    style_weight: float = 1.0
    """That of the Gram matrices."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the four terms: finite, at least zero, and not all zero.

    Raises:
        UserError: other values.
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
        """The same ratios with sum one, as passed to the optimiser.

        Adam ignores the scale of a loss except for its epsilon. With normalised weights it ignores
        the scale entirely: weights with the same ratios give the same training, and bitwise the
        same if the common factor is a power of two.
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
        """The scalar loss; terms of weight zero are left out, so that they cost no gradient."""
        pairs = zip(astuple(weights), (self.mse, self.vgg, self.adv, self.style), strict=True)
        return torch.stack([w * term for w, term in pairs if w > 0]).sum()


def gram(features: Tensor) -> Tensor:
    """Gram matrices (B, C, C) of features (B, C, H, W), divided by C * H * W, in fp32 at least.

    Johnson et al., equation 3.
    """
    batch, channels, height, width = features.shape
    flat = features.reshape(batch, channels, height * width)
    if features.dtype not in _LOW:
        product = torch.bmm(flat, flat.transpose(1, 2))
    else:
        product = _LowGram.apply(flat)  # type: ignore[no-untyped-call]
    return product / (channels * height * width)


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of tensors of one shape and type: a scalar, in fp32 at least.

    Sums of 16-bit tensors have the precision of fp32 without fp32 copies: two numbers with 8 bits
    of mantissa have a difference with 8 bits.
    """
    if a.dtype not in _LOW:
        return functional.mse_loss(a, b)
    norm = torch.linalg.vector_norm(a - b, dtype=torch.float32)
    mean: Tensor = norm.square() / a.numel()
    return mean


class _LowGram(torch.autograd.Function):
    """`x @ x.transpose(1, 2)` of x (B, C, N) in 16 bits, with the result in 32.

    In 16 bits, differences of Gram matrices would lose precision. Their gradient tolerates it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        if x.device.type == "cuda" and _BMM_WIDENS:
            wide: Tensor = torch.bmm(x, x.transpose(1, 2), out_dtype=torch.float32)
            return wide
        full = x.float()
        return torch.bmm(full, full.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        both = gradients[0] + gradients[0].transpose(1, 2)
        # So that small values do not underflow in fp16.
        largest = both.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
        return torch.bmm((both / largest).to(x.dtype), x) * largest.to(x.dtype)


def feature_terms(fake: Sequence[Level], real: Sequence[Level]) -> tuple[Tensor, Tensor]:
    """The perceptual and the style term: sums over the levels of a feature network."""
    pairs = list(zip(fake, real, strict=True))
    perceptual = [
        a.perceptual_weight * squared_difference(a.perceptual, b.perceptual) for a, b in pairs
    ]
    style = [a.style_weight * squared_difference(a.style, b.style) for a, b in pairs]
    return torch.stack(perceptual).sum(), torch.stack(style).sum()


def relativistic_loss(
    winner: Tensor, loser: Tensor, mean: Callable[[Tensor], Tensor] = torch.mean
) -> Tensor:
    """Relativistic average loss that wants `winner` scored above `loser`.

    The discriminator minimises it with (real, fake), the generator with (fake, real).

    Args:
        winner: logits of any shape.
        loser: logits of the same shape.
        mean: computes the mean of a batch's scores, of which each process may hold a share.

    Returns:
        A scalar, log 2 where the two are indistinguishable.
    """
    above = functional.softplus(-(winner - mean(loser))).mean()
    below = functional.softplus(loser - mean(winner)).mean()
    return (above + below) / 2
