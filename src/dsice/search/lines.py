"""Candidate generation: lines through good points, and a few points far from everything.

This is directional exploration, in the terms of the classic forms (`dsice.search.classic`): *axis
lines* change one coordinate, *oblique lines* several at the same pace. In addition, there are lines
along learned directions: the difference of two good points follows a valley in any direction. An
unordered axis has no line; all its levels are neighbours of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from dsice.grid import Grid, Point
from dsice.search.why import Direction

# An axis with more levels than this is sampled, densely near the point and sparsely further away.
_LINE: Final = 64
_ONE_MORE: Final = 0.4  # probability that an oblique line changes one more axis


def axis_line(point: Point, axis: int, grid: Grid) -> Iterator[Point]:
    """The points that differ from ``point`` on one axis."""
    for level in _levels(point[axis], grid.shape[axis]):
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


def oblique_direction(grid: Grid, random: Random) -> Direction | None:
    """Draw a direction that changes two or more axes, by one level a step; None without two.

    The probability decreases with the number of axes.
    """
    axes = [axis for axis, n in enumerate(grid.shape) if n > 1]
    if len(axes) < 2:
        return None
    count = 2
    while count < len(axes) and random.random() < _ONE_MORE:
        count += 1
    direction = [0.0] * len(grid.shape)
    for axis in random.sample(axes, count):
        direction[axis] = random.choice((-1.0, 1.0))
    return tuple(direction)


def learned_direction(point: Point, good: Sequence[Point], random: Random) -> Direction | None:
    """The difference of two of the ``good`` points, or of ``point`` and one of them, if any.

    The largest step is one level.
    """
    if len(good) < 2:
        return None
    first, second = random.sample(good, 2)
    origin = point if random.random() < 0.5 else first
    difference = [a - b for a, b in zip(origin, second, strict=True)]
    largest = max(map(abs, difference))
    return tuple(step / largest for step in difference) if largest else None


def line(point: Point, direction: Direction, grid: Grid, random: Random) -> Iterator[Point]:
    """The points of the grid nearest to ``point + t direction``, t = ..., -1, 1, 2, ...

    Unordered axes that the direction changes take random levels.
    """
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
            break  # further steps only leave the grid further


def far_points(grid: Grid, count: int, origins: Sequence[Point], random: Random) -> list[Point]:
    """About ``count`` distinct allowed points from all over the grid.

    Where the rule excludes nearly everything and the allowed points cannot be counted, draws find
    few. Random walks over allowed points from ``origins`` compensate for that.
    """
    if grid.rule is not None:
        found = dict.fromkeys(grid.draws(count, random))
        if grid.allowed_count is not None or len(found) == count:
            return list(found)
    else:
        found = {}
        for _ in range(16 * count):
            found[tuple(random.randrange(n) for n in grid.shape)] = None
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
