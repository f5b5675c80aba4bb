"""The grid of parameter levels: axes, points and the static rule.

A *point* is a tuple of level indices, one per axis, counted from 0. The search works on points and
counts distances in levels; *params*, a dictionary of values by name, are what a program receives.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final, Literal, NamedTuple

from dsice.allowed import Rule
from dsice.errors import InvalidInput
from dsice.levels import continuous, geometric, integers, linear
from dsice.ratios import Ratios

Value = bool | int | float | str
Params = dict[str, Value]
Point = tuple[int, ...]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"study", "stage", "dir", "result", "progress", "params", "best"})
_COUNTED: Final = 100_000  # points that are looked at, one by one, to count different programs


class Axis:
    """One parameter and its levels.

    ``Axis("tile", [8, 16, 32])`` takes the levels in the order given: neighbours are expected to
    behave alike. `Axis.linear`, `Axis.geometric` and `Axis.integers` make ranges; `Axis.range` and
    `Axis.log` choose round numbers between two ends; `Axis.choice` is for values without an order.

    Attributes:
        name: an identifier; it is also the field ``{name}`` of a command.
        levels: the distinct values, at least one.
        ordered: False for a choice.
        scale: of a continuous range, whose levels stand for the numbers between them: ``"linear"``
            or ``"log"``; None: only the levels are meant.

    Raises:
        InvalidInput: a bad name, no level, a level twice, or a level that is no number, text or
            truth value.
    """

    __slots__ = ("levels", "name", "ordered", "scale")

    def __init__(
        self,
        name: str,
        levels: Sequence[Value],
        *,
        ordered: bool = True,
        scale: Literal["linear", "log"] | None = None,
    ) -> None:
        check_name("axis name", name)
        if isinstance(levels, str | bytes) or not isinstance(levels, Sequence):
            levels = _listed(name, levels)
        if not levels:
            raise InvalidInput(f"axis {name!r} has no levels: at least one is needed")
        for level in levels:
            if not isinstance(level, bool | int | float | str) or (
                isinstance(level, float) and not math.isfinite(level)
            ):
                raise InvalidInput(
                    f"axis {name!r}: level {level!r} is no finite number, text or truth value"
                )
        seen: set[Value] = set()
        for level in levels:
            if level in seen:
                raise InvalidInput(f"axis {name!r} has the level {level!r} twice")
            seen.add(level)
        self.name: Final = name
        self.levels: Final[tuple[Value, ...]] = tuple(levels)
        self.ordered: Final = ordered
        self.scale: Final = scale

    @classmethod
    def linear(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        step: float | None = None,
    ) -> Axis:
        """Evenly spaced levels from ``first`` to ``last``, by their number or by their step.

        Levels are integers where the ends are integers and every level falls on one. With a step,
        the last level is the largest one not beyond ``last``.
        """
        return cls(name, linear(name, first, last, levels, step))

    @classmethod
    def geometric(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        step: float | None = None,
    ) -> Axis:
        """Levels in constant ratio from ``first`` to ``last``: their number, or the ratio ``step``.

        Both ends are positive. Levels are integers where the ends are integers and every level
        falls on one (``Axis.geometric("tile", 1, 64, step=2)``).
        """
        return cls(name, geometric(name, first, last, levels, step))

    @classmethod
    def range(cls, name: str, first: float, last: float, levels: int | None = None) -> Axis:
        """A continuous range: about evenly spaced round numbers from ``first`` to ``last``.

        They stand for the numbers between them: where a setting names another one, such as
        ``first`` of a study file, the nearest level is taken. 21 levels by default.
        """
        return cls(name, continuous(name, first, last, levels, log=False), scale="linear")

    @classmethod
    def log(cls, name: str, first: float, last: float, levels: int | None = None) -> Axis:
        """A continuous range on a logarithmic scale: ``Axis.log("lr", 1e-5, 1e-1)``.

        As `range`, with about constant ratios between the levels: 1e-5, 1.8e-5, 3.2e-5, 5.6e-5,
        1e-4, .... Both ends are positive. Four levels a decade by default, 9 at least and 33 at
        most.
        """
        return cls(name, continuous(name, first, last, levels, log=True), scale="log")

    @classmethod
    def integers(cls, name: str, first: int, last: int, step: int = 1) -> Axis:
        """The integers from ``first`` to ``last``, both included, by ``step``."""
        return cls(name, integers(name, first, last, step))

    @classmethod
    def choice(cls, name: str, values: Sequence[Value]) -> Axis:
        """Values without an order, such as names of algorithms."""
        return cls(name, values, ordered=False)

    def __len__(self) -> int:
        return len(self.levels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.name, self.levels, tuple(map(type, self.levels)), self.ordered)

    def __repr__(self) -> str:
        kind = "Axis" if self.ordered else "Axis.choice"
        shown = ", ".join(map(repr, self.levels[:8])) + (", ..." if len(self) > 8 else "")
        return f"{kind}({self.name!r}, [{shown}])"


class Counts(NamedTuple):
    """How many points a grid has.

    Attributes:
        points: in all.
        allowed: those that the rule does not exclude; None where they cannot be counted.
        distinct: different programs among those; None where they cannot be counted.
        least: allowed points that are known of.
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


