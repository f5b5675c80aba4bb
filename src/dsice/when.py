"""Conditional parameters: which axes have a level at a point, and which do not apply there.

``momentum`` with ``when = "optimizer == 'sgd'"`` means nothing to another optimizer. Points that
differ in it only are one there: the *canonical* one, at which it has its resting level, in the
middle, or the first of a choice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dsice.errors import InvalidInput
from dsice.expression import Expression, Node

Point = tuple[int, ...]
_MOST: Final = 100_000  # combinations of what one condition reads


class When:
    """At which points one axis applies.

    Args:
        axis: its number.
        text: the condition, an expression in the values of other axes.
        levels: of all axes, by name, in the order of the grid.
        conditional: the names of the axes that have conditions.
        rest: the level that stands for all where the axis does not apply.

    Attributes:
        axis: as given.
        expression: the condition.
        reads: the numbers of the axes that the condition reads.
        answers: whether it holds, for each combination of their levels, the last axis fastest.
        rest: as given.

    Raises:
        InvalidInput: the condition cannot be meant, reads what is no axis or another conditional
            one, has no value somewhere, or holds nowhere.
    """

    def __init__(
        self,
        axis: int,
        text: str,
        levels: Mapping[str, Sequence[Any]],
        conditional: Sequence[str],
        rest: int,
    ) -> None:
        names = list(levels)
        where = f"axis {names[axis]!r}: when = {text!r}"
        expression = Expression(text)
        if unknown := sorted(expression.names - levels.keys()):
            raise InvalidInput(f"{where} reads {unknown[0]!r}: the axes are {', '.join(names)}")
        if names[axis] in expression.names:
            raise InvalidInput(f"{where} reads the parameter itself")
        if chained := sorted(expression.names & set(conditional)):
            raise InvalidInput(
                f"{where} reads {chained[0]!r}, which is conditional too: conditions read "
                "parameters that always apply, so write out when that one does"
            )
        read = [name for name in names if name in expression.names]
        count = math.prod(len(levels[name]) for name in read)
        if count > _MOST:
            raise InvalidInput(
                f"{where} reads {', '.join(read)}, which have {count:,} combinations: up to "
                f"{_MOST:,} are accepted"
            )
        self.axis: Final = axis
        self.expression: Final = expression
        self.rest: Final = rest
        self.reads: Final = tuple(names.index(name) for name in read)
        self.answers: Final[tuple[bool, ...]] = tuple(
            bool(expression(dict(zip(read, values, strict=True))))
            for values in itertools.product(*(levels[name] for name in read))
        )
        if not any(self.answers):
            raise InvalidInput(f"{where} holds at no point")
        self._keys: Final = tuple(
            math.prod(len(levels[name]) for name in read[k + 1 :]) for k in range(len(read))
        )

    def __call__(self, point: Point) -> bool:
        """Whether the axis applies at ``point``; only what the condition reads is looked at."""
        number = 0
        for axis, size in zip(self.reads, self._keys, strict=True):
            number += point[axis] * size
        return self.answers[number]


class Conditions:
    """All conditional axes of a grid, and the levels that it has no more.

    Args:
        whens: their conditions, by axis.
        levels: of all axes, by name, in the order of the grid.
        retired: levels that exclude a point where their axis applies, by name.
    """

    def __init__(
        self,
        whens: Mapping[int, When],
        levels: Mapping[str, Sequence[Any]],
        retired: Mapping[str, Sequence[Any]],
    ) -> None:
        self._retired: Final = dict(retired)
        self.whens: Final = dict(whens)
        self._names: Final = tuple(levels)
        self._rests: Final = {
            self._names[axis]: (when, levels[self._names[axis]][when.rest])
            for axis, when in self.whens.items()
        }

    def filled(self, point: Point) -> Point:
        """The canonical point of ``point``: at rest in all that does not apply."""
        for axis, when in self.whens.items():
            if point[axis] != when.rest and not when(point):
                point = (*point[:axis], when.rest, *point[axis + 1 :])
        return point

    def narrowed(self, rule: str | Callable[[dict[str, Any]], bool] | None) -> object:
        """What a `dsice.allowed.Rule` is to be made of that allows canonical points only.

        A part of ``rule`` that must hold (``a and b`` has two) excludes nothing where it reads a
        parameter that does not apply. A function is not told of such parameters.
        """
        if rule is not None and not isinstance(rule, str):
            return _Narrowed(rule, self) if callable(rule) else rule
        parts = []
        if rule is not None:
            parts = [self._guarded(part) for part in Expression(rule).tree.conjuncts()]
        for name, (when, value) in self._rests.items():
            rests = Node("apply", "==", (Node("name", name), Node("constant", value)))
            parts.append(Node("or", None, (when.expression.tree, rests)))
        texts = [when.expression.text for when in self.whens.values()]
        for name, values in self._retired.items():
            listed = Node("apply", "tuple", tuple(Node("constant", each) for each in values))
            left = Node("apply", "not in", (Node("name", name), listed))
            parts.append(self._guarded(left))
            texts.append(f"{name} not in {list(values)}")
        tree = parts[0] if len(parts) == 1 else Node("and", None, tuple(parts))
        return Expression(" and ".join(texts) if rule is None else rule, tree)

    def _guarded(self, part: Node) -> Node:
        for name, (when, _) in self._rests.items():
            if name in part.names:
                part = Node("or", None, (Node("apply", "not", (when.expression.tree,)), part))
        return part

    def applying(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The ``values`` of the parameters that apply.

        None unless the others are at rest and no level is retired.
        """
        kept = dict(values)
        for name, (when, value) in self._rests.items():
            if not when.expression(values):
                if values[name] != value:
                    return None
                del kept[name]
        is_left = all(kept.get(name) not in each for name, each in self._retired.items())
        return kept if is_left else None


class _Narrowed:
    """A rule that is a function, as `Conditions.narrowed` has it."""

    def __init__(self, rule: Callable[[dict[str, Any]], bool], conditions: Conditions) -> None:
        self._rule: Final = rule
        self._conditions: Final = conditions

    def __call__(self, values: dict[str, Any]) -> bool:
        kept = self._conditions.applying(values)
        return kept is not None and bool(self._rule(kept))
