"""Antialiased bicubic resizing.

Low-resolution images are made in one of two ways, with the same kernel (a = -1/2) and the same
antialiasing. Pillow's is fast; MATLAB's, which mirrors the image at its borders, was used for the
standard test sets. `halve` and `stretch`, which NIQE and Ma's score need for real numbers, also
follow MATLAB.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array


class Downscaling(StrEnum):
    """The method of downscaling, and of bicubic upscaling for comparison."""

    PILLOW = "pillow"
    """Pillow's `BICUBIC`."""

    MATLAB = "matlab"
    """MATLAB's `imresize` on uint8, to the last bit."""

    GIVEN = "given"
    """By somebody else, in files of their own; images are enlarged as by MATLAB."""


def shrink(
    image: NDArray[np.uint8], factor: int, how: Downscaling = Downscaling.PILLOW
) -> NDArray[np.uint8]:
    """Reduce (H, W, 3) to (H / factor, W / factor, 3); the sides must be multiples of it."""
    if how is Downscaling.GIVEN:
        raise ValueError("low resolution was given, it cannot be made")
    height, width = image.shape[:2]
    return _RESIZE[how](image, height // factor, width // factor)


def enlarge(
    image: NDArray[np.uint8], factor: int, how: Downscaling = Downscaling.PILLOW
) -> NDArray[np.uint8]:
    """Enlarge (H, W, 3) to (H * factor, W * factor, 3): the bicubic baseline."""
    height, width = image.shape[:2]
    return _RESIZE[how](image, height * factor, width * factor)


def halve(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Halve (H, W), with even sides of at least 4, as MATLAB's `imresize(image, 0.5)` does."""
    height, width = image.shape
    rows, columns = (_weights(side, side // 2).toarray() for side in (height, width))
    half: NDArray[np.float64] = rows @ image @ columns.T
    return half


def stretch(image: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Enlarge (H, W) to any larger size, as MATLAB's `imresize(image, [height width])` does."""
    if image.shape == (height, width):
        return image
    rows, columns = image.shape
    larger: NDArray[np.float64] = _stretching(rows, height) @ image @ _stretching(columns, width).T
    return larger


def _pillow_resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def _matlab_resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize along the columns of the image, then along its rows, rounding to uint8 each time."""
    for wanted in (height, width):
        length, *others = image.shape
        # At scales that are powers of two, weights are integer multiples of a power of two and sums
        # are exact, so halves are rounded up as in MATLAB.
        sums = _weights(length, wanted) @ image.reshape(length, -1).astype(np.float64)
        levels = np.clip(np.floor(sums + 0.5), 0, 255).astype(np.uint8)
        image = levels.reshape(wanted, *others).swapaxes(0, 1)
    return np.ascontiguousarray(image)


_RESIZE = {
    Downscaling.PILLOW: _pillow_resize,
    Downscaling.MATLAB: _matlab_resize,
    Downscaling.GIVEN: _matlab_resize,
}


def _weights(length: int, wanted: int) -> csr_array:
    """The (wanted, length) matrix of bicubic resizing with mirrored borders."""
    stretch = max(1.0, length / wanted)  # widens the kernel for antialiasing in a reduction
    centres = (np.arange(wanted) + 0.5) * length / wanted - 0.5
    first = np.floor(centres - 2 * stretch).astype(int)
    places = first[:, None] + np.arange(int(np.ceil(4 * stretch)) + 2)
    weights = _keys_kernel((centres[:, None] - places) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = places % (2 * length)
    inside = np.minimum(inside, 2 * length - 1 - inside)
    rows = np.broadcast_to(np.arange(wanted)[:, None], places.shape)
    entries = (weights.ravel(), (rows.ravel(), inside.ravel()))
    return csr_array(entries, shape=(wanted, length))


def _stretching(length: int, longer: int) -> NDArray[np.float64]:
    """The (longer, length) matrix of bicubic interpolation with mirrored borders."""
    rows = np.arange(longer)
    places = (rows + 0.5) * length / longer - 0.5
    columns = np.floor(places).astype(int)[:, None] + np.arange(-1, 3)[None, :]
    weights = _keys_kernel(places[:, None] - columns)
    columns = np.where(columns < 0, -1 - columns, columns)
    columns = np.where(columns >= length, 2 * length - 1 - columns, columns)
    matrix = np.zeros((longer, length))
    np.add.at(matrix, (rows[:, None], columns), weights)
    return matrix


def _keys_kernel(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution with a = -1/2 (Keys 1981, equation 15)."""
    x = np.abs(x)
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))
