from __future__ import annotations

import math

import pytest
import torch

from superres.errors import UserError
from superres.losses import (
    LossTerms,
    LossWeights,
    gram,
    relativistic_loss,
    squared_difference,
)


@pytest.mark.parametrize(
    "values", [(0, 0, 0, 0), (-1, 0, 0, 0), (math.nan, 1, 1, 1), (math.inf, 0, 0, 0)]
)
def test_weights_that_make_no_sense_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="weights of the loss"):
        LossWeights(*values)


def test_only_ratios_of_weights_matter() -> None:
    weights = LossWeights(1e-2, 1e-1, 1e-3, 10)
    for factor in (2.0**-7, 2.0**5):
        scaled = LossWeights(1e-2 * factor, 1e-1 * factor, 1e-3 * factor, 10 * factor)
        assert scaled.normalised() == weights.normalised()


def test_the_loss_is_the_weighted_sum() -> None:
    terms = LossTerms(*(torch.tensor(v) for v in (1.0, 2.0, 3.0, 4.0)))
    assert terms.weighted(LossWeights(1, 10, 100, 1000)).item() == 4321
    assert terms.weighted(LossWeights(0, 0, 2, 0)).item() == 6


def test_gram_matrices() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    assert torch.equal(gram(features), torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4)


def test_gram_matrices_do_not_know_places() -> None:
    features = torch.rand(1, 3, 4, 5)
    assert torch.allclose(gram(features), gram(features.flip(3)))


def test_relativistic_loss() -> None:
    high, low = torch.full((2, 1, 3, 3), 9.0), torch.full((2, 1, 3, 3), -9.0)
    assert relativistic_loss(high, high).item() == pytest.approx(math.log(2))
    assert relativistic_loss(high, low).item() < 1e-6
    assert relativistic_loss(low, high).item() == pytest.approx(18, rel=1e-3)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_terms_of_low_precision_features_are_those_of_their_copies_in_fp32(
    low: torch.dtype,
) -> None:
    torch.manual_seed(0)
    a, b = (torch.randn(2, 8, 9, 10).to(low).requires_grad_() for _ in range(2))
    wide = a.detach().float().requires_grad_()
    for ours, exact in (
        (squared_difference(a, b), ((wide - b.float()) ** 2).mean()),
        ((gram(a) - gram(b)).square().sum(), (gram(wide) - gram(b.float())).square().sum()),
    ):
        assert ours.dtype == torch.float32
        assert ours.item() == pytest.approx(exact.item(), rel=5e-3)
        (found,) = torch.autograd.grad(ours, a)
        (wanted,) = torch.autograd.grad(exact, wide)
        assert found.dtype == low
        largest = float(wanted.abs().max())
        assert torch.allclose(found.float(), wanted, rtol=0.02, atol=0.01 * largest)


def test_equal_features_have_no_gradient() -> None:
    a = torch.rand(1, 2, 3, 4).to(torch.bfloat16).requires_grad_()
    (gradient,) = torch.autograd.grad(squared_difference(a, a.detach().clone()), a)
    assert gradient.abs().sum() == 0
