"""Antialiased bicubic resizing.

Low-resolution images are made with Pillow's `BICUBIC`: the kernel (a = -1/2) and the
antialiasing of MATLAB's `imresize`, but 8-bit arithmetic and another treatment of the outermost
pixels. `halve` and `stretch`, which NIQE and Ma's score need on real numbers, follow `imresize` at
the borders as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def shrink(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Reduce (H, W, 3) to (H / factor, W / factor, 3); the sides must be multiples of it."""
    height, width = image.shape[:2]
    return _pillow_resize(image, height // factor, width // factor)


def enlarge(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarge (H, W, 3) to (H * factor, W * factor, 3): the bicubic baseline."""
    height, width = image.shape[:2]
    return _pillow_resize(image, height * factor, width * factor)


def halve(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce (H, W), even sides of 4 at least, to half, as MATLAB's `imresize(image, 0.5)` does."""
    height, width = image.shape
    half: NDArray[np.float64] = _halving(height) @ image @ _halving(width).T
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


def _halving(length: int) -> NDArray[np.float64]:
    """The (length / 2, length) matrix of bicubic reduction with mirrored borders."""
    # Each output sample is centred between two inputs; the kernel, twice as wide as for
    # interpolation, reaches four inputs to either side.
    offsets = np.arange(8) - 3.5
    weights = _keys_kernel(offsets / 2)
    weights /= weights.sum()
    rows = np.arange(length // 2)
    columns = 2 * rows[:, None] + np.arange(-3, 5)[None, :]
    columns = np.where(columns < 0, -1 - columns, columns)
    columns = np.where(columns >= length, 2 * length - 1 - columns, columns)
    matrix = np.zeros((length // 2, length))
    np.add.at(matrix, (rows[:, None], columns), weights)
    return matrix


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
