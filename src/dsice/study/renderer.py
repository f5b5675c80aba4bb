"""The process that renders templates, in Jinja's sandbox with limits on time and memory.

A template comes with a study from its author, and ``--dry-run`` renders it before the user has
decided to trust it. Jinja's sandbox restricts it to its variables. Jinja does not limit time or
memory, so the kernel enforces limits on this process, which cannot write files either.

It answers requests, each a line of JSON, until its input ends: see `dsice.study.templates`.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from dsice.files import read_regular
from dsice.study.command import shown
from dsice.study.templates import STAGE

_LARGEST: Final = 64_000_000  # bytes of a template


class _Wrong(Exception):
    """A template cannot be used; the message says why."""


def check(path: Path, root: Path, known: Sequence[str]) -> str:
    """See `dsice.study.templates.check`; returns nothing."""
    environment = _environment(path, root)
    try:
        tree = environment.parse(_read(path, root))
        undeclared = meta.find_undeclared_variables(tree)
    except jinja2.TemplateSyntaxError as error:
        raise _Wrong(f"{path}, line {error.lineno}: {error.message}") from None
    stages = {name.removeprefix(STAGE) for name in known if name.startswith(STAGE)}
    plain = {"stage" if name.startswith(STAGE) else name for name in known}
    # Variables set in only one branch count as undeclared; rendering will show whether they are.
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
        raise _Wrong(f"{path}, line {line}: unknown name {name!r}: accepted are {', '.join(known)}")
    return ""


def render(path: Path, root: Path, values: Mapping[str, Any]) -> str:
    """See `dsice.study.templates.render`."""
    names = {key: value for key, value in values.items() if not key.startswith(STAGE)}
    names["stage"] = {
        key.removeprefix(STAGE): value for key, value in values.items() if key.startswith(STAGE)
    }
    return _environment(path, root).get_template(path.name).render(names)


def _environment(path: Path, root: Path) -> SandboxedEnvironment:
    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        beside = path.parent / name
        if ".." in Path(name).parts or not beside.exists():
            return None
        return _read(beside, root), str(beside), lambda: True

    environment = SandboxedEnvironment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: shown(value) if isinstance(value, bool) else value,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # plain text for the user's program
    )
    environment.globals["range"] = range  # bounded by the limits of this process
    return environment


def _read(path: Path, root: Path) -> str:
    """The text of a template, which must be in ``root`` after resolving links."""
    try:
        target = path.resolve()
        if not target.is_relative_to(root.resolve()):
            raise _Wrong(f"cannot read {str(path)!r}: it lies outside of {root}, at {target}")
        return read_regular(path, _LARGEST).decode()
    except UnicodeDecodeError:
        raise _Wrong(f"cannot read {str(path)!r}: not UTF-8 text") from None
    except OSError as error:
        raise _Wrong(f"cannot read {str(path)!r}: {error.strerror}") from None


def _where(path: Path, error: Exception) -> Iterator[str]:
    """The file and line of a template where an error occurred, if known."""
    line = getattr(error, "lineno", None)  # of syntax errors
    file = getattr(error, "filename", None)
    frames = [] if line else traceback.extract_tb(error.__traceback__)
    for frame in frames:  # innermost last
        if Path(frame.filename).is_relative_to(path.parent):
            file, line = frame.filename, frame.lineno
    yield str(file or path)
    yield ": " if line is None else f", line {line}: "


def _what(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.name!r} in its folder"
    if isinstance(error, jinja2.TemplateError) and error.message:
        return error.message
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{type(error).__name__}: {error}"


def _answer(request: Mapping[str, Any]) -> dict[str, str]:
    path, root = Path(request["path"]), Path(request["root"])
    try:
        if "known" in request:
            return {"text": check(path, root, request["known"])}
        return {"text": render(path, root, request["values"])}
    except _Wrong as error:
        return {"error": str(error)}
    except Exception as error:  # expressions in templates can raise anything
        return {"error": "".join([*_where(path, error), _what(error)])}


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """``python -m dsice.study.renderer SECONDS BYTES``: limits of time per request, and memory."""
    seconds, size = map(int, sys.argv[1:])
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, used + size)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    for line in sys.stdin.buffer:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + seconds)
        request = json.loads(line)
        try:
            answer = json.dumps(_answer(request))
        except MemoryError:
            answer = json.dumps({"error": f"{request['path']}: it takes too much memory"})
        sys.stdout.buffer.write(answer.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
