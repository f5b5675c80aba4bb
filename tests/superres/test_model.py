from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from superres import training
from superres.arguments import (
    DOWNSCALING_NAMES,
    EXPORT_FORMAT_NAMES,
    FINETUNING_EMA,
    LOSS_NAMES,
    NETWORK_NAMES,
    TABLE_FORMAT_NAMES,
)
from superres.compute import to_tensor
from superres.errors import UserError
from superres.export import WRITERS
from superres.model import (
    PRESETS,
    Activation,
    Generator,
    GeneratorConfig,
    Projection,
    parameter_count,
)
from superres.resize import Downscaling, shrink
from superres.scale import SCALES
from superres.table import FORMATS
from superres.updates import PIXEL_LOSSES
from tests.superres.photographs import photograph, whole

SMALL = GeneratorConfig(8, 4, 3)


RECURRENT = GeneratorConfig(4, 3, 3, recurrences=2)
ONE_PAIR = GeneratorConfig(4, 3, 1, recurrences=3)


@pytest.mark.parametrize(
    ("preset", "scale", "parameters"),
    [
        ("tiny", 4, 151_310),
        # What the authors' code makes.
        ("dbpn-s", 2, 1_354_766),
        ("dbpn-s", 4, 2_386_958),
        ("dbpn-s", 8, 5_336_078),
        ("d-dbpn", 2, 5_953_526),
        ("d-dbpn", 4, 10_426_358),
        ("d-dbpn", 8, 23_205_878),
        ("dbpnll", 2, 8_811_086),
        ("dbpnll", 4, 15_348_302),
        ("dbpnll", 8, 34_026_062),
        ("dbpn-mr64-3", 2, 5_946_614),
        ("dbpn-mr64-3", 4, 10_419_446),
        ("dbpn-mr64-3", 8, 23_198_966),
        # Not in that code: summaries of the TPAMI paper give it 1.6 M.
        ("dbpn-r64-10", 4, 1_614_155),
    ],
)
def test_parameter_counts(preset: str, scale: int, parameters: int) -> None:
    with torch.device("meta"):
        generator = Generator(replace(PRESETS[preset].generator, scale=scale))
    assert parameter_count(generator) == parameters


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_enlarges_by_every_scale(preset: str, scale: int) -> None:
    with torch.device("meta"):
        generator = Generator(replace(PRESETS[preset].generator, scale=scale))
        assert generator(torch.rand(2, 3, 7, 5)).shape == (2, 3, 7 * scale, 5 * scale)


def test_the_command_line_offers_every_preset() -> None:
    assert tuple(PRESETS) == NETWORK_NAMES
    assert tuple(PIXEL_LOSSES) == LOSS_NAMES
    assert training.FINETUNING_EMA == FINETUNING_EMA
    assert tuple(FORMATS) == TABLE_FORMAT_NAMES
    assert tuple(WRITERS) == EXPORT_FORMAT_NAMES
    assert set(DOWNSCALING_NAMES) == {*Downscaling} - {Downscaling.GIVEN}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("config", [SMALL, GeneratorConfig(4, 3, 2), RECURRENT, ONE_PAIR])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (1, 2)])
def test_enlarges_whatever_the_size(
    config: GeneratorConfig, scale: int, size: tuple[int, int]
) -> None:
    generator = Generator(replace(config, scale=scale))
    assert generator(torch.rand(2, 3, *size)).shape == (2, 3, size[0] * scale, size[1] * scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("config", [SMALL, GeneratorConfig(4, 3, 5), RECURRENT, ONE_PAIR])
def test_the_gradient_reaches_every_parameter(config: GeneratorConfig, scale: int) -> None:
    torch.manual_seed(0)
    generator = Generator(replace(config, scale=scale))
    generator(torch.rand(2, 3, 9, 9)).square().mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_biases_start_at_zero_and_the_seed_decides_the_rest() -> None:
    torch.manual_seed(3)
    first = Generator(SMALL).state_dict()
    torch.manual_seed(3)
    second = Generator(SMALL).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not value.any() for name, value in first.items() if name.endswith("bias"))


def test_an_up_projection_adds_the_projected_residual() -> None:
    torch.manual_seed(0)
    unit = Projection(4, 4, up=True)
    x = torch.rand(1, 4, 6, 6)
    first = unit.project(x)
    assert torch.equal(unit(x), first + unit.correct(unit.back(first) - x))


def test_dense_units_see_the_newest_map_first() -> None:
    torch.manual_seed(0)
    generator = Generator(SMALL)
    low = torch.rand(1, 3, 5, 5)
    x = generator.extract(low)
    h1 = generator.ups[0](x)
    l1 = generator.downs[0](h1)
    h2 = generator.ups[1](l1)
    l2 = generator.downs[1](h2, h1)
    h3 = generator.ups[2](l2, l1)
    expected = generator.reconstruct(torch.cat([h3, h2, h1], 1))
    assert torch.allclose(generator(low), expected, rtol=1e-4, atol=1e-5)


