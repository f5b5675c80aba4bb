"""The study file as JSON Schema, for editors and for the reference: made from the models."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from pydantic import BaseModel

from dsice.launch.settings import Table
from dsice.search import SEARCHES
from dsice.study.tables import RANGES, StudyFile

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTES: Final = re.compile(r"^Attributes:\n(.*?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.DOTALL | re.MULTILINE)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a study file.

    It holds what each key alone must be, as pydantic knows it. What only the whole file tells,
    such as a field of a command that is no parameter, is found by `dsice.study.config.parse`.
    """
    raw = StudyFile.model_json_schema()
    for model in _models(StudyFile):
        table = raw if model is StudyFile else raw["$defs"].get(model.__name__)
        if table is None:  # a base class, whose keys are in its children
            continue
        table["description"] = _words(_first_paragraph(model))
        for key, text in attributes(model).items():
            if key in table.get("properties", {}):
                table["properties"][key]["description"] = text
    raw["properties"]["search"] |= _search()
    raw["anyOf"] = [{"required": ["minimize"]}, {"required": ["maximize"]}]
    raw["$defs"]["Range"]["oneOf"] = [{"required": [kind]} for kind in RANGES]
    plain = _plain(raw)
    assert isinstance(plain, dict)
    return {"$schema": _DIALECT, **plain, "title": "dsice study file"}


def attributes(model: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of ``model`` and its bases say of each key, as one line."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if not issubclass(parent, Table):  # pydantic's own
            continue
        section = _ATTRIBUTES.search(inspect.cleandoc(parent.__dict__.get("__doc__") or "") + "\n")
        if section:
            found |= {name: _words(text) for name, text in _ATTRIBUTE.findall(section[1])}
    return found


def _models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """``root`` and all models that its fields are made of."""
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
    """``text`` as one line, with Markdown's marks for code."""
    return " ".join(text.replace("``", "`").split())


def _search() -> dict[str, Any]:
    names = {"enum": list(SEARCHES)}
    with_options = {"type": "object", "properties": {"name": names}, "required": ["name"]}
    return {"anyOf": [names, with_options]}


def _plain(node: Any) -> Any:
    """Without what says nothing in TOML: no null there, and titles repeat the keys."""
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
        if key in ("properties", "$defs"):  # below these stand names, not words of the schema
            kept[key] = {name: _plain(part) for name, part in value.items()}
        elif key == "default" and (value is None or isinstance(value, dict)):
            continue  # nothing, or a table whose keys have defaults of their own
        elif key != "title":
            kept[key] = _plain(value)
    return kept