class Grid:
    """All points of a set of axes, less those that a static rule excludes.

    Args:
        axes: one `Axis` per parameter, with distinct names.
        allowed: a rule on parameter values: an expression such as ``"block_x * block_y <= 1024"``,
            a function of the params, or None. Of an expression, the allowed points are found
            without testing all of them. A function is called with one point after another,
            thousands of times for each proposal: it must be quick, and the same at every call.
        only_ratios_of: names of axes that matter only through the ratios of their values: points
            that differ in them by a common positive factor, and in nothing else, are the same
            program. The values are numbers of 0 or more; zeros stay zeros.

    Raises:
        InvalidInput: no axis, a name twice, a rule that does not parse or reads unknown names, or
            ratios of what is no axis or has no ratios.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        allowed: str | Callable[[dict[str, Any]], bool] | None = None,
        only_ratios_of: Sequence[str] = (),
    ) -> None:
        self.axes: Final = tuple(axes)
        if not self.axes:
            raise InvalidInput("a grid needs at least one axis")
        if not all(isinstance(axis, Axis) for axis in self.axes):
            raise InvalidInput("a grid is made of dsice.Axis objects")
        names = [axis.name for axis in self.axes]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"two axes are named {name!r}")
        self.names: Final = tuple(names)
        self.shape: Final[Point] = tuple(len(axis) for axis in self.axes)
        self.rule: Final = allowed
        levels = {axis.name: axis.levels for axis in self.axes}
        self._rule: Final = None if allowed is None else Rule(allowed, levels)
        self._index: Final = [{v: k for k, v in enumerate(axis.levels)} for axis in self.axes]
        self._in_ratios: Final = _in_ratios(names, only_ratios_of)
        self.only_ratios_of: Final = tuple(names[k] for k in self._in_ratios)
        weights = {names[k]: self.axes[k].levels for k in self._in_ratios}
        self._ratios: Final = Ratios(weights) if weights else None
        self._counts: Counts | None = None

    @property
    def size(self) -> int:
        """Number of points, those that the rule excludes included."""
        return math.prod(self.shape)

    def __contains__(self, point: object) -> bool:
        """Whether ``point`` is a tuple of level indices of this grid (the rule is not asked)."""
        return (
            isinstance(point, tuple)
            and len(point) == len(self.shape)
            and all(
                isinstance(k, int) and 0 <= k < n for k, n in zip(point, self.shape, strict=True)
            )
        )

    def __iter__(self) -> Iterator[Point]:
        """All allowed points.

        In index order, the last axis fastest; with a rule that leaves more than a million, in an
        order of their own.
        """
        if self._rule is not None and self._rule.points.count is not None:
            return iter(self._rule.points)
        return filter(self.allows, itertools.product(*map(range, self.shape)))

    def allows(self, point: Point) -> bool:
        """Whether the static rule lets ``point`` be measured.

        Raises:
            InvalidInput: the rule is an expression that has no value there.
        """
        return self._rule is None or self._rule(point)

    @property
    def allowed_count(self) -> int | None:
        """Number of points that the rule allows; None if they cannot be counted."""
        return self.size if self._rule is None else self._rule.points.count

    def require_allowed(self) -> None:
        """Check that the rule allows a point.

        Raises:
            InvalidInput: it allows none.
        """
        if self.allowed_count == 0:
            raise InvalidInput(f"the rule {self.rule!r} allows none of the {self.size:,} points")

    def allowed_at(self, number: int) -> Point:
        """The allowed point with a number from 0 to `allowed_count` - 1.

        Without a rule in index order, else in an order of its own.
        """
        return self.at(number) if self._rule is None else self._rule.points[number]

    def draws(self, count: int, random: Random) -> list[Point]:
        """Up to ``count`` random allowed points, equal ones among them.

        Each is drawn from all with the same probability. Where the allowed points cannot be
        counted, some are likelier than others, and fewer may be found.
        """
        if self._rule is not None:
            return self._rule.points.draws(count, random)
        return [tuple(random.randrange(n) for n in self.shape) for _ in range(count)]

    def within(self, levels: Sequence[Sequence[int]]) -> Iterator[Point]:
        """The points whose level of each axis is among those given.

        Only allowed ones where the rule is an expression whose points can be counted; otherwise
        all of them.
        """
        found = None if self._rule is None else self._rule.within(levels)
        if found is not None and found.count is not None:
            return iter(found)
        return itertools.product(*levels)

    def draws_within(
        self, levels: Sequence[Sequence[int]], count: int, random: Random
    ) -> Iterable[Point]:
        """As `draws`, of the points that `within` gives."""
        found = None if self._rule is None else self._rule.within(levels)
        if found is not None:
            return found.draws(count, random)
        return (tuple(map(random.choice, levels)) for _ in range(count))

    def program(self, point: Point) -> Point:
        """What tells the program at ``point`` from others: equal for points of the same program.

        The point itself, unless axes matter only through their ratios.
        """
        if self._ratios is None:
            return point
        program = list(point)
        key = self._ratios.key([point[axis] for axis in self._in_ratios])
        for axis, number in zip(self._in_ratios, key, strict=True):
            program[axis] = number
        return tuple(program)

    def canonical(self, point: Point) -> Point:
        """The point that a search proposes for ``point`` and all that are equivalent to it.

        The point itself: grids whose equivalent points are known in full may say otherwise.
        """
        return point

    def at(self, number: int) -> Point:
        """The point number ``number`` of `size`, counted from 0 (the rule is not asked)."""
        indices = []
        for n in reversed(self.shape):
            number, index = divmod(number, n)
            indices.append(index)
        return tuple(reversed(indices))

    def counts(self) -> Counts:
        """How many points there are."""
        if self._counts is None:
            self._counts = self._counted()
        return self._counts

    def _counted(self) -> Counts:
        allowed = self.allowed_count
        distinct = None if allowed is None else self._distinct(allowed)
        least = self._rule.points.least if self._rule is not None else self.size
        return Counts(self.size, allowed, distinct, least)

    def _distinct(self, allowed: int) -> int | None:
        """How many different programs there are among so many ``allowed`` points."""
        if self._ratios is None or not allowed:
            return allowed
        if self._rule is None:
            combined = math.prod(self.shape[axis] for axis in self._in_ratios)
            return None if combined > _COUNTED else allowed // combined * self._ratios.count()
        found = self._rule.points.tied(self._in_ratios, _COUNTED)
        if found is None:
            return None
        axes, combinations, each = found
        ratios = [axes.index(axis) for axis in self._in_ratios]
        others = [k for k, axis in enumerate(axes) if axis not in self._in_ratios]
        programs = {
            (*self._ratios.key([row[k] for k in ratios]), *(row[k] for k in others))
            for row in combinations.tolist()
        }
        return len(programs) * each

    def params(self, point: Point) -> Params:
        """The parameter values at ``point``, by name."""
        if point not in self:
            raise InvalidInput(f"{point!r} is no point of a grid of shape {self.shape}")
        return {axis.name: axis.levels[k] for axis, k in zip(self.axes, point, strict=True)}

    def point(self, params: Mapping[str, Value]) -> Point:
        """The point with these parameter values; each must be a level of its axis."""
        if len(params) == len(self.names):
            with suppress(KeyError, TypeError):
                pairs = zip(self.names, self._index, strict=True)
                return tuple([index[params[name]] for name, index in pairs])
        if unknown := set(params) ^ set(self.names):
            raise InvalidInput(
                f"params need exactly {list(self.names)}; differing: {sorted(unknown)}"
            )
        point = []
        for axis, index in zip(self.axes, self._index, strict=True):
            value = params[axis.name]
            if not isinstance(value, bool | int | float | str) or value not in index:
                raise InvalidInput(f"{value!r} is no level of axis {axis.name!r}")
            point.append(index[value])
        return tuple(point)

    @property
    def centre(self) -> Point:
        """The middle level n // 2 of each axis (the rule is not asked)."""
        return tuple(n // 2 for n in self.shape)

    def nearest(self, point: Point) -> Point | None:
        """The allowed point nearest to ``point``, or None if none is found.

        Distances are Euclidean, in levels; of equally distant points the first in index order is
        taken. Where the allowed points cannot be counted, it is one that is near.
        """
        return point if self._rule is None else self._rule.points.nearest(point)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return (self.axes, self.rule, self.only_ratios_of)

    def __repr__(self) -> str:
        rule = "" if self.rule is None else f", allowed={self.rule!r}"
        ratios = f", only_ratios_of={list(self.only_ratios_of)}" if self.only_ratios_of else ""
        return f"Grid({list(self.axes)!r}{rule}{ratios})"


def _in_ratios(names: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """The numbers of the axes that are ``chosen`` by name, in the order of the grid."""
    if isinstance(chosen, str) or not isinstance(chosen, Sequence):
        raise InvalidInput(f"only_ratios_of = {chosen!r}: a list of axis names is needed")
    for name in chosen:
        if name not in names:
            raise InvalidInput(
                f"only_ratios_of names {name!r}, which is no axis: the axes are {', '.join(names)}"
            )
        if list(chosen).count(name) > 1:
            raise InvalidInput(f"only_ratios_of names {name!r} twice")
    return [k for k, name in enumerate(names) if name in chosen]


def check_name(what: str, name: object) -> None:
    """Check that ``name`` can be a field of a command.

    Raises:
        InvalidInput: it cannot; the message begins with ``what``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{what} {name!r}: accepted are letters, digits and _, not starting with a digit"
        )
    if name in _RESERVED:
        raise InvalidInput(f"{what} {name!r} is reserved: {', '.join(sorted(_RESERVED))}")


def _listed(name: str, levels: object) -> list[Value]:
    if isinstance(levels, str | bytes) or not hasattr(levels, "__iter__"):
        raise InvalidInput(f"axis {name!r}: levels must be a list, not {levels!r}")
    # NumPy arrays and ranges are welcome; their scalars become Python's own.
    return [v.item() if hasattr(v, "item") else v for v in levels]
