"""Error messages for study files, in plain words: the key, the value and what is accepted.

pydantic says which value is invalid; what is accepted there comes from the JSON Schema.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from dsice.units import setting

Node = Mapping[str, Any]

_LONGEST: Final = 200  # characters of a value that are shown
_COUNTS: Final = ("no", "one", "two", "three")
_NOUNS: Final = ("text", "number", "whole number", "table", "list", "value")
_NAME: Final = "letters, digits and . _ - with a letter or digit first, 100 characters at most"


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The most informative error of pydantic, as one line.

    Args:
        error: of validating a whole table.
        model: of that table.
    """
    found, accepted = _most_telling(error), _Accepted(model)
    *above, last = found["loc"]
    if found["type"] == "extra_forbidden":
        keys, table = accepted.at(above)
        names = accepted.keys(table)
        close = difflib.get_close_matches(str(last), names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown key {_named([*keys, last])}: {hint}accepted are {', '.join(names)}"
    keys, node = accepted.at(found["loc"])
    if found["type"] == "missing":
        return f"key {_named(keys)} is missing: accepted is {accepted.words(node)}"
    return f"key {_named(keys)} = {shown(found['input'])}{_why(found, node, accepted)}"


def option_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """As `first_problem`, for keys that were given as options of a command."""
    found, accepted = _most_telling(error), _Accepted(model)
    keys, node = accepted.at(found["loc"])
    return f"--{str(keys[0]).replace('_', '-')} {found['input']}{_why(found, node, accepted)}"


def _most_telling(error: ValidationError) -> Mapping[str, Any]:
    """The most informative error: for a value with several possible forms, the deepest one."""
    return max(error.errors(), key=lambda p: (p["type"] == "extra_forbidden", len(p["loc"])))


def _why(found: Mapping[str, Any], node: Node, accepted: _Accepted) -> str:
    """The problem, as text to follow the value."""
    if found["type"] != "value_error":
        return f": accepted is {accepted.words(node)}"
    text = str(found["ctx"]["error"])  # our own message, which may begin with the value
    after = text.removeprefix(repr(found["input"]))
    return after if after != text else f": {text}"


def _named(keys: Sequence[int | str]) -> str:
    """``'report.pictures', item 2, 'title'``."""
    parts: list[str] = []
    for is_item, some in itertools.groupby(keys, key=lambda key: isinstance(key, int)):
        if is_item:
            parts += [f"item {int(key) + 1}" for key in some]
        else:
            parts.append(f"'{'.'.join(map(str, some))}'")
    return ", ".join(parts)


def shown(value: object) -> str:
    """A value in nearly the notation of the file."""
    if isinstance(value, float):
        return str(value)
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) < _LONGEST else text[: _LONGEST - 3] + "..."


@cache
def _schema(model: type[BaseModel]) -> Node:
    schema: Node = model.model_json_schema()
    return schema


class _Accepted:
    """The values that a model accepts at each place of its data, from its JSON Schema."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._root: Final = _schema(model)

    def at(self, location: Sequence[int | str]) -> tuple[list[int | str], Node]:
        """The keys of a place as the user wrote them, and the schema of the value there.

        pydantic's locations also contain the forms that were tried, between the keys.
        """
        keys: list[int | str] = []
        node = self._root
        form_follows = False
        for part in location:
            forms = self._forms(node)
            if len(forms) > 1 and not form_follows:
                form_follows = True
                continue
            form_follows = False
            keys.append(part)
            node = self._inner(forms, part)
        return keys, node

    def keys(self, node: Node) -> list[str]:
        """The keys of a table."""
        return [key for form in self._forms(node) for key in form.get("properties", {})]

    def words(self, node: Node) -> str:
        """The accepted values, in words."""
        forms = self._forms(node)
        kinds = {form.get("type") for form in forms}
        said = [
            self._form(form)
            for form in forms
            if not (form.get("type") == "integer" and "number" in kinds)
        ]
        return _either(list(dict.fromkeys(said)))

    def _forms(self, node: Node) -> list[Node]:
        """The forms that a value may have, without null, which TOML lacks."""
        while "$ref" in node:
            node = self._root["$defs"][node["$ref"].rpartition("/")[2]]
        if "anyOf" not in node:
            return [node]
        forms = [form for each in node["anyOf"] for form in self._forms(each)]
        return [form for form in forms if form.get("type") != "null"]

    def _inner(self, forms: Sequence[Node], part: int | str) -> Node:
        for form in forms:
            if isinstance(part, int) and form.get("type") == "array":
                first: list[Node] = form.get("prefixItems", [])
                items: Node = form.get("items", {})
                return first[part] if part < len(first) else items
            if isinstance(part, str) and form.get("type") == "object":
                others = form.get("additionalProperties", {})
                found = form.get("properties", {}).get(part, others)
                return found if isinstance(found, Mapping) else {}
        return {}

    def _form(self, form: Node) -> str:
        if "enum" in form or "const" in form:
            return _either([json.dumps(each) for each in form.get("enum", [form.get("const")])])
        match form.get("type"):
            case "integer":
                return f"a whole number{_range(form)}"
            case "number":
                return f"a number{_range(form)}"
            case "string":
                filled = " that is not empty" if form.get("minLength") else ""
                return _NAME if "maxLength" in form else f"a text{filled}"
            case "boolean":
                return "true or false"
            case "array":
                return self._list(form)
            case "object":
                keys = list(form.get("properties", ()))
                return f"a table with the keys {', '.join(keys)}" if keys else "a table"
        return "a value"

    def _list(self, form: Node) -> str:
        if first := form.get("prefixItems"):
            return f"a list of {_COUNTS[len(first)]} {_plural(self.words(first[0]))}"
        least = form.get("minItems", 0)
        items = self.words(form.get("items", {}))
        kind = f"a list, each item {items}" if " or " in items else f"a list of {_plural(items)}"
        return kind + (f", at least {_COUNTS[least]}" if least else "")


def _plural(words: str) -> str:
    """The plural of ``a text``, ``a whole number``, ``a table with the keys ...``."""
    for noun in _NOUNS:
        if words.startswith(f"a {noun}"):
            rest = words.removeprefix(f"a {noun}").replace(" that is ", " that are ")
            return f"{noun}s{rest}"
    return words


def _either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    comma = "," if any(" or " in each for each in words) else ""
    return f"{', '.join(others)}{comma} or {last}" if others else last


def _range(form: Node) -> str:
    """The range of a number: ``of 1 or more``, ``from 1 to 100``."""
    least, most, above = (form.get(k) for k in ("minimum", "maximum", "exclusiveMinimum"))
    if above is not None:
        upper = "" if most is None else f" and up to {setting(most)}"
        return f" greater than {setting(above)}{upper}"
    if least is not None and most is not None:
        return f" from {setting(least)} to {setting(most)}"
    return "" if least is None else f" of {setting(least)} or more"
