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
from typing import Any, Final

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

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_MAX_LENGTH: Final = 2000
_MAX_POWER: Final = 1024
_MAX_BASE: Final = 2**64


class Expression:
    """An expression over named values.

    Args:
        text: the expression, for example ``"block_x * block_y <= 1024"``.

    Attributes:
        text: as given.
        names: the names it reads; dotted names are given whole (``"stage.build.size"``).

    Raises:
        InvalidInput: the text does not parse or uses something that is not accepted.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise InvalidInput(f"an expression is text, not {text!r}")
        self.text = text
        self.names: frozenset[str]
        if len(text) > _MAX_LENGTH:
            raise InvalidInput(f"expression of {len(text)} characters: at most {_MAX_LENGTH}")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InvalidInput(f"cannot parse {text!r}: {_short(error)}") from None
        names: set[str] = set()
        try:
            self._evaluate = _compile(tree.body, names, text)
        except RecursionError:
            raise InvalidInput(f"cannot parse {text!r}: nested too deeply") from None
        self.names = frozenset(names)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Evaluate with ``values`` for the names.

        Raises:
            InvalidInput: a name is missing, or the operation has no answer (1 / 0, "a" < 1).
        """
        try:
            return self._evaluate(values)
        except KeyError as error:
            raise InvalidInput(f"{self.text!r}: {error.args[0]!r} is not known") from None
        except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
            known = {name: values.get(name) for name in sorted(self.names)}
            raise InvalidInput(f"{self.text!r} has no value at {known}: {error}") from None


def _short(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return message or type(error).__name__


def _power(base: Any, exponent: Any) -> Any:
    # 9 ** 9 ** 9 would hang the tuner: large integer powers are taken as floats.
    if isinstance(exponent, int) and (abs(exponent) > _MAX_POWER or abs(base) > _MAX_BASE):
        return float(base) ** exponent
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError(f"{base!r} ** {exponent!r} is no real number")
    return power


def _arithmetic(apply: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    # Python would repeat and format text: "x" * 10**10 fills the memory.
    for operand in (left, right):
        if not isinstance(operand, int | float):
            raise TypeError(f"{operand!r} is no number")
    return apply(left, right)


def _compile(node: ast.expr, names: set[str], text: str) -> Evaluate:
    """The closure of one node; adds the names that it reads to ``names``."""

    def sub(child: ast.expr) -> Evaluate:
        return _compile(child, names, text)

    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return lambda values: value
        case ast.Name(id=name):
            names.add(name)
            return lambda values: values[name]
        case ast.Attribute():
            dotted = _dotted(node, text)
            names.add(dotted)
            return lambda values: values[dotted]
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            items = [sub(element) for element in elements]
            return lambda values: tuple(item(values) for item in items)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = sub(operand)
            return lambda values: -inner(values)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return sub(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = sub(operand)
            return lambda values: not inner(values)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, exponent = sub(left), sub(right)
            return lambda values: _arithmetic(_power, base(values), exponent(values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            apply, first, second = _BINARY[type(op)], sub(left), sub(right)
            return lambda values: _arithmetic(apply, first(values), second(values))
        case ast.BoolOp(op=op, values=parts):
            terms = [sub(part) for part in parts]
            decide = all if isinstance(op, ast.And) else any
            return lambda values: decide(bool(term(values)) for term in terms)
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(
            type(op) in _COMPARE for op in ops
        ):
            operands = [sub(left), *(sub(part) for part in rest)]
            relations = [_COMPARE[type(op)] for op in ops]
            return lambda values: _chain([o(values) for o in operands], relations)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = sub(test), sub(body), sub(orelse)
            return lambda values: yes(values) if condition(values) else no(values)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            function, arguments = FUNCTIONS[name], [sub(argument) for argument in args]
            return lambda values: function(*(argument(values) for argument in arguments))
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


def _chain(operands: list[Any], relations: list[Callable[[Any, Any], bool]]) -> bool:
    return all(relation(operands[k], operands[k + 1]) for k, relation in enumerate(relations))
