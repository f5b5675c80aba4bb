"""The benchmark of the training step: the published one is what it says, and it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.superres import published, step
from benchmarks.superres.photographs import draw
from benchmarks.superres.rungs import RUNGS, Between
from benchmarks.superres.turns import Counter
from superres.losses import LossWeights
from superres.model import PRESETS, Generator, GeneratorConfig, parameter_count

CONFIG = GeneratorConfig(8, 4, 4)
PATCH = 8


def networks() -> tuple[published.Generator, published.Discriminator]:
    torch.manual_seed(0)
    discriminator = published.Discriminator(4, published.SCALE * PATCH)
    return published.Generator(CONFIG), discriminator


def sample() -> published.Sample:
    torch.manual_seed(1)
    low, high = torch.rand(2, 3, PATCH, PATCH), torch.rand(2, 3, 4 * PATCH, 4 * PATCH)
    return low, high, high


def copied(other: published.Generator) -> Generator:
    own = Generator(CONFIG)
    with torch.no_grad():
        for mine, its in zip(own.parameters(), other.parameters(), strict=True):
            mine.copy_(its)
    return own


def test_the_published_network_is_ours() -> None:
    other, _ = networks()
    low = sample()[0]
    torch.testing.assert_close(copied(other)(low), other(low))


def test_the_published_networks_have_the_published_sizes() -> None:
    assert parameter_count(published.Generator(PRESETS["d-dbpn"].generator)) == 10_426_358
    with torch.device("meta"):
        discriminator = published.Discriminator(64, 240)
    dense = 512 * 15 * 15 * 1024
    assert dense < parameter_count(discriminator) < dense + 6_000_000


@pytest.mark.parametrize("rung", list(RUNGS)[1 : list(RUNGS).index("discriminator")])
def test_what_is_saved_before_our_discriminator_changes_no_result(rung: str) -> None:
    gradients = []
    for name in ("published", rung):
        each = Between(*networks(), name, "cpu")
        each(sample())
        gradients.append([p.grad for p in each.generator.parameters()])
    for before, after in zip(*gradients, strict=True):
        assert before is not None
        assert after is not None
        torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max()))


def test_perceptual_and_style_weights_of_the_release_do_nothing() -> None:
    high = sample()[1]
    assert all(term > 0 for term in published.feature_terms(high[:1], high[1:]))
    trained = []
    for vgg, style in ((0.1, 10), (0, 0)):
        weights = LossWeights(mse=1e-2, vgg=vgg, adv=1e-3, style=style)
        each = published.AdversarialStep(*networks(), weights, "cpu")
        each(sample())
        trained.append(list(each.generator.parameters()))
    for a, b in zip(*trained, strict=True):
        assert torch.equal(a, b)


def test_a_sample_is_a_patch_of_both_resolutions(tmp_path: Path) -> None:
    draw(tmp_path / "photos", 1, (80, 120))
    low, high, enlarged = published.Photographs([tmp_path / "photos" / "0.png"], PATCH)[5]
    assert low.shape == (3, PATCH, PATCH)
    assert high.shape == enlarged.shape == (3, 4 * PATCH, 4 * PATCH)
    shrunk = functional.interpolate(high[None], scale_factor=0.25, mode="area")[0]
    assert (shrunk - low).abs().mean() < 0.05  # they show the same place


def test_operations_are_counted_as_torch_counts_them() -> None:
    each = published.PixelStep(networks()[0], "cpu")
    with Counter() as own:
        each(sample())
    with FlopCounterMode(display=False) as torchs:
        each(sample())
    assert own.flop == torchs.get_total_flops() > 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def here(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(step, "alone", here)
    step.main(["--quick", "--repeats", "1", "--threads", "1"])
    printed = capsys.readouterr().out
    for what in (*step.KINDS.values(), *(text for r, text in RUNGS.items() if r != "compiled")):
        assert what in printed
