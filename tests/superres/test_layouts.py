"""Layouts of high-resolution maps compute the same networks."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from superres.layouts import BLOCKS, IMAGES, Layout
from superres.model import Generator, GeneratorConfig

NETWORKS = [
    GeneratorConfig(8, 4, 4),
    GeneratorConfig(8, 4, 3, scale=2, normalised=True),
    GeneratorConfig(8, 4, 2, scale=8, residual=True),
    GeneratorConfig(8, 4, 2, recurrences=3),
    GeneratorConfig(8, 4, 1, recurrences=2),
]


def network(config: GeneratorConfig) -> Generator:
    """A network in which every parameter, biases too, has an effect."""
    torch.manual_seed(0)
    generator = Generator(config).double()
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.1, 0.5)
        generator.reconstruct.weight.normal_()
    return generator


def image_and_gradients(generator: Generator, low: Tensor, layout: Layout) -> list[Tensor]:
    generator.zero_grad()
    image = generator(low, layout)
    (image * torch.linspace(0, 1, image.numel(), dtype=image.dtype).view_as(image)).sum().backward()
    gradients = [parameter.grad for parameter in generator.parameters()]
    return [image.detach(), *(g.clone() for g in gradients if g is not None)]


@pytest.mark.parametrize("config", NETWORKS, ids=lambda c: f"{c.scale}x, {c.stages} stages")
def test_blocks_give_the_image_and_the_gradients_of_torchs_convolutions(
    config: GeneratorConfig,
) -> None:
    generator = network(config)
    low = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    expected = image_and_gradients(generator, low, IMAGES)
    found = image_and_gradients(generator, low, BLOCKS)
    assert len(found) == 1 + len(list(generator.parameters()))
    for a, b in zip(found, expected, strict=True):
        # On a CPU, the gradient of a slope is summed in fp32.
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6 * float(b.abs().max()))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_blocks_hold_the_pixels_of_the_image_and_zeros_around_it(scale: int) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.ConvTranspose2d(3, 3, scale + 4, scale, 2), nn.PReLU())
    low = torch.rand(1, 3, 4, 5)
    image, blocks = IMAGES.up(layers, low), BLOCKS.up(layers, low)
    rows, columns = blocks.shape[1:3]
    pixels = blocks.view(rows, columns, scale, scale, 3).permute(4, 0, 2, 1, 3)
    pixels = pixels.reshape(3, scale * rows, scale * columns)
    height, width = image.shape[2:]
    inside = pixels[:, 2 : 2 + height, 2 : 2 + width]
    assert torch.allclose(inside, image[0], atol=1e-6)
    assert pixels.abs().sum().item() == pytest.approx(inside.abs().sum().item())


def test_in_bf16_blocks_are_as_exact_as_convolutions() -> None:
    generator = network(GeneratorConfig(16, 8, 4)).float()
    low = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        exact = generator(low, IMAGES)
        with torch.autocast("cpu", torch.bfloat16):
            errors = [(generator(low, one) - exact).norm() for one in (IMAGES, BLOCKS)]
    assert errors[1] < 1.5 * errors[0] < 0.02 * exact.norm()


def test_a_network_in_blocks_compiles_to_one_graph() -> None:
    generator = network(GeneratorConfig(8, 4, 3)).float()
    low = torch.rand(1, 3, 6, 6)
    torch.compiler.reset()
    counters.clear()
    compiled = torch.compile(
        functools.partial(generator, layout=BLOCKS), backend="aot_eager", dynamic=False
    )
    assert torch.allclose(compiled(low), generator(low, IMAGES), atol=1e-4)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    torch.compiler.reset()
