from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from superres.compute import Compute, to_tensor
from superres.discriminator import Discriminator
from superres.features import FeatureNetwork, pooled_image, random_features
from superres.losses import (
    ADVERSARIAL_SCALE,
    LossTerms,
    LossWeights,
    feature_terms,
    relativistic_loss,
)
from superres.model import Generator, GeneratorConfig
from superres.patches import Batch
from superres.updates import DiscriminatorUpdate, FourTermUpdate, PixelUpdate

TERMS = ("mse", "vgg", "adv", "style")
WEIGHTS = LossWeights(1e-2, 1e-1, 1e-3, 10)


@pytest.fixture(scope="module")
def features() -> FeatureNetwork:
    return random_features()


@pytest.fixture
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(6, 4, 2)), Discriminator(4)


@pytest.fixture(scope="module")
def batch() -> Batch:
    random = np.random.default_rng(0)
    low = random.integers(0, 255, (2, 8, 8, 3), np.uint8)
    high = random.integers(0, 255, (2, 32, 32, 3), np.uint8)
    return Batch(low, high, (1, 3))


def gradients(module: torch.nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def only(term: str) -> LossWeights:
    return LossWeights(**{name: float(name == term) for name in TERMS})


@pytest.mark.parametrize("term", TERMS)
def test_gradients_flow_from_every_term(
    networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch, term: str
) -> None:
    generator, discriminator = networks
    terms = FourTermUpdate(generator, discriminator, features, only(term), 1e-3, Compute())(
        batch, 1.0
    )
    found = gradients(generator)
    assert len(found) == len(list(generator.parameters()))
    assert all(g.abs().sum() > 0 for g in found)
    assert bool(gradients(discriminator)) == (term == "adv")
    assert terms["loss"] == terms[term] > 0


@pytest.mark.parametrize("shift", [(0, 0), (2, 1)])
def test_the_gradient_is_that_of_the_whole_loss(
    networks: tuple[Generator, Discriminator],
    features: FeatureNetwork,
    batch: Batch,
    shift: tuple[int, int],
) -> None:
    """The update cuts the graph in two and shares the discriminator's scores: one graph instead."""
    generator, discriminator = networks
    other, judge = copy.deepcopy(generator), copy.deepcopy(discriminator)
    update = FourTermUpdate(generator, discriminator, features, WEIGHTS, 1e-3, Compute())
    # Without the power iteration of spectral norms, which goes on with every look.
    discriminator.eval()
    judge.eval()
    terms = update(batch._replace(shift=shift), 1.0)

    low, real = (Compute().images(i) for i in (batch.low, batch.high))
    fake = other(low)
    # 32 pixels at 4x: all but 3 rows and columns.
    view = (..., slice(shift[0], shift[0] + 29), slice(shift[1], shift[1] + 29))
    perceptual, style = feature_terms(features(fake), features(real))
    adversarial = ADVERSARIAL_SCALE * relativistic_loss(judge(fake[view]), judge(real[view]))
    whole = LossTerms(((fake - real) ** 2).mean(), perceptual, adversarial, style)
    ratios = WEIGHTS.normalised()
    whole.weighted(ratios).backward()  # type: ignore[no-untyped-call]
    for ours, wanted in zip(gradients(generator), gradients(other), strict=True):
        assert torch.allclose(ours, wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))
    for name in TERMS:
        assert terms[name].item() == pytest.approx(getattr(whole, name).item(), rel=1e-5)

    judge.zero_grad()
    relativistic_loss(judge(real[view]), judge(fake.detach()[view])).backward()  # type: ignore[no-untyped-call]
    for ours, wanted in zip(gradients(discriminator), gradients(judge), strict=True):
        assert torch.allclose(ours, wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))


@pytest.mark.parametrize("term", ["vgg", "style"])
def test_as_released_the_feature_terms_have_no_gradient(
    networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch, term: str
) -> None:
    generator, discriminator = networks
    before = copy.deepcopy(generator.state_dict())
    update = FourTermUpdate(
        generator, discriminator, pooled_image(), only(term), 1e-3, Compute(), detached=True
    )
    terms = update(batch, 1.0)
    assert terms[term] > 0  # it is computed, and shown, and without any effect:
    assert all(g.abs().sum() == 0 for g in gradients(generator))
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    # The same with gradient is not without effect.
    FourTermUpdate(generator, discriminator, pooled_image(), only(term), 1e-3, Compute())(
        batch, 1.0
    )
    assert all(g.abs().sum() > 0 for g in gradients(generator))


def test_as_released_the_weights_of_the_feature_terms_do_nothing(
    networks: tuple[Generator, Discriminator], batch: Batch
) -> None:
    def gradient(weights: LossWeights) -> Tensor:
        generator, discriminator = copy.deepcopy(networks)
        update = FourTermUpdate(
            generator, discriminator, pooled_image(), weights, 1e-3, Compute(), detached=True
        )
        update(batch, 1.0)
        return torch.cat([g.flatten() for g in gradients(generator)])

    # Gradients are those of weights that sum to one: 4 and 1 here, powers of two.
    without = gradient(LossWeights(0.5, 0, 0.5, 0))
    assert torch.equal(4 * gradient(LossWeights(0.5, 1, 0.5, 2)), without)
    assert not torch.equal(4 * gradient(LossWeights(0.5, 1, 1.5, 1)), without)


