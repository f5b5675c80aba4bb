"""Where to look next: lines through good points, and a few points far from everything.

Directional exploration, in the terms of the classic forms (`dsice.search.classic`): *axis lines*
change one coordinate, *oblique lines* several at the same pace. To these come lines along learned
directions, each the difference of two good points: they follow a valley wherever it leads. An axis
without an order has no line; all its levels are neighbours of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsice.grid import Grid, Point

# An axis with more levels than this is sampled: densely near the point, sparsely further away.
_LINE: Final = 64


def axis_lines(point: Point, grid: Grid) -> Iterator[Point]:
    """The points that differ from ``point`` on one axis."""
    for axis, n in enumerate(grid.shape):
        for level in _levels(point[axis], n):
            yield (*point[:axis], level, *point[axis + 1 :])


def _levels(at: int, n: int) -> list[int]:
    if n <= _LINE:
        return [level for level in range(n) if level != at]
    steps = [1, 2, 3]
    while steps[-1] < n:
        steps.append(steps[-1] * 3 // 2)
    near = {at + sign * step for step in steps for sign in (-1, 1)}
    even = {round(k * (n - 1) / 15) for k in range(16)}
    return sorted(level for level in (near | even) - {at} if 0 <= level < n)


def oblique_line(point: Point, grid: Grid, random: np.random.Generator) -> Iterator[Point]:
    """A line that changes two or more axes of ``point``, by one level a step each.

    More axes are less likely. Unordered axes among them take random levels.
    """
    axes = [axis for axis, n in enumerate(grid.shape) if n > 1]
    if len(axes) < 2:
        return
    count = min(len(axes), 1 + int(random.geometric(0.6)))
    changed = random.choice(axes, count + (count == 1), replace=False)
    direction = np.zeros(len(point))
    direction[changed] = random.choice((-1, 1), len(changed))
    yield from _line(point, direction, grid, random)


def learned_line(
    point: Point, good: Sequence[Point], grid: Grid, random: np.random.Generator
) -> Iterator[Point]:
    """A line through ``point`` along the difference of two of the ``good`` points."""
    if len(good) < 2:
        return
    first, second = random.choice(len(good), 2, replace=False)
    origin = point if random.random() < 0.5 else good[first]
    direction = np.subtract(origin, good[second]).astype(float)
    largest = np.abs(direction).max()
    if largest:
        yield from _line(point, direction / largest, grid, random)


def _line(
    point: Point, direction: NDArray[np.float64], grid: Grid, random: np.random.Generator
) -> Iterator[Point]:
    """The points of the grid nearest to ``point + t direction``, t = ..., -1, 1, 2, ..."""
    shape = np.array(grid.shape)
    ordered = np.array([axis.ordered for axis in grid.axes])
    step = np.where(ordered, direction, 0.0)
    jumping = ~ordered & (direction != 0)
    moving = shape[step != 0]
    reach = _levels(0, int(moving.max())) if len(moving) else []
    steps = np.array([-t for t in reach[::-1]] + [0] + reach)
    points = np.rint(np.array(point) + steps[:, None] * step).astype(int)
    if jumping.any():
        points[:, jumping] = random.integers(0, shape[jumping], (len(steps), int(jumping.sum())))
    inside = ((points >= 0) & (points < shape)).all(axis=1)
    yield from map(tuple, points[inside].tolist())


def far_points(
    grid: Grid, count: int, origins: Sequence[Point], random: np.random.Generator
) -> list[Point]:
    """About ``count`` distinct allowed points from all over the grid.

    Where the rule excludes nearly everything, blind draws find little: random walks over allowed
    points from ``origins`` make up for it.
    """
    found: dict[Point, None] = {}
    for draws in (count, 4 * count, 16 * count):
        drawn = np.stack([random.integers(0, n, draws) for n in grid.shape], axis=1)
        found.update((point, None) for point in map(tuple, drawn.tolist()) if grid.allows(point))
        if len(found) >= count:
            return list(found)[:count]
    for origin in origins:
        point = origin
        for _ in range(count):
            axes = random.choice(len(point), min(len(point), 1 + int(random.integers(3))), False)
            moved = list(point)
            for axis in axes:
                moved[axis] = int(random.integers(grid.shape[axis]))
            if grid.allows(tuple(moved)):
                point = tuple(moved)
                found[point] = None
    return list(found)[:count]
