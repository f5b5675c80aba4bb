"""One parameter of a grid: its name and its levels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from dsice.errors import InvalidInput
from dsice.levels import continuous, geometric, integers, linear

Value = bool | int | float | str

_KEPT: Final = ("ordered", "scale", "when", "was", "retired")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = frozenset({"study", "stage", "dir", "result", "progress", "params", "best"})


class Axis:
    """One parameter and its levels.

    ``Axis("tile", [8, 16, 32])`` keeps the given order: neighbours are expected to behave alike.
    `Axis.linear`, `Axis.geometric` and `Axis.integers` create ranges; `Axis.range` and `Axis.log`
    choose round numbers between two ends; `Axis.choice` is for unordered values.

    Attributes:
        name: an identifier; it is also the field ``{name}`` of a command.
        levels: the distinct values, at least one.
        ordered: False for a choice.
        scale: ``"linear"`` or ``"log"`` for a continuous range, whose levels also stand for the
            numbers between them; None if the values are the levels only.
        when: the condition under which a conditional parameter applies, an expression in the values
            of others such as ``"optimizer == 'sgd'"``. Elsewhere it has no level, and points that
            differ only in it are equivalent. None: it always applies.
        was: for a parameter that was added to a study with results, the level it had in them.
        retired: levels removed from a study with results: they are excluded, but their results
            still inform the predictions for other levels.

    Raises:
        InvalidInput: an invalid name, no level, a duplicate level, or a level that is not a number,
            a string or a bool.
    """

    # The public location, which fingerprints of functions and pickles use.
    __module__ = "dsice.grid"
    __slots__ = ("levels", "name", "ordered", "retired", "scale", "was", "when")

    def __init__(
        self,
        name: str,
        levels: Sequence[Value],
        *,
        ordered: bool = True,
        scale: Literal["linear", "log"] | None = None,
        when: str | None = None,
        was: Value | None = None,
        retired: Sequence[Value] = (),
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
        self.when: Final = when
        self.was: Final = was
        self.retired: Final = tuple(retired)
        if was is not None and was not in seen:
            raise InvalidInput(f"axis {name!r}: was = {was!r} is none of its levels")

    @classmethod
    def linear(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        step: float | None = None,
        when: str | None = None,
    ) -> Axis:
        """Evenly spaced levels from ``first`` to ``last``, by their number or by their step.

        Levels are integers if the ends are integers and every level falls on one. With a step, the
        last level is the largest one not beyond ``last``.
        """
        return cls(name, linear(name, first, last, levels, step), when=when)

    @classmethod
    def geometric(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        step: float | None = None,
        when: str | None = None,
    ) -> Axis:
        """Levels in constant ratio from ``first`` to ``last``: their number, or the ratio ``step``.

        Both ends are positive. Levels are integers if the ends are integers and every level
        falls on one (``Axis.geometric("tile", 1, 64, step=2)``).
        """
        return cls(name, geometric(name, first, last, levels, step), when=when)

    @classmethod
    def range(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        when: str | None = None,
    ) -> Axis:
        """A continuous range: evenly spaced round numbers from ``first`` to ``last``.

        They also stand for the numbers between them: if a setting, such as ``first`` in a study
        file, names another number, the nearest level is used. By default the ends and, between
        them, the multiples of a round step, about 20: 0, 0.05, 0.1, ..., 0.95, 0.99.
        """
        found = continuous(name, first, last, levels, log=False)
        return cls(name, found, scale="linear", when=when)

    @classmethod
    def log(
        cls,
        name: str,
        first: float,
        last: float,
        levels: int | None = None,
        *,
        when: str | None = None,
    ) -> Axis:
        """A continuous range on a logarithmic scale: ``Axis.log("lr", 1e-5, 1e-1)``.

        As `range`, with approximately constant ratios between the levels: 1e-5, 1.8e-5, 3.2e-5,
        5.6e-5, 1e-4, .... Both ends are positive. By default, there are four levels per decade, at
        least 9 and at most 33.
        """
        found = continuous(name, first, last, levels, log=True)
        return cls(name, found, scale="log", when=when)

    @classmethod
    def integers(
        cls, name: str, first: int, last: int, step: int = 1, *, when: str | None = None
    ) -> Axis:
        """The integers from ``first`` to ``last``, both included, by ``step``."""
        return cls(name, integers(name, first, last, step), when=when)

    @classmethod
    def choice(cls, name: str, values: Sequence[Value], *, when: str | None = None) -> Axis:
        """Unordered values, such as names of algorithms."""
        return cls(name, values, ordered=False, when=when)

    def with_(self, levels: Sequence[Value] | None = None, **changed: Any) -> Axis:
        """A copy of this axis with other levels or attributes."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _KEPT}
        return Axis(self.name, self.levels if levels is None else levels, **given | changed)

    @property
    def proposed(self) -> tuple[Value, ...]:
        """The levels that are not retired."""
        return tuple(level for level in self.levels if level not in self.retired)

    def __len__(self) -> int:
        return len(self.levels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        types = tuple(map(type, self.levels))
        return (self.name, self.levels, types, self.ordered, self.when, self.retired)

    def __repr__(self) -> str:
        kind = "Axis" if self.ordered else "Axis.choice"
        shown = ", ".join(map(repr, self.levels[:8])) + (", ..." if len(self) > 8 else "")
        when = "" if self.when is None else f", when={self.when!r}"
        return f"{kind}({self.name!r}, [{shown}]{when})"


def check_name(what: str, name: object) -> None:
    """Check that ``name`` can be a field of a command.

    Raises:
        InvalidInput: it cannot; the message starts with ``what``.
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
    # NumPy arrays and ranges are accepted; their scalars become Python's own.
    return [v.item() if hasattr(v, "item") else v for v in levels]
