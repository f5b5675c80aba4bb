"""Problems of our own, for machines that have no tables of real measurements.

They imitate three kinds of tuning, with fixed random numbers: compute kernels (few levels, some
without order, multiplicative cliffs, excluded and failing points), training of networks (smooth,
with noise and plateaus, one with a bound on training time), and the functions of optimisation
textbooks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.compare.problems import FORMULAS, Array, Problem
from dsice.grid import Point


def synthetic() -> list[Problem]:
    """All of them; the bounded one comes without its bound too."""
    bounded = _training("training-5d", (10, 10, 3, 10, 10), seed=12, timed=True)
    return [
        _kernel("kernel-4d", (4, 31, 11, 3), unordered=(0, 3), seed=1),
        _kernel("kernel-6d", (16, 8, 6, 4, 3, 2), unordered=(4,), seed=2),
        _kernel("kernel-10d", (4, 4, 3, 3, 3, 3, 4, 4, 2, 2), unordered=(), seed=3),
        _training("training-4d", (15, 16, 16, 16), seed=11),
        bounded.without_bound(),
        replace(bounded, name=f"{bounded.name}+bound"),
        _textbook("sphere-2d", "sphere", (32, 32), seed=21),
        _textbook("ellipsoid-4d", "ellipsoid", (16,) * 4, seed=22),
        _textbook("rosenbrock-4d", "rosenbrock", (16,) * 4, seed=23),
        _textbook("rastrigin-4d", "rastrigin", (16,) * 4, seed=24),
        _textbook("ellipsoid-20d", "ellipsoid", (16,) * 20, seed=25),
    ]


def _kernel(name: str, shape: Point, unordered: tuple[int, ...], seed: int) -> Problem:
    """Run times: each axis multiplies, and so does asking for more than there is of a resource."""
    random = np.random.default_rng(seed)
    log_time = random.normal(0, 0.02, shape)
    share = min(1.0, 5 / len(shape))  # of each axis in the whole
    for axis, n in enumerate(shape):
        if axis in unordered:
            effect = random.normal(0, 0.3, n)
        else:
            effect = random.uniform(0.3, 1.5) * (np.linspace(0, 1, n) - random.uniform()) ** 2
            effect[random.integers(n) :] += random.exponential(0.3)
        log_time += _along(axis, share * effect, shape)
    ordered = [axis for axis in range(len(shape)) if axis not in unordered]
    registers, memory = (
        sum(
            (
                _along(axis, np.linspace(0, random.uniform(0.5, 1.5), shape[axis]), shape)
                for axis in random.permutation(ordered)[:3]
            ),
            np.zeros(shape),
        )
        for _ in range(2)
    )
    spilled = np.maximum(registers - np.quantile(registers, 0.6), 0)
    times = np.exp(log_time + 0.4 * (spilled > 0) + spilled)
    times[registers > np.quantile(registers, 0.95)] = np.nan
    allowed = memory <= np.quantile(memory, 0.7)
    kinds = tuple(axis not in unordered for axis in range(len(shape)))
    return Problem(name, "autotune", shape, kinds, times, allowed)


def _training(name: str, shape: Point, seed: int, *, timed: bool = False) -> Problem:
    """Error rates: a valley across the axes, flat far away and where training diverges."""
    random = np.random.default_rng(seed)
    place = np.stack([_along(k, np.linspace(0, 1, n), shape) for k, n in enumerate(shape)], axis=-1)
    turn, _ = np.linalg.qr(random.normal(size=(len(shape), len(shape))))
    away = (place - random.uniform(0.1, 0.9, len(shape))) @ turn
    error = 1 - 0.9 * np.exp(-(away**2) @ np.geomspace(1, 20, len(shape)))
    error[place[..., 0] + 0.3 * place[..., 1] > 1.1] = 1.0
    error += random.normal(0, 0.01, shape)
    ordered = (True,) * len(shape)
    if not timed:
        return Problem(name, "hpo", shape, ordered, error)
    seconds = np.exp(2 * place[..., -1] + place[..., -2] + random.normal(0, 0.05, shape))
    limit = 0.7 * float(seconds.flat[np.argmin(error)])  # the best network takes too long
    return Problem(name, "hpo", shape, ordered, error, second=seconds, limit=limit)


def _textbook(name: str, form: str, shape: Point, seed: int) -> Problem:
    """A turned function whose least value, 0, is at a random point of the grid."""
    random = np.random.default_rng(seed)
    axes = len(shape)
    turn, _ = np.linalg.qr(random.normal(size=(axes, axes)))
    optimum = np.array([random.integers(n // 8, n - n // 8) for n in shape])
    step = 8 / max(shape)

    def costs(points: Array) -> Array:
        return FORMULAS[form]((points - optimum) * step @ turn.T)

    ordered = (True,) * axes
    if np.prod(np.asarray(shape, dtype=float)) > 1e6:
        return Problem(name, "synthetic", shape, ordered, costs)
    points = np.moveaxis(np.indices(shape, dtype=float), 0, -1)
    return Problem(name, "synthetic", shape, ordered, costs(points))


def _along(axis: int, values: Array, shape: Point) -> Array:
    """``values`` of one axis, spread over the whole grid."""
    sides = [1] * len(shape)
    sides[axis] = len(values)
    return np.asarray(np.broadcast_to(values.reshape(sides), shape))