@pytest.mark.parametrize("low", ["bf16", "fp16"])
def test_low_precision_computes_nearly_the_same(
    low: str, networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch
) -> None:
    found = []
    for precision in ("fp32", low):
        generator, discriminator = copy.deepcopy(networks)
        compute = Compute.choose("cpu", precision)
        update = FourTermUpdate(generator, discriminator, features, WEIGHTS, 1e-3, compute)
        terms = update(batch, 1.0)
        assert all(p.dtype == torch.float32 for p in generator.parameters())
        found.append(torch.stack([terms[name] for name in TERMS]))
    assert torch.allclose(found[0], found[1], rtol=0.05)


def test_in_fp16_losses_are_scaled_and_steps_that_overflow_left_out(
    networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch
) -> None:
    before = copy.deepcopy(networks)
    compute = Compute.choose("cpu", "fp16")
    update = FourTermUpdate(*networks, features, WEIGHTS, 1e-3, compute, clip=1.0)
    update.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60)
    update(batch, 1.0)
    for network, other in zip(networks, before, strict=True):
        for name, parameter in network.named_parameters():
            assert torch.equal(parameter, other.get_parameter(name)), name
    assert update.scaler.get_scale() == 2.0**59
    # With a scale that fits, small gradients survive the range of fp16: those of fp32 are met.
    update.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    weight = networks[0].reconstruct.weight.detach().clone()
    update(batch, 1.0)
    exact = FourTermUpdate(*before, features, WEIGHTS, 1e-3, Compute(), clip=1.0)
    exact(batch, 1.0)
    for ours, wanted in zip(gradients(networks[0]), gradients(before[0]), strict=True):
        assert torch.allclose(ours, wanted, rtol=0.05, atol=0.05 * float(wanted.abs().max()))
    assert not torch.equal(networks[0].reconstruct.weight, weight)


def test_the_discriminator_always_sees_as_many_pixels(
    networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch
) -> None:
    generator, discriminator = networks
    seen = []
    scores = discriminator.scores

    def record(image: Tensor, *weights: Tensor) -> Tensor:
        seen.append(image.detach())
        return scores(image, *weights)

    discriminator.scores = record  # type: ignore[method-assign]
    update = FourTermUpdate(generator, discriminator, features, WEIGHTS, 1e-3, Compute())
    high = to_tensor(batch.high)
    for shift in ((0, 0), (3, 3), (1, 2)):
        update(batch._replace(shift=shift), 1.0)
        real = seen[-2]
        assert torch.equal(real, high[..., shift[0] :, shift[1] :][..., :29, :29])
        assert seen[-1].shape == real.shape == (2, 3, 29, 29)


def test_spectral_norms_are_estimated_once_a_step(
    networks: tuple[Generator, Discriminator], features: FeatureNetwork, batch: Batch
) -> None:
    generator, discriminator = networks
    other = copy.deepcopy(discriminator)
    FourTermUpdate(generator, discriminator, features, WEIGHTS, 1e-3, Compute())(batch, 1.0)
    other.train().normalised()
    buffers = dict(other.named_buffers())
    assert buffers
    for name, value in discriminator.named_buffers():
        assert torch.equal(value, buffers[name]), name


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own look at a tensor
def test_compiled_networks_take_the_same_steps_with_one_graph_for_all(
    networks: tuple[Generator, Discriminator],
    features: FeatureNetwork,
    batch: Batch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Graphs are captured as ever, and run as they are: to make kernels of them takes minutes.
    compiled = functools.partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", compiled)
    torch.compiler.reset()
    counters.clear()
    found = []
    for compute in (Compute(), Compute(compiled=True)):
        compute.prepare()
        own = copy.deepcopy(networks)
        update = FourTermUpdate(*own, features, WEIGHTS, 1e-3, compute)
        terms = [update(batch._replace(shift=shift), 1.0) for shift in ((0, 0), (3, 1), (2, 2))]
        found.append((terms, own))
    for eager, other in zip(found[0][0], found[1][0], strict=True):
        for name in TERMS:
            assert other[name].item() == pytest.approx(eager[name].item(), rel=1e-3)
    # The generator's, the feature terms', and two of the discriminator: of an image with gradient,
    # and of one without.
    assert counters["stats"]["unique_graphs"] == 4
    assert not counters["graph_break"]
    torch.compiler.reset()


@pytest.mark.parametrize(("loss", "power"), [("mse", 2), ("l1", 1)])
def test_the_pixel_loss_can_be_chosen(
    networks: tuple[Generator, Discriminator], batch: Batch, loss: str, power: int
) -> None:
    generator, _ = networks
    low, high = (to_tensor(i) for i in (batch.low, batch.high))
    difference = (generator(low) - high).abs()
    expected = (difference**power).mean()
    expected.backward()
    wanted = [gradient.clone() for gradient in gradients(generator)]
    terms = PixelUpdate(generator, 1e-3, Compute(), loss=loss)(batch, 1.0)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["mse"].item() == pytest.approx((difference**2).mean().item(), rel=1e-5)
    for found, gradient in zip(gradients(generator), wanted, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-3, atol=1e-6)


def test_clipping_bounds_the_gradient(
    networks: tuple[Generator, Discriminator], batch: Batch
) -> None:
    generator, _ = networks
    PixelUpdate(generator, 1e-3, Compute(), clip=1e-3)(batch, 1.0)
    norm = torch.cat([g.flatten() for g in gradients(generator)]).norm()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_the_discriminator_learns_alone(
    networks: tuple[Generator, Discriminator], batch: Batch
) -> None:
    generator, discriminator = networks
    before = copy.deepcopy(generator.state_dict())
    update = DiscriminatorUpdate(generator, discriminator, Compute())
    losses = [update(batch)["discriminator"].item() for _ in range(30)]
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert not gradients(generator)
