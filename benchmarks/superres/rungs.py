"""The ways from the published step to ours, one change at a time.

Every rung keeps the changes of those before it. The first is the release as it is; those that
follow are the release with one thing after the other taken from `superres`; from the new
discriminator on, the step is `superres.updates.FourTermUpdate` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from benchmarks.superres import published
from superres.compute import Compute, to_tensor
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.features import FeatureNetwork, random_features, vgg19_features
from superres.losses import DEFAULT_WEIGHTS, Level, gram
from superres.model import PRESETS
from superres.model import Generator as OurGenerator
from superres.patches import Batch, Patches
from superres.updates import FourTermUpdate, PixelUpdate

B = TypeVar("B")

RUNGS = {
    "published": "the release as it is",
    "tiles": "+ patches read from prepared tiles, not decoded and resampled",
    "detached": "+ the fake detached where the discriminator learns",
    "once": "+ the generator runs once",
    "sums": "+ maps convolved one by one, not concatenated",
    "channels": "+ channels last in memory",
    "fused": "+ Adam as one kernel",
    "discriminator": "+ our discriminator, run once an image for both networks",
    "features": "+ features of a network, with gradient: superres, fp32",
    "bf16": "+ networks in bfloat16: superres, bf16",
    "compiled": "+ torch.compile",
}
"""What each rung adds, in order."""

_LEARNING_RATE = 1e-4


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained on what.

    Attributes:
        preset: name of the network.
        patch: side in low-resolution pixels.
        batch: patches a step.
        device: of torch.
        photos: files that the release decodes.
        tiles: folder of prepared data.
        vgg: weights of VGG19 for our features; None for the random network.
    """

    preset: str
    patch: int
    batch: int
    device: str
    photos: tuple[Path, ...]
    tiles: Path
    vgg: Path | None = None


@dataclass(frozen=True, slots=True)
class Loop(Generic[B]):
    """Where batches come from, and what is done with each; a step may end before it is computed."""

    open: Callable[[], Generator[B]]
    step: Callable[[B], object]


def loop(rung: str, what: str, task: Task) -> Loop[published.Sample] | Loop[Batch]:
    """The loop of a rung.

    Args:
        rung: of `RUNGS`.
        what: "loading" does nothing with the batches; "pixels" is a step of the generator on the
            mean squared error, with the same batch each time; "full" is the whole thing.
        task: for both programs.
    """
    order = list(RUNGS).index(rung)
    if order < list(RUNGS).index("discriminator"):
        return _published_loop(rung, what, task)
    return _own_loop(rung, what, task)


def _published_loop(rung: str, what: str, task: Task) -> Loop[published.Sample]:
    def decoded() -> Generator[published.Sample]:
        yield from published.batches(task.photos, task.patch, task.batch)

    def read() -> Generator[published.Sample]:
        with closing(_patches(task)) as batches:
            for batch in batches:
                low, high = to_tensor(batch.low), to_tensor(batch.high)
                yield (low, high, high) if _has(rung, "channels") else _contiguous(low, high)

    source = read if _has(rung, "tiles") else decoded
    if what == "loading":
        return Loop(source, _nothing)
    preset = PRESETS[task.preset]
    generator = published.Generator(preset.generator).to(task.device)
    if what == "pixels":
        pixel_step = published.PixelStep(generator, task.device)
        # A step normalises its images in place.
        return Loop(lambda: _same(source), lambda s: pixel_step((s[0].clone(), s[1].clone(), s[2])))
    side = published.SCALE * task.patch
    discriminator = published.Discriminator(preset.discriminator_width, side).to(task.device)
    step = Between(generator, discriminator, rung, task.device)
    return Loop(source, step)


def _own_loop(rung: str, what: str, task: Task) -> Loop[Batch]:
    def source() -> Generator[Batch]:
        with closing(_patches(task)) as batches:
            yield from batches

    if what == "loading":
        return Loop(source, _nothing)
    precision = "bf16" if _has(rung, "bf16") else "fp32"
    compute = Compute.choose(task.device, precision, compiled=_has(rung, "compiled"))
    compute.prepare()
    preset = PRESETS[task.preset]
    generator = OurGenerator(preset.generator)
    if what == "pixels":
        pixel_update = PixelUpdate(generator, _LEARNING_RATE, compute)
        return Loop(lambda: _same(source), lambda batch: pixel_update(batch, 1.0))
    own_features = _has(rung, "features")
    update = FourTermUpdate(
        generator,
        Discriminator(preset.discriminator_width),
        _features(task) if own_features else PooledImages(),
        DEFAULT_WEIGHTS,
        _LEARNING_RATE,
        compute,
        detached=not own_features,
    )
    return Loop(source, lambda batch: update(batch, 1.0))


class Between(published.AdversarialStep):
    """The published step, with the changes of the rungs up to `rung`."""

    def __init__(
        self,
        generator: published.Generator,
        discriminator: published.Discriminator,
        rung: str,
        device: str,
    ) -> None:
        super().__init__(generator, discriminator, DEFAULT_WEIGHTS, device)
        self._rung = rung
        self._fake: Tensor | None = None
        if _has(rung, "sums"):
            self.generator = OurGenerator(generator.config).to(device)
            with torch.no_grad():
                for own, other in zip(
                    self.generator.parameters(), generator.parameters(), strict=True
                ):
                    own.copy_(other)
        if _has(rung, "channels"):
            for module in (self.generator, self.discriminator):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = _adam(self.generator, rung)
        self.discriminator_optimiser = _adam(self.discriminator, rung)

    def fake_for_discriminator(self, low: Tensor) -> Tensor:
        self._fake = super().fake_for_discriminator(low)
        return self._fake.detach() if _has(self._rung, "detached") else self._fake

    def fake_for_generator(self, low: Tensor) -> Tensor:
        fake, self._fake = self._fake, None
        if _has(self._rung, "once") and fake is not None:
            return fake
        del fake
        return super().fake_for_generator(low)


class PooledImages(FeatureNetwork):
    """What the release takes for features, in the form that our step wants."""

    def __init__(self) -> None:
        super().__init__((), "poolings of the image")

    def forward(self, image: Tensor) -> list[Level]:
        return [Level(found, gram(found)) for found in published.features(image)]


def _has(rung: str, change: str) -> bool:
    names = list(RUNGS)
    return names.index(rung) >= names.index(change)


def _patches(task: Task) -> Generator[Batch]:
    # Far more than are ever read: the stream is closed when the measurement ends.
    stream = Patches(Dataset(task.tiles), task.batch, task.patch, seed=0).stream(1, 10**9)
    yield from _closing(stream)


def _closing(stream: Iterator[Batch]) -> Generator[Batch]:
    try:
        yield from stream
    finally:
        if isinstance(stream, Generator):
            stream.close()


def _same(source: Callable[[], Generator[B]]) -> Generator[B]:
    """The first batch, for ever."""
    with closing(source()) as batches:
        batch = next(batches)
    while True:
        yield batch


def _contiguous(low: Tensor, high: Tensor) -> published.Sample:
    return low.contiguous(), high.contiguous(), high


def _nothing(batch: object) -> None:
    pass


def _adam(module: nn.Module, rung: str) -> torch.optim.Adam:
    if not _has(rung, "fused"):
        return published.adam(module)
    return torch.optim.Adam(module.parameters(), lr=_LEARNING_RATE, fused=True)


def _features(task: Task) -> FeatureNetwork:
    return vgg19_features(task.vgg) if task.vgg else random_features()
