"""Arithmetic and logic on named values, from text, without ``eval``.

The text is parsed to a syntax tree once, every node of it is checked against a short list, and the
tree becomes nested closures. Nothing of a study file is ever executed as Python.

Accepted: numbers, quoted text, names, ``stage.build.size``-like dotted names, ``+ - * / // % **``,
comparisons (chained too), ``and or not``, ``in (...)``, ``a if c else b``, and the functions of
`FUNCTIONS`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from dsice.errors import InvalidInput

Evaluate = Callable[[Mapping[str, Any]], Any]

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
    "log2": math.log2,
    "log10": math.log10,
}

_MAX_LENGTH: Final = 2000
_MAX_POWER: Final = 1024
_MAX_BASE: Final = 2**64
_NUMBERS: Final = (int, float)


def _of_numbers(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # Python would repeat and format text: "x" * 10**10 fills the memory.
    def checked(left: Any, right: Any) -> Any:
        if not (isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS)):
            raise TypeError(f"{right if isinstance(left, _NUMBERS) else left!r} is no number")
        return apply(left, right)

    return checked


def _power(base: Any, exponent: Any) -> Any:
    # 9 ** 9 ** 9 would hang the tuner: large integer powers are taken as floats.
    if isinstance(exponent, int) and (abs(exponent) > _MAX_POWER or abs(base) > _MAX_BASE):
        return float(base) ** exponent
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError(f"{base!r} ** {exponent!r} is no real number")
    return power


_BINARY: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARE: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}
OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "+": _of_numbers(operator.add),
    "-": _of_numbers(operator.sub),
    "*": _of_numbers(operator.mul),
    "/": _of_numbers(operator.truediv),
    "//": _of_numbers(operator.floordiv),
    "%": _of_numbers(operator.mod),
    "**": _of_numbers(_power),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "in": lambda item, items: item in items,
    "not in": lambda item, items: item not in items,
    "negative": operator.neg,
    "not": operator.not_,
    "tuple": lambda *items: items,
    **FUNCTIONS,
}
"""What an "apply" node does with the values of its parts; they may raise what `NO_VALUE` lists."""

NO_VALUE: Final = (ArithmeticError, TypeError, ValueError, RecursionError)
"""What evaluation raises where an expression has no value: 1 / 0, ``"a" < 1``."""


class Node:
    """A node of an expression's tree. Nodes of the same structure compare equal.

    Attributes:
        kind: "constant"; "name"; "apply", an operation on the values of all parts; "and", "or" and
            "if" (condition, value, other value), which evaluate only the parts that count.
        value: a constant's value, a name, or a key of `OPERATIONS`; None otherwise.
        parts: the operands.
        names: the names it reads.
    """

    __slots__ = ("_key", "kind", "names", "parts", "value")

    def __init__(
        self,
        kind: Literal["constant", "name", "apply", "and", "or", "if"],
        value: Any = None,
        parts: tuple[Node, ...] = (),
    ) -> None:
        self.kind: Final = kind
        self.value: Final = value
        self.parts: Final = parts
        self.names: Final[frozenset[str]] = (
            frozenset([value])
            if kind == "name"
            else frozenset().union(*(part.names for part in parts))
        )
        inner = " ".join(part._key for part in parts)
        self._key: Final[str] = f"({kind} {type(value).__name__} {value!r} {inner})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def conjuncts(self) -> list[Node]:
        """Conditions that all hold exactly where this one does: ``a and not (b or c)`` is three."""
        if self.kind == "and":
            return [each for part in self.parts for each in part.conjuncts()]
        if self.value == "not" and self.kind == "apply" and self.parts[0].kind == "or":
            parts = (Node("apply", "not", (part,)) for part in self.parts[0].parts)
            return [each for part in parts for each in part.conjuncts()]
        return [self]

    def evaluator(self) -> Evaluate:
        """A function from values by name to the node's value; it may raise what `NO_VALUE` has."""
        value, parts = self.value, [part.evaluator() for part in self.parts]
        match self.kind:
            case "constant":
                return lambda values: value
            case "name":
                return lambda values: values[value]
            case "and":
                return lambda values: all(part(values) for part in parts)
            case "or":
                return lambda values: any(part(values) for part in parts)
            case "if":
                condition, yes, no = parts
                return lambda values: yes(values) if condition(values) else no(values)
        apply = OPERATIONS[value]
        if len(parts) == 2:  # most are
            left, right = parts
            return lambda values: apply(left(values), right(values))
        return lambda values: apply(*[part(values) for part in parts])


