"""What `benchmarks.superres.gpu` measures: errors, rates, and where the time goes."""

from __future__ import annotations

import copy
import gc
import sys
import time
from collections.abc import Callable
from collections.abc import Generator as Steps
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.nn.functional import conv2d, conv_transpose2d
from torch.profiler import ProfilerActivity, profile

from benchmarks.superres import published
from benchmarks.superres.turns import Counter, fastest, peak_flops
from superres.compute import Compute, Precision, to_tensor
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.features import FeatureNetwork, random_features, random_vgg19
from superres.feeding import batches
from superres.losses import (
    ADVERSARIAL_SCALE,
    DEFAULT_WEIGHTS,
    LossTerms,
    feature_terms,
    relativistic_loss,
)
from superres.model import PRESETS, Generator
from superres.patches import Batch, Patches
from superres.updates import FourTermUpdate, Terms

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Steps before anything is measured: cuDNN tries its ways, and fp16 finds its scale.
_WARM_UP = 4

# Overflows after which the loss scale of fp16, 65,536 at first, is far below 1.
_HALVINGS = 32


@dataclass(frozen=True, slots=True)
class Setup:
    """What is trained on what.

    Attributes:
        preset: name of the network.
        patch: side in low-resolution pixels.
        device: of torch.
        data: folder of prepared tiles.
        small: whether features are those of the small random network, not of VGG19's size.
    """

    preset: str
    patch: int
    device: str
    data: Path
    small: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A way to take training steps."""

    side: str
    precision: Precision
    compiled: bool
    batch: int

    def __str__(self) -> str:
        how = "compiled" if self.compiled else "eager"
        return f"{self.side}, {self.precision}, {how}, batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Rate:
    """What a case reaches: images per second, and the most memory its tensors took, in GB."""

    images: float
    memory: float


def errors(setup: Setup, precision: Precision, compiled: bool) -> dict[str, float]:
    """Relative errors of a step against the same in fp64.

    Of the image, of the four terms (the largest), and of the gradients of both networks: norm of
    the difference, divided by the norm of what is right.
    """
    torch.manual_seed(0)
    preset = PRESETS[setup.preset]
    generator = Generator(preset.generator)
    discriminator = Discriminator(preset.discriminator_width).eval()
    features = random_features()
    patches = Patches(Dataset(setup.data), 2, min(setup.patch, 24), 0)
    batch = patches.read(1)
    exact = _exact_step(generator, discriminator, features, batch, setup.device)
    compute = Compute(setup.device, precision, compiled)
    compute.prepare()
    others = copy.deepcopy((generator, discriminator, features))
    update = FourTermUpdate(*others, DEFAULT_WEIGHTS, 1e-4, compute, clip=1e30)
    update.discriminator.eval()  # no power iteration, which goes on with every look
    with torch.no_grad(), compute.autocast():
        image = compute.faster(update.generator)(compute.images(batch.low)).float()
    terms = _settled(update, batch)
    found = {
        "image": [image],
        "terms": [terms[name] for name in ("mse", "vgg", "adv", "style")],
        "generator's gradient": _gradients(update.generator),
        "discriminator's gradient": _gradients(update.discriminator),
    }
    relative = {}
    for name, values in found.items():
        pairs = list(zip(values, exact[name], strict=True))
        if name == "terms":
            relative[name] = max(float(abs(a.double() - b) / b) for a, b in pairs)
        else:
            difference = sum(float((a.double() - b).square().sum()) for a, b in pairs)
            relative[name] = (difference / sum(float(b.square().sum()) for _, b in pairs)) ** 0.5
    return relative


def _settled(update: FourTermUpdate, batch: Batch) -> Terms:
    """A step at the loss scale that a training finds by itself: halved until no gradient overflows.

    The learning rate is 0, so that all gradients are at the same weights.
    """
    for _ in range(_HALVINGS):
        scale = update.scaler.get_scale()
        terms = update(batch, 0.0)
        if update.scaler.get_scale() >= scale:
            return terms
    raise RuntimeError(f"gradients overflow at a loss scale of {scale:g}, too")


def _exact_step(
    generator: Generator,
    discriminator: Discriminator,
    features: FeatureNetwork,
    batch: Batch,
    device: str,
) -> dict[str, list[Tensor]]:
    """The step as one graph, in fp64."""
    generator, discriminator, features = copy.deepcopy((generator, discriminator, features))
    for module in (generator, discriminator, features):
        module.double().to(device)
    low, real = (to_tensor(pixels, device).double() for pixels in (batch.low, batch.high))
    image = generator(low)
    side = real.shape[2] - (real.shape[2] // low.shape[2] - 1)
    down, right = batch.shift
    view = (..., slice(down, down + side), slice(right, right + side))
    perceptual, style = feature_terms(features(image), features(real))
    scores, real_scores = discriminator(image[view]), discriminator(real[view])
    adversarial = ADVERSARIAL_SCALE * relativistic_loss(scores, real_scores.detach())
    terms = LossTerms(((image - real) ** 2).mean(), perceptual, adversarial, style)
    inputs = list(generator.parameters())
    whole = terms.weighted(DEFAULT_WEIGHTS.normalised())
    gradients = torch.autograd.grad(whole, inputs, retain_graph=True)
    loss = relativistic_loss(real_scores, scores)
    of_scores = torch.autograd.grad(loss, list(discriminator.parameters()))
    return {
        "image": [image.detach()],
        "terms": [t.detach() for t in (terms.mse, terms.vgg, terms.adv, terms.style)],
        "generator's gradient": list(gradients),
        "discriminator's gradient": list(of_scores),
    }


def rate(setup: Setup, case: Case, seconds: float) -> Rate | None:
    """How fast steps are taken, loading included; None if they do not fit into memory."""
    _reset(setup.device)
    try:
        with closing(steps(setup, case)) as taken:
            for _ in range(_WARM_UP):
                next(taken)
            wait(setup.device)
            began = time.perf_counter()
            next(taken)
            wait(setup.device)
            count = max(2, int(seconds / (time.perf_counter() - began)))
            began = time.perf_counter()
            for _ in range(count):
                next(taken)
            wait(setup.device)
            images = count * case.batch / (time.perf_counter() - began)
    except torch.OutOfMemoryError:
        return None
    on_gpu = setup.device != "cpu"
    return Rate(images, torch.cuda.max_memory_allocated() / 1e9 if on_gpu else 0.0)


def steps(setup: Setup, case: Case) -> Steps[None]:
    """Takes a step of a case each time it is asked for the next; the GPU may still be at it."""
    if case.side == "superres":
        yield from _own_steps(setup, case)
    else:
        yield from _published_steps(setup, case)


def _own_steps(setup: Setup, case: Case) -> Steps[None]:
    compute = Compute(setup.device, case.precision, case.compiled)
    compute.prepare()
    preset = PRESETS[setup.preset]
    torch.manual_seed(0)
    update = FourTermUpdate(
        Generator(preset.generator),
        Discriminator(preset.discriminator_width),
        random_features() if setup.small else random_vgg19(),
        DEFAULT_WEIGHTS,
        1e-4,
        compute,
    )
    patches = Patches(Dataset(setup.data), case.batch, setup.patch, 0)
    with closing(batches(patches, 1, 10**9, compute)) as stream:
        for batch in stream:
            update(batch, 1.0)
            yield


def _published_steps(setup: Setup, case: Case) -> Steps[None]:
    """Of the release, with the same patches from memory: its loader is left out."""
    torch.backends.cudnn.benchmark = True
    preset = PRESETS[setup.preset]
    torch.manual_seed(0)
    side = published.SCALE * setup.patch
    generator: nn.Module = published.Generator(preset.generator).to(setup.device)
    discriminator: nn.Module = published.Discriminator(preset.discriminator_width, side)
    step = published.AdversarialStep(
        generator,  # type: ignore[arg-type]
        discriminator.to(setup.device),  # type: ignore[arg-type]
        DEFAULT_WEIGHTS,
        setup.device,
    )
    if case.compiled:
        step.generator = torch.compile(step.generator, dynamic=False)  # type: ignore[assignment]
        step.discriminator = torch.compile(step.discriminator, dynamic=False)  # type: ignore[assignment]
    batch = Patches(Dataset(setup.data), case.batch, setup.patch, 0).read(1)
    low, high = (to_tensor(pixels).contiguous() for pixels in (batch.low, batch.high))
    while True:
        step((low.clone(), high.clone(), high))
        yield


def count_flop(setup: Setup) -> float:
    """Floating-point operations an image of our step, as torch counts them."""
    _reset(setup.device)
    with closing(steps(setup, Case("superres", "fp32", False, 1))) as taken:
        next(taken)
        with Counter() as counter:
            next(taken)
    return float(counter.flop)


def peak(precision: Precision, device: str, seconds: float) -> float:
    """The most operations a second that a matrix product or a convolution gets here.

    In fp32 that is TF32 on GPUs that have it, as convolutions use it unless told otherwise.
    """
    _reset(device)
    kind = str(_TYPES[precision]).removeprefix("torch.")
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        return peak_flops(kind, device, torch.get_num_threads(), seconds)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def projections(setup: Setup, batch: int, seconds: float) -> dict[str, float]:
    """Operations a second that projections reach in bf16, as convolutions and as matrix products.

    Those of a network at 4x, whose kernels have 8 pixels: the matrices are those of
    `superres.layouts.Blocks`.
    """
    _reset(setup.device)
    channels, side, scale = PRESETS[setup.preset].generator.nr, setup.patch, 4
    options: dict[str, Any] = {"device": setup.device, "dtype": torch.bfloat16}

    def images(side: int) -> Tensor:
        image = torch.randn(batch, channels, side, side, **options)
        return image.contiguous(memory_format=torch.channels_last)

    low, high = images(side), images(scale * side)
    kernels = torch.randn(channels, channels, 2 * scale, 2 * scale, **options)
    kernels = kernels.contiguous(memory_format=torch.channels_last)
    rows = batch * (side + 1) ** 2
    pixels = torch.randn(rows, 4 * channels, **options)
    blocks = torch.randn(rows, scale * scale * channels, **options)
    matrix = torch.randn(scale * scale * channels, 4 * channels, **options)
    torch.backends.cudnn.benchmark = True
    ways: dict[str, Callable[[], Tensor]] = {
        "up, transposed convolution": lambda: conv_transpose2d(low, kernels, None, scale, 2),
        "up, matrix product": lambda: pixels @ matrix.t(),
        "down, convolution": lambda: conv2d(high, kernels, None, scale, 2),
        "down, matrix product": lambda: blocks @ matrix,
    }
    operations = 2.0 * batch * (side * channels * 2 * scale) ** 2
    return {name: operations * fastest(way, setup.device, seconds) for name, way in ways.items()}


@dataclass(frozen=True, slots=True)
class Operation:
    """What kernels of one name take of a step: seconds, and calls."""

    name: str
    seconds: float
    calls: float


def by_operation(setup: Setup, case: Case, count: int = 3) -> list[Operation]:
    """The kernels of a step (on a CPU, its operators), those that take longest first."""
    _reset(setup.device)
    on_gpu = setup.device != "cpu"
    with closing(steps(setup, case)) as taken:
        for _ in range(_WARM_UP):
            next(taken)
        wait(setup.device)
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        with profile(activities=kinds, acc_events=True) as profiled:
            for _ in range(count):
                next(taken)
            wait(setup.device)
    found = []
    for event in profiled.key_averages():
        kernel = event.device_type != DeviceType.CPU
        if kernel == on_gpu:
            time_us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            found.append(Operation(event.key, time_us / 1e6 / count, event.count / count))
    return sorted(found, key=lambda operation: -operation.seconds)


def wait(device: str) -> None:
    """Until the GPU has done what it was asked for."""
    if device != "cpu":
        torch.cuda.synchronize()


def _reset(device: str) -> None:
    gc.collect()
    if "torch._dynamo" in sys.modules:  # takes seconds to import
        torch.compiler.reset()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]
