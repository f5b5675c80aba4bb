"""The training step of the release of D-DBPN, re-created: what it computes, and how.

Written anew after reading `alterzero/DBPN-Pytorch` for its behaviour; every part names the
function it answers to. What does not bear on time is left out: console output other than what
makes the program wait, and checkpoints. What does is kept, with its defects: the loader decodes and
resamples whole photographs for every patch, the fake is enlarged twice and not detached for the
discriminator, and two of the four terms have no gradient.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from superres.losses import LossWeights
from superres.model import GeneratorConfig

PATCH, BATCH, SCALE = 60, 1, 4
"""Defaults of main_gan.py: its patch is in low-resolution pixels, whatever its help says."""

# DIV2K's training set: an epoch, after which the loader's processes end and start anew.
_EPOCH = 800

_LEARNING_RATE, _WORKERS = 1e-4, 1

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Sample = tuple[Tensor, Tensor, Tensor]
"""Low resolution, high resolution, and the enlarged low resolution, which nothing uses."""


class Photographs(Dataset[Sample]):
    """A patch of a photograph for every index (dataset.py: DatasetFromFolder).

    Args:
        files: photographs; an epoch visits them as often as it needs to have DIV2K's length.
        patch: side in low-resolution pixels.
    """

    def __init__(self, files: Sequence[Path], patch: int) -> None:
        self._files = files
        self._patch = patch

    def __len__(self) -> int:
        return _EPOCH

    def __getitem__(self, index: int) -> Sample:
        with Image.open(self._files[index % len(self._files)]) as file:
            high = file.convert("RGB")
        # Both resolutions of the whole photograph are made before anything is cut out.
        low = high.resize((high.width // SCALE, high.height // SCALE), Image.Resampling.BICUBIC)
        enlarged = low.resize((low.width * SCALE, low.height * SCALE), Image.Resampling.BICUBIC)
        left = random.randrange(low.width - self._patch + 1)
        top = random.randrange(low.height - self._patch + 1)
        box = (left, top, left + self._patch, top + self._patch)
        large = (SCALE * box[0], SCALE * box[1], SCALE * box[2], SCALE * box[3])
        patches = [low.crop(box), high.crop(large), enlarged.crop(large)]
        if random.random() < 0.5:
            patches = [ImageOps.flip(patch) for patch in patches]
        if random.random() < 0.5:
            patches = [ImageOps.mirror(patch) for patch in patches]
        if random.random() < 0.5:
            patches = [patch.rotate(180) for patch in patches]
        a, b, c = (_tensor(patch) for patch in patches)
        return a, b, c


def batches(files: Sequence[Path], patch: int, batch: int) -> Iterator[Sample]:
    """Batches as main_gan.py gets them: one process loads, in random order, nothing is pinned."""
    loader = DataLoader(
        Photographs(files, patch), batch_size=batch, shuffle=True, num_workers=_WORKERS
    )
    while True:
        yield from loader


def _tensor(image: Image.Image) -> Tensor:
    """What torchvision's ToTensor makes of an image (data.py: transform)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)


def _conv(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.PReLU())


def _deconv(channels: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride, padding)
    return nn.Sequential(layer, nn.PReLU())


class Unit(nn.Module):
    """A projection unit (base_networks.py: UpBlock, DownBlock, and the D_ kinds of both).

    Args:
        channels: of the result.
        up: whether it enlarges.
        inputs: how many maps the concatenation that it is given is made of.
    """

    def __init__(self, channels: int, up: bool, inputs: int) -> None:
        super().__init__()
        shape = (SCALE + 4, SCALE, 2)
        kinds = (up, not up, up)
        self.merge = _conv(channels * inputs, channels, 1, 1, 0) if inputs > 1 else nn.Identity()
        self.there, self.back, self.again = (
            _deconv(channels, *shape) if enlarges else _conv(channels, channels, *shape)
            for enlarges in kinds
        )

    def forward(self, maps: Tensor) -> Tensor:
        x = self.merge(maps)
        first = self.there(x)
        result: Tensor = self.again(self.back(first) - x) + first
        return result


