"""Input files of a program, made from templates: ``[trial] files``.

A template is a text with fields in the language of Jinja, ``rate = {{ rate }}``. Whatever it names
must be known: a misspelt name is an error, never an empty text.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from dsice.errors import InvalidInput
from dsice.study.command import shown

if TYPE_CHECKING:
    import jinja2

STAGE: Final = "stage."
"""Begins the names of the folders of stages; in a template they are the attributes of ``stage``."""


def check_target(name: str) -> None:
    """Check that a file may be made at ``name`` in the working directory of a program.

    Raises:
        InvalidInput: it would lie elsewhere.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise InvalidInput(f"{name!r}: give the name of a file in the program's own folder {{dir}}")


def check(path: Path, known: Sequence[str]) -> None:
    """Check a template without rendering it: that it can be read, and what it names.

    Args:
        path: of the template.
        known: the names that it may use, as the fields of a command.

    Raises:
        InvalidInput: something is wrong; the message names file, line and what is accepted.
    """
    import jinja2
    from jinja2 import meta, nodes

    environment = _environment(path.parent)
    try:
        tree = environment.parse(path.read_text(encoding="utf-8"))
        undeclared = meta.find_undeclared_variables(tree)
    except OSError as error:
        raise InvalidInput(f"cannot read {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"cannot read {str(path)!r}: not UTF-8 text") from None
    except jinja2.TemplateSyntaxError as error:
        raise InvalidInput(f"{path}, line {error.lineno}: {error.message}") from None
    stages = {name.removeprefix(STAGE) for name in known if name.startswith(STAGE)}
    plain = {"stage" if name.startswith(STAGE) else name for name in known}
    # What is set in one branch alone counts as undeclared; rendering will tell whether it is.
    made = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    unknown = undeclared - plain - environment.globals.keys() - made
    wrong = [(node.lineno, node.name) for node in tree.find_all(nodes.Name) if node.name in unknown]
    wrong += [
        (node.lineno, STAGE + node.attr)
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name)
        and node.node.name == "stage"
        and node.attr not in stages
    ]
    for line, name in sorted(wrong):
        raise InvalidInput(
            f"{path}, line {line}: unknown name {name!r}: accepted are {', '.join(known)}"
        )


def render(path: Path, values: Mapping[str, Any]) -> str:
    """The text that the template at ``path`` becomes.

    Args:
        path: of the template; what it includes is looked for in its own folder.
        values: by the names of the fields of a command.

    Raises:
        InvalidInput: it cannot be rendered; the message names file and line.
    """
    names = {key: value for key, value in values.items() if not key.startswith(STAGE)}
    names["stage"] = {
        key.removeprefix(STAGE): value for key, value in values.items() if key.startswith(STAGE)
    }
    try:
        return _environment(path.parent).get_template(path.name).render(names)
    except Exception as error:  # a template may do whatever an expression can
        raise InvalidInput("".join([*_where(path, error), _what(error)])) from None


def _environment(folder: Path) -> jinja2.Environment:
    import jinja2  # imported here: most studies have no templates, and all commands are to be quick

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: shown(value) if isinstance(value, bool) else value,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # plain text, made for a program of the user's own
    )


def _where(path: Path, error: Exception) -> Iterator[str]:
    """The file and line of a template that an error comes from, if it says so."""
    line = getattr(error, "lineno", None)  # of an error of syntax
    file = getattr(error, "filename", None)
    frames = [] if line else traceback.extract_tb(error.__traceback__)
    for frame in frames:  # the innermost comes last
        if Path(frame.filename).is_relative_to(path.parent):
            file, line = frame.filename, frame.lineno
    yield str(file or path)
    yield ": " if line is None else f", line {line}: "


def _what(error: Exception) -> str:
    import jinja2

    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.name!r} in its folder"
    if isinstance(error, jinja2.TemplateError) and error.message:
        return error.message
    return f"{type(error).__name__}: {error}"
