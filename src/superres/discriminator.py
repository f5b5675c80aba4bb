"""The discriminator: a small spectrally normalised network for patches.

Sources: spectral normalisation, Miyato et al., ICLR 2018 (arXiv 1802.05957); a map of scores
instead of one score, Isola et al., CVPR 2017 (arXiv 1611.07004). The scores are compared
relativistically, see `superres.losses`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from superres.compute import exactly

# Slope for negative values between two layers.
_SLOPE = 0.2


def _layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding=1))


class Discriminator(nn.Module):
    """Scores of how real each neighbourhood of an image looks.

    Spectral normalisation bounds its Lipschitz constant, so that short fine-tunings stay stable
    with any weight of the adversarial term that leaves images recognisable.

    Args:
        width: channels of the layers at full resolution; the deeper ones have two and four times
            as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            _layer(3, width, 3, 1),
            nn.LeakyReLU(_SLOPE),
            _layer(width, width, 3, 1),
            nn.LeakyReLU(_SLOPE),
            _layer(width, 2 * width, 4, 2),
            nn.LeakyReLU(_SLOPE),
            _layer(2 * width, 4 * width, 4, 2),
            nn.LeakyReLU(_SLOPE),
            _layer(4 * width, 4 * width, 3, 1),
            nn.LeakyReLU(_SLOPE),
            _layer(4 * width, 1, 3, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Score RGB images (B, 3, H, W) in [0, 1]: (B, 1, H/4, W/4) logits."""
        return self.scores(image, *self.normalised())

    def normalised(self) -> tuple[Tensor, ...]:
        """The weights of all convolutions, divided by their spectral norms.

        In training mode, each call performs one step of the power iteration that estimates the
        norms, once for all images that are compared.
        """
        with exactly(next(self.parameters())):
            return tuple(layer.weight for layer in self._convolutions())

    def scores(self, image: Tensor, *weights: Tensor) -> Tensor:
        """As `forward`, with weights from `normalised`."""
        x = image * 2 - 1
        layers = self._convolutions()
        for layer, weight in zip(layers, weights, strict=True):
            x = functional.conv2d(x, weight, layer.bias, layer.stride, 1)
            if layer is not layers[-1]:
                x = functional.leaky_relu(x, _SLOPE)
        return x

    def _convolutions(self) -> list[nn.Conv2d]:
        return [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