def test_a_recurrent_network_goes_on_from_its_last_low_resolution_maps() -> None:
    torch.manual_seed(0)
    generator = Generator(RECURRENT)
    low = torch.rand(1, 3, 5, 5)
    x = generator.extract(low)
    highs = []
    for _ in range(2):
        h1 = generator.ups[0](x)
        l1 = generator.downs[0](h1)
        h2 = generator.ups[1](l1)
        x = generator.downs[1](h2, h1)
        highs.append(generator.ups[2](x, l1))
    expected = generator.reconstruct(torch.cat(highs, 1))
    assert torch.allclose(generator(low), expected, rtol=1e-4, atol=1e-5)


def test_a_single_pair_takes_turns() -> None:
    torch.manual_seed(0)
    generator = Generator(ONE_PAIR)
    (up,), (down,) = generator.ups, generator.downs
    low = torch.rand(1, 3, 5, 5)
    h1 = up(generator.extract(low))
    h2 = up(down(h1))
    h3 = up(down(h2))
    expected = generator.reconstruct(torch.cat([h1, h2, h3], 1))
    assert torch.allclose(generator(low), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "config", [SMALL, GeneratorConfig(4, 3, 2, residual=True), RECURRENT, ONE_PAIR]
)
def test_nothing_beyond_the_receptive_radius_matters(config: GeneratorConfig, scale: int) -> None:
    torch.manual_seed(0)
    generator = Generator(replace(config, scale=scale)).double()
    torch.nn.init.normal_(generator.reconstruct.weight)
    radius = config.receptive_radius
    low = torch.rand(1, 3, 4, 2 * radius + 9, dtype=torch.double)
    changed = low.clone()
    changed[..., 0] += 1
    with torch.no_grad():
        difference = (generator(low) - generator(changed)).abs().amax(dim=(0, 1, 2))
    reached = int(difference.nonzero().max()) // scale
    assert radius // 3 < reached <= radius


@pytest.mark.parametrize(
    "size", [(0, 4, 2, 1), (4, 0, 2, 1), (4, 4, 1, 1), (4, 4, 0, 2), (4, 4, 2, 0)]
)
def test_impossible_sizes_are_refused(size: tuple[int, int, int, int]) -> None:
    n0, nr, stages, recurrences = size
    with pytest.raises(UserError, match="D-DBPN needs"):
        GeneratorConfig(n0, nr, stages, recurrences=recurrences)


@pytest.mark.parametrize("scale", [0, 1, 3, 16])
def test_other_scales_are_refused(scale: int) -> None:
    with pytest.raises(UserError, match=f"2x, 4x or 8x, not {scale}x"):
        GeneratorConfig(4, 4, 2, scale=scale)


@pytest.mark.parametrize("scale", SCALES)
def test_a_residual_network_begins_as_bicubic_and_has_no_more_parameters(scale: int) -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(8, 4, 2, residual=True, scale=scale)
    low = torch.rand(1, 3, 6, 9)
    bicubic = torch.nn.functional.interpolate(
        low, scale_factor=scale, mode="bicubic", antialias=True
    )
    assert torch.equal(Generator(config)(low), bicubic)
    plain = replace(config, residual=False)
    assert parameter_count(Generator(config)) == parameter_count(Generator(plain))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_a_residual_network_adds_to_what_pillow_makes(name: str, scale: int) -> None:
    """As the authors' DBPN-RES-MR64-3 does; torch's own bicubic is up to 23 levels off."""
    low = shrink(whole(photograph(name))[: 48 * scale, : 40 * scale], scale)
    generator = Generator(GeneratorConfig(4, 2, 2, residual=True, scale=scale)).eval()
    with torch.no_grad():
        found = 255 * generator(to_tensor(low[None]))[0].permute(1, 2, 0).numpy()
    for channel in range(3):  # in real numbers: on 8 bits, Pillow rounds and clips after each axis
        plane = Image.fromarray(low[..., channel].astype(np.float32))
        size = (plane.width * scale, plane.height * scale)
        pillow = np.asarray(plane.resize(size, Image.Resampling.BICUBIC))
        assert found[..., channel] == pytest.approx(pillow, abs=2e-3)


@pytest.mark.parametrize("slope", [0.25, 1e-3, 2.0, 0.0, -0.3])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_activations_are_torchs_prelu(slope: float, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    own, torchs = Activation(init=slope).to(kind), nn.PReLU(init=slope).to(kind)
    values = torch.randn(2, 3, 5, 7, dtype=kind)
    values[0, 0, 0, :2] = torch.tensor([0.0, -0.0])
    weights = torch.randn_like(values)
    found = []
    for module in (own, torchs):
        x = values.clone().requires_grad_()
        result = module(x.clone())
        (result * weights).sum().backward()
        assert x.grad is not None
        assert module.weight.grad is not None
        found.append((result.detach(), x.grad, module.weight.grad))
    coarse = kind == torch.bfloat16  # torch adds up in bf16, too
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    tolerance = (0.02, 0.1) if coarse else (1e-5, 1e-6)
    torch.testing.assert_close(found[0][2], found[1][2], rtol=tolerance[0], atol=tolerance[1])


def test_activations_take_the_place_of_their_input() -> None:
    x = torch.randn(2, 3, 4, 4)
    result = Activation()(x)
    assert result.data_ptr() == x.data_ptr()
