from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from superres.compute import to_tensor
from superres.data import Pixels
from superres.errors import UserError
from superres.model import Generator, GeneratorConfig
from superres.tiling import (
    bytes_per_pixel,
    least_memory,
    make_plan,
    network_upscaler,
    self_ensemble,
)

NETWORKS = {
    "dense, 2x": GeneratorConfig(6, 4, 3, scale=2),
    "dense, 4x": GeneratorConfig(6, 4, 2),
    "dense, 8x": GeneratorConfig(6, 4, 2, scale=8),
    "residual, 4x": GeneratorConfig(6, 4, 2, residual=True),
    "residual, 8x": GeneratorConfig(6, 4, 2, residual=True, scale=8),
    "recurrent, 2x": GeneratorConfig(6, 4, 2, recurrences=2, scale=2),
    "one pair, 4x": GeneratorConfig(6, 4, 1, recurrences=2),
}


def made(config: GeneratorConfig) -> Generator:
    """A network whose output is within the range of an image."""
    torch.manual_seed(0)
    generator = Generator(config)
    last = generator.reconstruct
    with torch.no_grad():
        if config.residual:
            torch.nn.init.normal_(last.weight, std=0.01)
            return generator
        last.weight.mul_(0.2 / generator(torch.rand(1, 3, 20, 20)).std())
        last.weight.sub_(last.weight.mean())
        assert last.bias is not None
        last.bias.fill_(0.5)
    return generator


def image(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("size", [(70, 90), (41, 113)])
def test_pieces_give_the_pixels_of_the_whole(
    config: GeneratorConfig, size: tuple[int, int]
) -> None:
    generator, low, pieces = made(config), image(*size), []
    whole = network_upscaler(generator)(low)
    least = least_memory(config, *size)
    parts = network_upscaler(generator, least, progress=lambda done, of: pieces.append((done, of)))
    cut = parts(low)
    assert whole.shape == (size[0] * config.scale, size[1] * config.scale, 3)
    assert whole.std() > 5
    assert pieces[-1][0] == pieces[-1][1] == len(pieces) > 1
    # The last bit of a float may turn a rounding.
    assert np.abs(whole.astype(int) - cut).max() <= 1


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2)])
def test_small_images(scale: int, size: tuple[int, int]) -> None:
    for config in (
        GeneratorConfig(6, 4, 2, residual=True, scale=scale),
        GeneratorConfig(6, 4, 2, recurrences=3, scale=scale),
    ):
        enlarged = network_upscaler(made(config))(image(*size))
        assert enlarged.shape == (size[0] * scale, size[1] * scale, 3)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    context=st.integers(0, 60),
    pixels=st.integers(1, 60_000),
)
def test_plans_keep_to_their_pixels(height: int, width: int, context: int, pixels: int) -> None:
    piece = min(height, 1 + 2 * context) * min(width, 1 + 2 * context)
    if piece > pixels:
        with pytest.raises(ValueError, match="too few"):
            make_plan(height, width, context, pixels)
        return
    plan = make_plan(height, width, context, pixels)
    assert 1 <= plan.height <= height
    assert 1 <= plan.width <= width
    rows = min(height, plan.height + 2 * context)
    assert rows * min(width, plan.width + 2 * context) <= pixels
    if height * width <= pixels:
        assert plan.work == height * width


def test_too_little_memory_is_refused_with_what_it_takes() -> None:
    config = GeneratorConfig(6, 4, 2)
    least = least_memory(config, 60, 60)
    upscale = network_upscaler(made(config), least - 1)
    with pytest.raises(UserError, match=f"needs {least / 1e6:.0f} MB for 60x60 pixels"):
        upscale(image(60, 60))


def test_networks_that_see_far_may_exceed_the_default() -> None:
    """MR64-3 at 8x: refusing would leave the user without a choice of no --memory."""
    config = GeneratorConfig(256, 64, 7, scale=8, recurrences=3)
    assert least_memory(config, 500, 500) > 10e9
    floats = 64 * (64 * 13 + 11) + 512 + 12 * 64
    assert bytes_per_pixel(config) == pytest.approx(4 * 1.1 * floats)


def test_the_number_of_threads_does_not_matter() -> None:
    generator, low = made(GeneratorConfig(6, 4, 2)), image(20, 30)
    alone = network_upscaler(generator)(low)
    torch.set_num_threads(2)
    assert (network_upscaler(generator)(low) == alone).all()
    assert torch.get_num_threads() == 2


def test_the_self_ensemble_is_the_mean_of_eight_orientations() -> None:
    generator, low = made(GeneratorConfig(6, 4, 2)).eval(), image(9, 14)
    tensor = to_tensor(low[None])
    with torch.no_grad():
        results = []
        for flips in ([], [2], [3], [2, 3]):
            flipped = tensor.flip(flips)
            results.append(generator(flipped).flip(flips))
            across = flipped.transpose(2, 3)
            results.append(generator(across).transpose(2, 3).flip(flips))
        mean = torch.stack(results).mean(0)
        torch.testing.assert_close(self_ensemble(generator, tensor), mean)
    levels = (mean[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    found = network_upscaler(generator, ensemble=True)(low)
    assert np.abs(found - levels).max() < 0.51
    assert (found != network_upscaler(generator)(low)).any()


def test_orientation_does_not_matter_to_the_self_ensemble() -> None:
    upscaler = network_upscaler(made(GeneratorConfig(6, 4, 2)).eval(), ensemble=True)
    low = image(12, 10)
    turned = upscaler(np.ascontiguousarray(np.rot90(low)))
    assert np.abs(turned.astype(int) - np.rot90(upscaler(low))).max() <= 1
