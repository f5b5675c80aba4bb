"""Files in the layout of the authors' networks, with random weights and fewer channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from superres.checkpoint import Checkpoint
from superres.cli import main
from superres.resize import enlarge
from superres.tiling import network_upscaler
from tests.superres.conftest import synthetic_photo

Weights = dict[str, Tensor]

KERNELS = {2: 6, 4: 8, 8: 12}
N0, NR = 6, 4

# Name, scale, stages, recurrences, residual, normalised.
LAYOUTS = [
    *((f"DBPN_x{scale}", scale, 7, 1, False, False) for scale in (2, 4, 8)),
    *((f"DBPN-RES-MR64-3_{scale}x", scale, 7, 3, True, False) for scale in (2, 4, 8)),
    *((f"PIRM2018_region{region}", 4, 10, 1, False, True) for region in (1, 2, 3)),
    ("DBPNLL_x8", 8, 10, 1, False, False),
    ("DBPNS_x2", 2, 2, 1, False, False),
]


def random_weights(scale: int, stages: int, recurrences: int, seed: int = 0) -> Weights:
    """By the authors' names; small, so that ten stages make an image and not infinity."""
    made = torch.Generator().manual_seed(seed)
    weights: Weights = {}

    def layer(name: str, kind: str, inputs: int, outputs: int, kernel: int) -> None:
        shape = (inputs, outputs) if kind == "deconv" else (outputs, inputs)
        fan = inputs * kernel**2 / (scale**2 if kind == "deconv" else 1)
        weight = torch.randn(*shape, kernel, kernel, generator=made) * (1.2 / fan**0.5)
        weights[f"module.{name}.{kind}.weight"] = weight
        weights[f"module.{name}.{kind}.bias"] = 0.05 * torch.randn(outputs, generator=made)
        if name != "output_conv":
            weights[f"module.{name}.act.weight"] = 0.5 * torch.rand(1, generator=made)

    kernel = KERNELS[scale]
    layer("feat0", "conv", 3, N0, 3)
    layer("feat1", "conv", N0, NR, 1)
    for way, count in (("up", stages), ("down", stages - 1)):
        kinds = ("deconv", "conv", "deconv") if way == "up" else ("conv", "deconv", "conv")
        for stage in range(1, count + 1):
            merged = stage - 1 if way == "up" else stage
            if merged > 1:
                layer(f"{way}{stage}.conv", "conv", merged * NR, NR, 1)
            for part, kind in enumerate(kinds, 1):
                layer(f"{way}{stage}.{way}_conv{part}", kind, NR, NR, kernel)
    layer("output_conv", "conv", NR * (stages if recurrences == 1 else recurrences), 3, 3)
    return weights


