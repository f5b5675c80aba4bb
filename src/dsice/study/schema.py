"""The JSON Schema of the study file, generated from the models, for editors and the reference."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from pydantic import BaseModel

from dsice.launch.names import NAMES
from dsice.launch.settings import Table
from dsice.search import SEARCHES
from dsice.study.tables import RANGES, file_model

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTES: Final = re.compile(r"^Attributes:\n(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.DOTALL | re.MULTILINE)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a study file.

    It covers each key by itself, as pydantic checks it. `dsice.study.config.parse` checks what
    depends on the whole file, such as a field of a command that is not a parameter.
    """
    whole = file_model()
    raw = whole.model_json_schema()
    for model in _models(whole):
        table = raw if model is whole else raw["$defs"].get(model.__name__)
        if table is None:  # a base class, whose subclasses have its keys
            continue
        table["description"] = _words(_first_paragraph(model))
        for key, text in attributes(model).items():
            if key in table.get("properties", {}):
                table["properties"][key]["description"] = text
    raw["properties"]["search"] |= _search()
    raw["$defs"]["RunConfig"]["properties"]["on"]["enum"] = list(NAMES)
    raw["anyOf"] = [{"required": ["minimize"]}, {"required": ["maximize"]}]
    raw["$defs"]["Range"]["oneOf"] = [{"required": [kind]} for kind in RANGES]
    plain = _plain(raw)
    assert isinstance(plain, dict)
    return {"$schema": _DIALECT, **plain, "title": "dsice study file"}


def attributes(model: type[BaseModel]) -> dict[str, str]:
    """The description of each key from the docstrings of ``model`` and its bases, as one line."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if not issubclass(parent, Table):  # a class of pydantic
            continue
        section = _ATTRIBUTES.search(inspect.cleandoc(parent.__dict__.get("__doc__") or "") + "\n")
        if section:
            found |= {name: _words(text) for name, text in _ATTRIBUTE.findall(section[1])}
    return found


def _models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """``root`` and all models in its fields, recursively."""
    found: set[type[BaseModel]] = set()

    def visit(annotation: Any) -> None:
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            if annotation not in found:
                found.add(annotation)
                for field in annotation.model_fields.values():
                    visit(field.annotation)
        else:
            for part in getattr(annotation, "__args__", ()):
                visit(part)

    visit(root)
    return found


def _first_paragraph(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]


def _words(text: str) -> str:
    """``text`` as one line, with code in Markdown."""
    return " ".join(text.replace("``", "`").split())


def _search() -> dict[str, Any]:
    names = {"enum": list(SEARCHES)}
    with_options = {"type": "object", "properties": {"name": names}, "required": ["name"]}
    return {"anyOf": [names, with_options]}


def _plain(node: Any) -> Any:
    """Remove null, which TOML lacks, and titles, which repeat the keys."""
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    forms = [form for form in node.get("anyOf", []) if form != {"type": "null"}]
    if len(forms) == 1:
        node = {key: value for key, value in node.items() if key != "anyOf"} | forms[0]
    elif forms:
        node = node | {"anyOf": forms}
    kept = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):  # these contain names, not keywords of the schema
            kept[key] = {name: _plain(part) for name, part in value.items()}
        elif key == "default" and (value is None or isinstance(value, dict)):
            continue  # null, or a table whose keys have their own defaults
        elif key != "title":
            kept[key] = _plain(value)
    return kept