class Generator(nn.Module):
    """The network (dbpn.py: Net; dbpn_v1.py with ten stages): maps are concatenated as they come.

    Its parameters are those of `superres.model.Generator`, in the same order.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.nr
        self.extract = nn.Sequential(
            _conv(3, config.n0, 3, 1, 1), _conv(config.n0, channels, 1, 1, 0)
        )
        self.ups = nn.ModuleList(Unit(channels, True, max(1, t)) for t in range(config.stages))
        self.downs = nn.ModuleList(Unit(channels, False, t) for t in range(1, config.stages))
        self.output = nn.Conv2d(channels * config.stages, 3, 3, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, low: Tensor) -> Tensor:
        highs: Tensor = self.ups[0](self.extract(low))
        lows: Tensor | None = None
        for down, up in zip(self.downs, self.ups[1:], strict=True):
            new = down(highs)
            lows = new if lows is None else torch.cat((new, lows), 1)
            highs = torch.cat((up(lows), highs), 1)
        image: Tensor = self.output(highs)
        return image


class Discriminator(nn.Module):
    """How probably each image is real, (B, 1) (discriminator.py: Discriminator).

    Batch normalisation, and a dense layer of the whole last map: at 240 pixels, 118 of its 123
    million weights.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.LeakyReLU(0.2, True)]
        channels = width
        for factor, stride in ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)):
            layers += [
                nn.Conv2d(channels, factor * width, 3, stride, 1),
                nn.BatchNorm2d(factor * width),
                nn.LeakyReLU(0.2, True),
            ]
            channels = factor * width
            side = -(-side // stride)
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(channels * side * side, 16 * width),
            nn.LeakyReLU(0.2, True),
            nn.Linear(16 * width, 1),
            nn.Sigmoid(),
        )
        for module in self.convolutions:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, image: Tensor) -> Tensor:
        probability: Tensor = self.dense(self.convolutions(image).flatten(1))
        return probability


def features(image: Tensor) -> list[Tensor]:
    """Its "VGG" features (discriminator.py: FeatureExtractor).

    Layers 9, 18, 27 and 36 of VGG19 are poolings, and only those are run, one after the other.
    """
    found = []
    for _ in range(4):
        image = functional.max_pool2d(image, 2)
        found.append(image)
    return found


def feature_terms(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The perceptual and the style term of images that are cut off from their gradient."""
    pairs = list(zip(features(fake), features(real), strict=True))
    perceptual = [functional.mse_loss(a, b) for a, b in pairs]
    style = [functional.mse_loss(_gram(a), _gram(b)) for a, b in pairs]
    return torch.stack(perceptual).sum(), torch.stack(style).sum()


def _gram(found: Tensor) -> Tensor:
    """utils.py: gram_matrix, one for the whole batch."""
    batch, channels, height, width = found.shape
    flat = found.reshape(batch * channels, height * width)
    return flat.mm(flat.t()) / found.numel()


def normalised(images: Tensor) -> Tensor:
    """utils.py: norm, one image after the other, as main_gan.py calls it."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
    for number, image in enumerate(images):
        images[number] = image.clone().sub_(mean).div_(std)
    return images


def adam(module: nn.Module) -> torch.optim.Adam:
    """Both networks' optimiser, as it comes."""
    return torch.optim.Adam(module.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)


class PixelStep:
    """main_gan.py: train_pretrained."""

    def __init__(self, generator: Generator, device: str) -> None:
        self.generator = generator
        self._optimiser = adam(generator)
        self._device = device

    def __call__(self, sample: Sample) -> None:
        low, high = (normalised(images).to(self._device) for images in sample[:2])
        self._optimiser.zero_grad()
        loss = functional.mse_loss(self.generator(low), high)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        loss.item()  # it is printed at every step


class AdversarialStep:
    """main_gan.py: train."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, weights: LossWeights, device: str
    ) -> None:
        self.generator: nn.Module = generator
        self.discriminator = discriminator
        self.optimiser, self.discriminator_optimiser = adam(generator), adam(discriminator)
        self._weights = weights
        self._device = device

    def __call__(self, sample: Sample) -> None:
        low, high = (normalised(images).to(self._device) for images in sample[:2])
        real = torch.ones(len(low), 1, device=self._device)
        self.discriminator_optimiser.zero_grad()
        discriminator_loss = functional.binary_cross_entropy(self.discriminator(high), real)
        judged = self.discriminator(self.fake_for_discriminator(low))
        discriminator_loss = discriminator_loss + functional.binary_cross_entropy(judged, 1 - real)
        discriminator_loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimiser.step()

        self.optimiser.zero_grad()
        fake = self.fake_for_generator(low)
        adversarial = functional.binary_cross_entropy(self.discriminator(fake), real)
        perceptual, style = feature_terms(fake.detach(), high)
        weights = self._weights
        loss = (
            weights.mse * functional.mse_loss(fake, high)
            + weights.vgg * perceptual
            + weights.adv * adversarial
            + weights.style * style
        )
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        for term in (loss, discriminator_loss):
            term.item()

    def fake_for_discriminator(self, low: Tensor) -> Tensor:
        """With its gradient, that goes on into the generator; the next zero_grad discards it."""
        fake: Tensor = self.generator(low)
        return fake

    def fake_for_generator(self, low: Tensor) -> Tensor:
        """Made anew."""
        fake: Tensor = self.generator(low)
        return fake