def computed(
    weights: Weights, low: Tensor, scale: int, stages: int, recurrences: int, normalised: bool
) -> Tensor:
    """What the authors' networks compute, by names alone."""

    def layer(name: str, x: Tensor) -> Tensor:
        name = f"module.{name}"
        if f"{name}.deconv.weight" in weights:
            w, b = weights[f"{name}.deconv.weight"], weights[f"{name}.deconv.bias"]
            x = functional.conv_transpose2d(x, w, b, stride=scale, padding=2)
        else:
            w, b = weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"]
            side = w.shape[-1]
            stride, padding = (1, side // 2) if side in (1, 3) else (scale, 2)
            x = functional.conv2d(x, w, b, stride=stride, padding=padding)
        slope = weights.get(f"{name}.act.weight")
        return x if slope is None else torch.where(x > 0, x, slope * x)

    def unit(name: str, way: str, x: Tensor) -> Tensor:
        if f"module.{name}.conv.conv.weight" in weights:
            x = layer(f"{name}.conv", x)
        first = layer(f"{name}.{way}_conv1", x)
        back = layer(f"{name}.{way}_conv2", first)
        return layer(f"{name}.{way}_conv3", back - x) + first

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (low - mean.view(3, 1, 1)) / std.view(3, 1, 1) if normalised else low
    x = layer("feat1", layer("feat0", x))
    results = []
    for _ in range(recurrences):
        highs, lows = unit("up1", "up", x), torch.empty(0)
        for stage in range(1, stages):
            x = unit(f"down{stage}", "down", highs)
            lows = torch.cat((x, lows), 1) if stage > 1 else x
            newest = unit(f"up{stage + 1}", "up", lows)
            highs = torch.cat((newest, highs), 1)
        results.append(newest)
    out = layer("output_conv", highs if recurrences == 1 else torch.cat(results, 1))
    if normalised:
        shift, factor = torch.tensor([2.118, 2.036, 1.804]), torch.tensor([4.367, 4.464, 4.444])
        out = (out + shift.view(3, 1, 1)) / factor.view(3, 1, 1)
    return out


@pytest.mark.parametrize(
    ("name", "scale", "stages", "recurrences", "residual", "normalised"), LAYOUTS
)
def test_every_released_layout_computes_what_the_authors_do(
    name: str,
    scale: int,
    stages: int,
    recurrences: int,
    residual: bool,
    normalised: bool,
    tmp_path: Path,
) -> None:
    weights = random_weights(scale, stages, recurrences)
    torch.save(weights, tmp_path / f"{name}.pth")
    options = ["--residual"] * residual + ["--pirm"] * normalised
    out = tmp_path / "out"
    assert main(["import", str(tmp_path / f"{name}.pth"), "--out", str(out), *options]) == 0
    checkpoint = Checkpoint.load(out)
    config = checkpoint.generator.config
    assert (config.n0, config.nr, config.stages, config.scale) == (N0, NR, stages, scale)
    assert (config.recurrences, config.residual) == (recurrences, residual)
    assert checkpoint.history[0]["file"] == f"{name}.pth"

    image = synthetic_photo(14, 11)
    low = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = computed(weights, low, scale, stages, recurrences, normalised)[0]
    levels = expected.permute(1, 2, 0).numpy().clip(-1e6, 1e6) * 255
    assert levels.std() > 1  # an image, not a constant
    found = network_upscaler(checkpoint.generator)(image)
    if residual:  # they add what Pillow makes, which is rounded
        levels = levels + enlarge(image, scale)
        assert np.abs(found - levels.clip(0, 255)).max() < 3
        assert np.abs(found - levels.clip(0, 255)).mean() < 0.5
    else:
        assert np.abs(found - levels.clip(0, 255)).max() < 0.51
        with torch.no_grad():
            torch.testing.assert_close(checkpoint.generator(low)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize(
    ("name", "scale", "stages", "recurrences", "residual", "normalised"), LAYOUTS
)
def test_every_released_layout_has_the_psnr_of_the_authors_test_script(
    name: str,
    scale: int,
    stages: int,
    recurrences: int,
    residual: bool,
    normalised: bool,
    ensemble: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """eval.py: enlarge (eight times for `--self_ensemble`), add Pillow's bicubic, clamp, write."""
    weights = random_weights(scale, stages, recurrences)
    torch.save(weights, tmp_path / f"{name}.pth")
    (tmp_path / "set").mkdir()
    original = synthetic_photo(112, 120)
    Image.fromarray(original).save(tmp_path / "set" / "a.png")
    small = Image.fromarray(original).resize((120 // scale, 112 // scale), Image.Resampling.BICUBIC)
    low = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        made = []
        for flips in ([], [3], [2], [2, 3]) if ensemble else ([],):
            for across in (False, True)[: 1 + ensemble]:
                seen = low.flip(flips).transpose(2, 3) if across else low.flip(flips)
                out = computed(weights, seen, scale, stages, recurrences, normalised)
                made.append((out.transpose(2, 3) if across else out).flip(flips))
        image = torch.stack(made).mean(0)[0].permute(1, 2, 0).numpy()
    if residual:
        image = image + np.array(small.resize((120, 112), Image.Resampling.BICUBIC)) / 255
    written = np.rint(image.clip(0, 1) * 255)
    y, reference = (
        np.floor(16.5 + i @ np.array([65.481, 128.553, 24.966]) / 255)[scale:-scale, scale:-scale]
        for i in (written, original)
    )
    expected = 20 * np.log10(255 / np.sqrt(np.mean((y - reference) ** 2)))

    options = ["--residual"] * residual + ["--pirm"] * normalised
    net = str(tmp_path / "net")
    assert main(["import", str(tmp_path / f"{name}.pth"), "--out", net, *options]) == 0
    capsys.readouterr()
    options = ["--self-ensemble"] * ensemble + ["--downscaling", "pillow", "--format", "csv"]
    assert main(["table", str(tmp_path / "set"), "--checkpoint", net, *options]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    # Pillow's bicubic is rounded before they add it, ours is not.
    assert float(last.split(",")[3]) == pytest.approx(expected, abs=0.02 if residual else 2e-3)


def test_files_without_the_prefix_of_a_gpu(tmp_path: Path) -> None:
    weights = {n.removeprefix("module."): v for n, v in random_weights(4, 2, 1).items()}
    torch.save(weights, tmp_path / "a.pth")
    assert main(["import", str(tmp_path / "a.pth"), "--out", str(tmp_path / "out")]) == 0
    assert Checkpoint.load(tmp_path / "out").generator.config.stages == 2


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ("none", "no such file: {file}"),
        ("text", "{file} is no state dict of torch"),
        ("list", "{file} is no state dict of torch, but a list"),
        ("other", "{file} is no DBPN of the authors': 'feat0.conv.weight' is not in it"),
        ("more", "{file} is no DBPN of the authors': extra.weight is in it"),
        ("kernel", "{file} is no DBPN of the authors': 5 is not in it"),
        ("less", "{file} does not hold all weights of GeneratorConfig("),
        ("shape", "{file} does not hold all weights of GeneratorConfig("),
    ],
)
def test_other_files_are_refused_in_one_line(
    trouble: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.pth"
    weights = random_weights(4, 3, 1)
    if trouble == "text":
        file.write_text("text")
    elif trouble == "list":
        torch.save([1, 2], file)
    elif trouble == "other":
        torch.save({"a": torch.zeros(3)}, file)
    elif trouble != "none":
        if trouble == "more":
            weights["module.extra.weight"] = torch.zeros(3)
        elif trouble == "kernel":
            weights["module.up1.up_conv1.deconv.weight"] = torch.zeros(NR, NR, 5, 5)
        elif trouble == "less":
            del weights["module.down2.conv.act.weight"]
        else:
            weights["module.down2.conv.conv.weight"] = torch.zeros(NR, NR, 1, 1)
        torch.save(weights, file)
    assert main(["import", str(file), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message.format(file=file) in error
    assert not (tmp_path / "out").exists()
