"""The grid of parameter levels: axes, points and the static rule.

A *point* is a tuple of level indices, one per axis, counted from 0. The search works on points and
counts distances in levels; *params*, a dictionary of values by name, are what a program receives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final

from dsice.allowed import Rule
from dsice.axis import Axis, Value, check_name
from dsice.counts import Counts, counted
from dsice.errors import InvalidInput
from dsice.ratios import Ratios
from dsice.when import Conditions, When

if TYPE_CHECKING:
    from dsice.allowed.points import AllowedPoints

__all__ = ["Axis", "Counts", "Grid", "Params", "Point", "Value", "check_name"]

Params = dict[str, Value]
Point = tuple[int, ...]


class Grid:
    """All points of a set of axes, except those that a static rule excludes.

    Args:
        axes: one `Axis` per parameter, with distinct names.
        allowed: a rule on parameter values: an expression such as ``"block_x * block_y <= 1024"``,
            a function of the params, or None. The points that an expression allows are found
            without testing all of them. A function is called for one point at a time, thousands
            of times per proposal: it must be quick and deterministic.
        only_ratios_of: names of axes that matter only through the ratios of their values: points
            that differ only by a common positive factor in them are equivalent. The values are
            numbers of 0 or more; zeros stay zeros.

    A *conditional* parameter (`Axis.when`) has no level where it does not apply: `params` leaves it
    out, and points that differ only in it are equivalent; the `canonical` one represents them. A
    condition of the rule excludes nothing where it reads a parameter that does not apply.

    Raises:
        InvalidInput: no axis, a duplicate name, a rule or a condition that does not parse or reads
            unknown names, a condition that reads a conditional parameter, has no value somewhere or
            holds nowhere, or ratios of something that is not an axis or has no ratios.
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
        self._conditions: Final = self._conditions_of(levels)
        self._rule: Final = self._rule_of(allowed, levels)
        self._all: Final = self._rule_of(None, levels)
        self._index: Final = [{v: k for k, v in enumerate(axis.levels)} for axis in self.axes]
        self._in_ratios: Final = _in_ratios(names, only_ratios_of)
        self.only_ratios_of: Final = tuple(names[k] for k in self._in_ratios)
        weights = {names[k]: self.axes[k].levels for k in self._in_ratios}
        self._ratios: Final = Ratios(weights) if weights else None
        self._refuse_conditional_ratios()
        self._counts: Counts | None = None

    def _conditions_of(self, levels: Mapping[str, Sequence[Value]]) -> Conditions | None:
        names = [axis.name for axis in self.axes if axis.when is not None]
        whens = {
            k: When(k, axis.when, levels, names, len(axis) // 2 if axis.ordered else 0)
            for k, axis in enumerate(self.axes)
            if axis.when is not None
        }
        retired = {axis.name: axis.retired for axis in self.axes if axis.retired}
        return Conditions(whens, levels, retired) if whens or retired else None

    def _rule_of(
        self,
        allowed: str | Callable[[dict[str, Any]], bool] | None,
        levels: Mapping[str, Sequence[Value]],
    ) -> Rule | None:
        """The rule for the canonical points that ``allowed`` does not exclude; None: all points."""
        if self._conditions is not None:
            return Rule(self._conditions.narrowed(allowed), levels)
        return None if allowed is None else Rule(allowed, levels)

    def _refuse_conditional_ratios(self) -> None:
        for axis, when in self.whens.items():
            for other in (axis, *when.reads):
                if other in self._in_ratios:
                    raise InvalidInput(
                        f"only_ratios_of names {self.names[other]!r}, and whether "
                        f"{self.names[axis]!r} applies depends on more than ratios: a parameter of "
                        "which only the ratios matter is not conditional, and no condition reads it"
                    )

    @property
    def whens(self) -> Mapping[int, When]:
        """The conditions of the conditional axes, by the number of the axis."""
        return {} if self._conditions is None else self._conditions.whens

    @property
    def is_conditional(self) -> bool:
        """Whether some axes apply only at some points."""
        return bool(self.whens)

    @property
    def reading_order(self) -> list[int]:
        """The numbers of all axes, those that always apply first: conditions read only them."""
        return sorted(range(len(self.axes)), key=lambda axis: (axis in self.whens, axis))

    def active_at(self, levels: Sequence[int | None]) -> frozenset[int] | None:
        """The axes that apply at a point; None if a level that determines them is None."""
        active = set(range(len(levels)))
        for axis, when in self.whens.items():
            known = [levels[other] for other in when.reads]
            if None in known:
                return None
            if not when(tuple(k or 0 for k in levels)):
                active.remove(axis)
        return frozenset(active)

    @property
    def size(self) -> int:
        """Number of points, including those that the rule excludes."""
        counted = None if self._all is None else self._all.points.count
        return math.prod(self.shape) if counted is None else counted

    def __contains__(self, point: object) -> bool:
        """Whether ``point`` is a tuple of level indices of this grid (ignoring the rule)."""
        return (
            isinstance(point, tuple)
            and len(point) == len(self.shape)
            and all(
                isinstance(k, int) and 0 <= k < n for k, n in zip(point, self.shape, strict=True)
            )
        )

    def __iter__(self) -> Iterator[Point]:
        """Iterate over all allowed points.

        They are in index order, the last axis fastest, except for more than a million points under
        a rule, whose order is unspecified.
        """
        if self._rule is not None and self._rule.points.count is not None:
            return iter(self._rule.points)
        points = itertools.product(*map(range, self.shape))
        return (point for point in points if self._rested(point) == point and self.allows(point))

    def allows(self, point: Point) -> bool:
        """Whether the static rule allows ``point``.

        Raises:
            InvalidInput: the rule is an expression that has no value there.
        """
        return self._rule is None or self._rule(self._rested(point))

    @property
    def allowed_count(self) -> int | None:
        """Number of allowed points; None if they cannot be counted."""
        return self.size if self._rule is None else self._rule.points.count

    def require_allowed(self) -> None:
        """Check that the rule allows any point.

        Raises:
            InvalidInput: it allows none.
        """
        if self.allowed_count == 0:
            raise InvalidInput(f"the rule {self.rule!r} allows none of the {self.size:,} points")

    def allowed_at(self, number: int) -> Point:
        """The allowed point with a number from 0 to `allowed_count` - 1.

        They are in index order without a rule, otherwise in an unspecified order.
        """
        return self.at(number) if self._rule is None else self._rule.points[number]

    def draws(self, count: int, random: Random) -> list[Point]:
        """Draw up to ``count`` random allowed points, possibly with duplicates.

        Each is drawn uniformly from all. If the allowed points cannot be counted, some are likelier
        than others, and there may be fewer.
        """
        if self._rule is not None:
            return self._rule.points.draws(count, random)
        return [tuple(random.randrange(n) for n in self.shape) for _ in range(count)]

    def within(self, levels: Sequence[Sequence[int]]) -> Iterator[Point]:
        """The points whose levels on all axes that apply there are among the given ones.

        If the rule is an expression whose points can be counted, only allowed points; otherwise all
        of them.
        """
        found = self._within(levels)
        if found is not None and found.count is not None:
            return filter(self._in(levels), found)
        return itertools.product(*levels)

    def _within(self, levels: Sequence[Sequence[int]]) -> AllowedPoints | None:
        if self._rule is None:
            return None
        at = self.whens
        return self._rule.within(
            [{*own, at[axis].rest} if axis in at else own for axis, own in enumerate(levels)]
        )

    def _in(self, levels: Sequence[Sequence[int]]) -> Callable[[Point], bool]:
        """A test whether all parameters that apply at a point have one of these levels."""
        whens = self.whens.items()
        return lambda point: all(
            point[axis] in levels[axis] or not when(point) for axis, when in whens
        )

    def draws_within(
        self, levels: Sequence[Sequence[int]], count: int, random: Random
    ) -> Iterable[Point]:
        """As `draws`, from the points of `within`."""
        found = self._within(levels)
        if found is not None:
            return filter(self._in(levels), found.draws(count, random))
        return (tuple(map(random.choice, levels)) for _ in range(count))

    def program(self, point: Point) -> Point:
        """The identity of the program at ``point``: equal for equivalent points only.

        The point itself, unless axes are conditional or matter only through their ratios.
        """
        point = self._rested(point)
        if self._ratios is None:
            return point
        program = list(point)
        key = self._ratios.key([point[axis] for axis in self._in_ratios])
        for axis, number in zip(self._in_ratios, key, strict=True):
            program[axis] = number
        return tuple(program)

    def canonical(self, point: Point) -> Point:
        """The point that a search proposes for ``point`` and all equivalent ones.

        This is the point itself, with parameters that do not apply at their default level.
        Subclasses that know all equivalent points may choose another.
        """
        return self._rested(point)

    def _rested(self, point: Point) -> Point:
        return point if self._conditions is None else self._conditions.filled(point)

    def at(self, number: int) -> Point:
        """The point with a number from 0 to `size` - 1 (ignoring the rule)."""
        if self._all is not None and self._all.points.count is not None:
            return self._all.points[number]
        indices = []
        for n in reversed(self.shape):
            number, index = divmod(number, n)
            indices.append(index)
        return tuple(reversed(indices))

    def counts(self) -> Counts:
        """Count the points."""
        if self._counts is None:
            self._counts = self._counted()
        return self._counts

    def _counted(self) -> Counts:
        return counted(self.shape, self.size, self._rule, self._ratios, self._in_ratios)

    def params(self, point: Point) -> Params:
        """The parameter values at ``point``, by name; without those that do not apply there."""
        if point not in self:
            raise InvalidInput(f"{point!r} is no point of a grid of shape {self.shape}")
        params = {axis.name: axis.levels[k] for axis, k in zip(self.axes, point, strict=True)}
        for axis, when in self.whens.items():
            if not when(point):
                del params[self.names[axis]]
        return params

    def point(self, params: Mapping[str, Value]) -> Point:
        """The point with these parameter values; each must be a level of its axis.

        Values of parameters that do not apply may be omitted and are ignored. The value of an axis
        with `Axis.was` may be omitted as well.
        """
        if not self.whens and len(params) == len(self.names):
            with suppress(KeyError, TypeError):
                pairs = zip(self.names, self._index, strict=True)
                return tuple([index[params[name]] for name, index in pairs])
        point, differing = [0] * len(self.axes), set(params) - set(self.names)
        for axis in self.reading_order:
            name, when = self.names[axis], self.whens.get(axis)
            if when is not None and not when(tuple(point)):
                point[axis] = when.rest
            elif name not in params and self.axes[axis].was is None:
                differing.add(name)
            elif not differing:
                value, index = params.get(name, self.axes[axis].was), self._index[axis]
                if not isinstance(value, bool | int | float | str) or value not in index:
                    raise InvalidInput(f"{value!r} is no level of axis {name!r}")
                point[axis] = index[value]
        if differing:
            raise InvalidInput(
                f"params need exactly {list(self.names)}; differing: {sorted(differing)}"
            )
        return tuple(point)

    @property
    def centre(self) -> Point:
        """The middle level n // 2 of each axis (ignoring the rule)."""
        return tuple(n // 2 for n in self.shape)

    def nearest(self, point: Point) -> Point | None:
        """The allowed point nearest to ``point``, or None if none is found.

        Distances are Euclidean, in levels; ties are broken by index order. If the allowed points
        cannot be counted, a near point is returned instead.
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
