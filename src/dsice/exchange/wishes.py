"""The user's mapping of names, from the options of ``dsice import``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange.source import ABSENT, Row, Source, is_blank, number
from dsice.expression import Expression

Get = Callable[[Row], object]
_SHOWN: Final = 20  # names in a message


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options of an import.

    Attributes:
        metrics: for a metric of ours, the source's name of it or an expression in its names.
        params: the same for parameters.
        ignored: names there that do not matter here.
        nearest: whether a value that is no level counts as the nearest one.
    """

    metrics: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    nearest: bool = False


class Unread(Exception):
    """A value of a row cannot be used; the message says why, without the place."""


def getter(source: Source, text: str, kind: str, name: str) -> Get:
    """What gives the value of ``name`` in a row, or `ABSENT`.

    Args:
        source: of the rows.
        text: a name of the source, or an expression in its names.
        kind: ``metric`` or ``param``.
        name: of the study.

    Raises:
        InvalidInput: the source has no such names, or the expression cannot be read.
    """
    if text in source.names:
        return lambda row: row.values.get(text, ABSENT)
    if text == name:
        raise InvalidInput(
            f"{source.what} has no {kind} {name!r}: it has {listed(source.names)}; "
            f"{_hint(source, kind, name)}"
        )
    try:
        expression = Expression(text)
    except InvalidInput as error:
        raise InvalidInput(f"--{kind} {name}={text}: {error}") from None
    if unknown := sorted(expression.names - set(source.names)):
        raise InvalidInput(
            f"--{kind} {name}={text}: {source.what} has no {unknown[0]!r}, but "
            f"{listed(source.names)}"
        )

    def evaluated(row: Row) -> object:
        values = {name: row.values.get(name) for name in expression.names}
        if any(map(is_blank, values.values())):
            return ABSENT
        sizes = {name: number(value) for name, value in values.items()}
        both = {name: values[name] if sizes[name] is None else sizes[name] for name in values}
        try:
            return expression(both)
        except InvalidInput as error:
            raise Unread(f"--{kind} {name}={text}: {error}") from None

    return evaluated


def names_in(text: str, names: Iterable[str]) -> set[str]:
    """The names of a source that a wish reads."""
    if text in names:
        return {text}
    try:
        return set(Expression(text).names)
    except InvalidInput:  # said where the wish is read
        return set()


def listed(names: Sequence[str]) -> str:
    """Names for a message, not more than people read."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _hint(source: Source, kind: str, name: str) -> str:
    alike = [each for each in source.names if each.casefold() == name.casefold()]
    if kind == "metric" and not alike and "value" in source.names:  # Optuna's only objective
        alike = ["value"]
    if alike:
        return f"if that is {alike[0]!r} there, give --{kind} {name}={alike[0]}"
    if len(source.names) == 1 and source.is_table:
        return "columns are separated by commas, semicolons, tabs or vertical bars"
    constant = f", or --{kind} {name}=VALUE if it was the same for all" if kind == "param" else ""
    return f"give --{kind} {name}=NAME, NAME being what it is called there{constant}"
