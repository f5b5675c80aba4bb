"""Static rules: which points of a grid are allowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from dsice.allowed.conditions import Levels, conditions_of, no_value
from dsice.errors import InvalidInput
from dsice.expression import NO_VALUE, Expression, Node

if TYPE_CHECKING:
    from dsice.allowed.points import AllowedPoints

# Imports that need NumPy wait until points are searched for, so that creating a grid is quick.

Point = tuple[int, ...]
_REMEMBERED: Final = 30_000  # cached results per condition


class Rule:
    """A rule on parameter values.

    Results are cached, as a search often tests the same points.

    Args:
        rule: an expression, as text or parsed, or a function of the parameter values by name.
        levels: the levels of each axis, by name.

    Raises:
        InvalidInput: not one of these, an expression that does not parse, or one that reads a name
            that is not an axis.
    """

    def __init__(self, rule: object, levels: Levels) -> None:
        self._rule: Final = rule
        self._levels: Final = dict(levels)
        self._expression: Final = (
            Expression(rule)
            if isinstance(rule, str)
            else rule
            if isinstance(rule, Expression)
            else None
        )
        self._conditions: list[Node] = []
        if self._expression is not None:
            if unknown := sorted(self._expression.names - levels.keys()):
                raise InvalidInput(
                    f"rule {self._expression.text!r} reads {unknown[0]!r}: the axes are "
                    f"{', '.join(levels)}"
                )
            self._conditions = conditions_of(self._expression, levels)
            self._tests = [_Test(levels, c.names, c.evaluator()) for c in self._conditions]
        elif callable(rule):
            self._tests = [_Test(levels, levels.keys(), rule)]
        else:
            raise InvalidInput(f"the rule {rule!r} is neither an expression nor a function")

    def __call__(self, point: Point) -> bool:
        """Whether ``point`` is allowed.

        A point that violates one condition is excluded, even if others have no value there.

        Raises:
            InvalidInput: not a point of the grid, or the expression has no value there.
        """
        for test in self._tests:
            answer = test.answers.get(test.key(point))
            if answer is None:
                return self._ask(point)
            if not answer:
                return False
        return True

    def _ask(self, point: Point) -> bool:
        fault: InvalidInput | None = None
        for number, test in enumerate(self._tests):
            if test.answers.get(test.key(point)):
                continue
            values = test.values(point)
            try:
                if not test.ask(point, values):
                    return False
            except NO_VALUE:
                if self._expression is None:
                    raise
                fault = fault or no_value(self._expression, self._conditions[number], values)
        if fault is not None:
            raise fault
        return True

    @cached_property
    def points(self) -> AllowedPoints:
        """All allowed points.

        Raises:
            InvalidInput: the expression has no value at one of them.
        """
        from dsice.allowed.find import of_function, of_rule

        if self._expression is not None:
            return of_rule(self._expression, self._levels)
        return of_function(tuple(map(len, self._levels.values())), self)

    def within(self, levels: Sequence[Collection[int]]) -> AllowedPoints | None:
        """The allowed points with the given levels of each axis; None for a function."""
        from dsice.allowed.find import of_rule

        if self._expression is None:
            return None
        return of_rule(self._expression, self._levels, levels)

    def __reduce__(self) -> tuple[object, ...]:
        return Rule, (self._rule, self._levels)


class _Test:
    """One condition with a cache of its results.

    Attributes:
        key: the entries of a point that it depends on.
        answers: results by key.
    """

    def __init__(
        self,
        levels: Levels,
        names: Iterable[str],
        holds: Callable[[dict[str, Any]], Any],
    ) -> None:
        self._levels: Final = [
            (k, name, levels[name]) for k, name in enumerate(levels) if name in names
        ]
        axes = [axis for axis, _, _ in self._levels]
        self.key: Final[Callable[[Point], Any]] = itemgetter(*axes) if axes else lambda point: ()
        self.answers: Final[dict[Any, bool]] = {}
        self._holds: Final = holds

    def values(self, point: Point) -> dict[str, Any]:
        """The values of the condition's names at ``point``."""
        if any(not 0 <= point[axis] < len(levels) for axis, _, levels in self._levels):
            raise InvalidInput(f"{point!r} is no point of the grid")
        return {name: levels[point[axis]] for axis, name, levels in self._levels}

    def ask(self, point: Point, values: dict[str, Any]) -> bool:
        """Whether the condition holds at ``point``, with its ``values`` there."""
        answer = bool(self._holds(values))
        if len(self.answers) >= _REMEMBERED:
            self.answers.clear()
        self.answers[self.key(point)] = answer
        return answer
