"""Where to look next: lines through good points, and a few points far from everything.

Directional exploration, in the terms of the classic forms (`dsice.search.classic`): *axis lines*
change one coordinate, *oblique lines* several at the same pace. To these come lines along learned
directions, each the difference of two good points: they follow a valley wherever it leads. An axis
without an order has no line; all its levels are neighbours of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from dsice.grid import Grid, Point

# An axis with more levels than this is sampled: densely near the point, sparsely further away.
_LINE: Final = 64
_ONE_MORE: Final = 0.4  # how likely an oblique line changes one more axis


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


def oblique_line(point: Point, grid: Grid, random: Random) -> Iterator[Point]:
    """A line that changes two or more axes of ``point``, by one level a step each.

    More axes are less likely. Unordered axes among them take random levels.
    """
    axes = [axis for axis, n in enumerate(grid.shape) if n > 1]
    if len(axes) < 2:
        return
    count = 2
    while count < len(axes) and random.random() < _ONE_MORE:
        count += 1
    direction = [0.0] * len(point)
    for axis in random.sample(axes, count):
        direction[axis] = random.choice((-1.0, 1.0))
    yield from _line(point, direction, grid, random)


def learned_line(
    point: Point, good: Sequence[Point], grid: Grid, random: Random
) -> Iterator[Point]:
    """A line through ``point`` along the difference of two of the ``good`` points."""
    if len(good) < 2:
        return
    first, second = random.sample(good, 2)
    origin = point if random.random() < 0.5 else first
    difference = [a - b for a, b in zip(origin, second, strict=True)]
    if largest := max(map(abs, difference)):
        yield from _line(point, [step / largest for step in difference], grid, random)


def _line(point: Point, direction: Sequence[float], grid: Grid, random: Random) -> Iterator[Point]:
    """The points of the grid nearest to ``point + t direction``, t = ..., -1, 1, 2, ..."""
    moving: list[int] = []
    jumping: list[int] = []
    for axis, step in enumerate(direction):
        if step:
            (moving if grid.axes[axis].ordered else jumping).append(axis)
    longest = max((grid.shape[axis] for axis in moving), default=0)
    reach = _levels(0, longest) if longest else []
    for sign in (-1, 1):
        for t in reach if sign > 0 or not jumping else [0, *reach]:
            moved = list(point)
            for axis in moving:
                moved[axis] = level = round(point[axis] + sign * t * direction[axis])
                if not 0 <= level < grid.shape[axis]:
                    break
            else:
                for axis in jumping:
                    moved[axis] = random.randrange(grid.shape[axis])
                yield tuple(moved)
                continue
            break  # further steps lead further out


def far_points(grid: Grid, count: int, origins: Sequence[Point], random: Random) -> list[Point]:
    """About ``count`` distinct allowed points from all over the grid.

    Where the rule excludes nearly everything, blind draws find little: random walks over allowed
    points from ``origins`` make up for it.
    """
    found: dict[Point, None] = {}
    for _ in range(16 * count):
        point = tuple(random.randrange(n) for n in grid.shape)
        if grid.allows(point):
            found[point] = None
            if len(found) == count:
                return list(found)
    for point in origins:
        for _ in range(count):
            moved = list(point)
            for axis in random.sample(range(len(point)), min(len(point), random.randint(1, 3))):
                moved[axis] = random.randrange(grid.shape[axis])
            if grid.allows(tuple(moved)):
                point = tuple(moved)
                found[point] = None
    return list(found)[:count]