class Expression:
    """An expression over named values.

    Args:
        text: the expression, for example ``"block_x * block_y <= 1024"``.
        tree: what it computes, where that is more than the text says; by default what it says.

    Attributes:
        text: as given.
        tree: what it computes.
        names: the names it reads; dotted names are given whole (``"stage.build.size"``).

    Raises:
        InvalidInput: the text does not parse or uses something that is not accepted.
    """

    def __init__(self, text: str, tree: Node | None = None) -> None:
        if not isinstance(text, str):
            raise InvalidInput(f"an expression is text, not {text!r}")
        self.text: Final = text
        self.tree: Final[Node] = self._parsed(text) if tree is None else tree
        self._evaluate: Final = self.tree.evaluator()
        self.names: Final = self.tree.names

    @staticmethod
    def _parsed(text: str) -> Node:
        if len(text) > _MAX_LENGTH:
            raise InvalidInput(f"expression of {len(text)} characters: at most {_MAX_LENGTH}")
        try:
            body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InvalidInput(f"cannot parse {text!r}: {_short(error)}") from None
        try:
            tree = _node(body, text)
            tree.evaluator()
        except RecursionError:
            raise InvalidInput(f"cannot parse {text!r}: nested too deeply") from None
        return tree

    def __reduce__(self) -> tuple[object, ...]:
        return Expression, (self.text, self.tree)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate with ``values`` for the names.

        Raises:
            InvalidInput: a name is missing, or the operation has no answer (1 / 0, "a" < 1).
        """
        try:
            return self._evaluate(values)
        except KeyError as error:
            raise InvalidInput(f"{self.text!r}: {error.args[0]!r} is not known") from None
        except NO_VALUE as error:
            known = {name: values.get(name) for name in sorted(self.names)}
            raise InvalidInput(f"{self.text!r} has no value at {known}: {error}") from None


def _short(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return message or type(error).__name__


def _node(node: ast.expr, text: str) -> Node:
    """Convert a syntax tree; raises on what is not accepted."""

    def apply(operation: str, *parts: ast.expr) -> Node:
        return Node("apply", operation, tuple([_node(part, text) for part in parts]))

    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return Node("constant", value)
        case ast.Name(id=name):
            return Node("name", name)
        case ast.Attribute():
            return Node("name", _dotted(node, text))
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return apply("tuple", *elements)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return apply("negative", operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _node(operand, text)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return apply("not", operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return apply(_BINARY[type(op)], left, right)
        case ast.BoolOp(op=op, values=terms):
            kind: Literal["and", "or"] = "and" if isinstance(op, ast.And) else "or"
            return Node(kind, None, tuple([_node(term, text) for term in terms]))
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(
            type(op) in _COMPARE for op in ops
        ):
            pairs = zip(ops, [left, *rest[:-1]], rest, strict=True)
            links = [apply(_COMPARE[type(op)], first, second) for op, first, second in pairs]
            return links[0] if len(links) == 1 else Node("and", None, tuple(links))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return Node("if", None, tuple([_node(part, text) for part in (test, body, orelse)]))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return apply(name, *args)
    raise InvalidInput(
        f"cannot use {ast.unparse(node)!r} in {text!r}: accepted are numbers, quoted text, names, "
        f"+ - * / // % **, comparisons, and, or, not, in, if-else, and {', '.join(FUNCTIONS)}()"
    )


def _dotted(node: ast.expr, text: str) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{_dotted(value, text)}.{attribute}"
    raise InvalidInput(f"cannot use {ast.unparse(node)!r} in {text!r}: a dotted name is accepted")
