"""The numbers of points of a grid: all, allowed and distinct ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from dsice.allowed import Rule
from dsice.ratios import Ratios

_MOST: Final = 100_000  # maximum number of points to examine when counting distinct ones


class Counts(NamedTuple):
    """The numbers of points of a grid.

    Attributes:
        points: all points without those of retired levels. Points that differ only in parameters
            that do not apply there are counted once.
        allowed: points that the rule allows; None if they cannot be counted.
        distinct: number of these with equivalent points counted once; None if they cannot be
            counted.
        least: lower bound on the number of allowed points.
    """

    points: int
    allowed: int | None
    distinct: int | None
    least: int

    def __str__(self) -> str:
        """``61,440 points, 14,190 distinct``."""
        parts = [f"{self.points:,} points" if self.points > 1 else "1 point"]
        if self.allowed is None:
            known = f"at least {self.least:,} allowed" if self.least else "allowed ones not counted"
            parts.append(known)
        elif self.allowed < self.points:
            parts.append(f"{self.allowed:,} allowed" if self.allowed else "none allowed")
        if self.distinct is not None and self.allowed != self.distinct:
            parts.append(f"{self.distinct:,} distinct")
        return ", ".join(parts)


def counted(
    shape: Sequence[int],
    size: int,
    rule: Rule | None,
    ratios: Ratios | None,
    in_ratios: Sequence[int],
) -> Counts:
    """Count the points of a grid.

    Args:
        shape: number of levels of each axis.
        size: number of points, including those that the rule excludes.
        rule: which points are allowed; None: all.
        ratios: which points are equivalent; None: no two.
        in_ratios: the numbers of the axes that matter only through their ratios.
    """
    allowed = size if rule is None else rule.points.count
    least = size if rule is None else rule.points.least
    if allowed and ratios is not None:
        return Counts(size, allowed, _distinct(shape, allowed, rule, ratios, in_ratios), least)
    return Counts(size, allowed, allowed, least)


def _distinct(
    shape: Sequence[int],
    allowed: int,
    rule: Rule | None,
    ratios: Ratios,
    in_ratios: Sequence[int],
) -> int | None:
    """Number of ``allowed`` points, with equivalent ones counted once."""
    if rule is None:
        combined = math.prod(shape[axis] for axis in in_ratios)
        return None if combined > _MOST else allowed // combined * ratios.count()
    found = rule.points.tied(in_ratios, _MOST)
    if found is None:
        return None
    axes, combinations, each = found
    tied = [axes.index(axis) for axis in in_ratios]
    others = [k for k, axis in enumerate(axes) if axis not in in_ratios]
    programs = {
        (*ratios.key([row[k] for k in tied]), *(row[k] for k in others))
        for row in combinations.tolist()
    }
    return len(programs) * each
