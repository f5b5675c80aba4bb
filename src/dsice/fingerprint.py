"""Fingerprints of Python functions: equal in every process for the same code.

It covers the bytecode of the function, of the functions, classes and modules of the user's own that
it refers to, and the plain values that it reads from its closure, its defaults and its module. File
names, line numbers and comments do not count. Installed packages count by name only, and objects
of their types by their type.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import hashlib
import importlib.util
import inspect
import site
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final

_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), PurePath)
_OF_CLASSES: Final = frozenset(
    f"__{name}__"
    for name in (
        *("module", "doc", "dict", "weakref", "qualname", "firstlineno", "static_attributes"),
        *("annotations", "annotate", "annotate_func", "annotations_cache"),
    )
)
_CONTAINERS: Final = (dict, types.MappingProxyType, list, tuple, set, frozenset)
_GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_ARRAY: Final = 100_000_000  # bytes of an array that are looked at
_LONG: Final = 1_000_000  # entries of a container that are looked at

VERSION: Final = sys.implementation.cache_tag or sys.version
"""Fingerprints of different versions of Python are not comparable: bytecode differs."""


def fingerprint(function: Callable[..., Any]) -> dict[str, str]:
    """A digest of each part of ``function`` that can change, by the part's name.

    Empty if it has no code in Python. Comparable between processes of the same `VERSION`.
    """
    if not isinstance(function, types.FunctionType):
        parts: Iterator[_Part] = iter([("code", lambda digest: digest.add(function))])
    else:
        parts = _parts(function)
    found, has_code = {}, False
    try:
        for name, put in parts:
            digest = _Digest()
            put(digest)
            found[name] = digest.sha.hexdigest()
            has_code = has_code or digest.has_code
    except RecursionError:
        return {}
    return found if has_code or isinstance(function, types.FunctionType) else {}


class _Digest:
    """A digest of values of any kind, in the order in which they are added."""

    def __init__(self) -> None:
        self.sha: Final = hashlib.sha256()
        self.has_code: bool = False
        self._met: dict[int, tuple[int, object]] = {}  # kept alive, so that no id comes twice

    def _put(self, *parts: object) -> None:
        for part in parts:
            text = part if isinstance(part, str) else repr(part)
            self.sha.update(f"{len(text)}:{text};".encode(errors="surrogatepass"))

    def add(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self._put(type(value).__name__, str(value) if isinstance(value, PurePath) else value)
            return
        if id(value) in self._met:  # again, or within itself
            self._put("met", self._met[id(value)][0])
            return
        self._met[id(value)] = len(self._met), value
        if isinstance(value, types.CodeType):
            self.add_code(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, Enum):
            self._put("enum", value.name)
            self.add(value.value)
        elif isinstance(value, _CONTAINERS) and len(value) > _LONG:
            self._put("large", type(value).__name__, len(value))
        elif isinstance(value, dict | types.MappingProxyType):
            self._put("mapping", len(value))
            for key, each in value.items():
                self.add(key)
                self.add(each)
        elif isinstance(value, list | tuple):
            self._put(type(value).__name__, len(value))
            for each in value:
                self.add(each)
        elif isinstance(value, set | frozenset):
            self._put("set", sorted(map(_alone, value)))
        elif isinstance(value, types.ModuleType):
            self._put("module", "" if _is_own(value.__name__) else value.__name__)
        elif isinstance(value, functools.partial):
            self._put("partial")
            for part in (value.func, value.args, value.keywords):
                self.add(part)
        elif isinstance(value, types.MethodType):
            self._put("method")
            self.add(value.__func__)
            self.add(value.__self__)
        elif isinstance(value, staticmethod | classmethod):
            self.add(value.__func__)
        elif isinstance(value, property):
            for each in (value.fget, value.fset, value.fdel):
                self.add(each)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif (inner := _wrapped(value)) is not None:
            self._put("wrapped", type(value).__name__)
            self.add(inner)
        else:
            self._add_object(value)

    def _add_function(self, function: types.FunctionType) -> None:
        if not _is_own(function.__module__):
            self._put("function", function.__module__, function.__qualname__)
            return
        self.has_code = True
        for name, put in _parts(function):
            self._put(name)
            put(self)

    def add_named(self, value: object, names: set[str]) -> None:
        """A global; of a module of the user's own those attributes that the code may name."""
        self.add(value)
        if isinstance(value, types.ModuleType) and _is_own(value.__name__):
            for name in sorted(names & vars(value).keys()):
                if not name.startswith("__"):
                    self._put("attribute", name)
                    self.add(vars(value)[name])

    def add_import(self, name: str) -> None:
        """A module of the user's own that is imported in the function: all of its code."""
        root = name.partition(".")[0]
        if not _is_own(root):
            return
        try:  # to look for a part of a package that is not imported yet would import the package
            found = importlib.util.find_spec(name if root in sys.modules else root)
            if found is not None and found.origin and found.origin.endswith(".py"):
                source = Path(found.origin).read_bytes()
                self.add_code(compile(source, "module", "exec", dont_inherit=True))
        except (ImportError, ValueError, AttributeError, OSError, SyntaxError):
            self._put("import", name)

    def add_code(self, code: types.CodeType, docstring: str | None = None) -> None:
        self._put(
            "code", code.co_code, code.co_names, code.co_varnames, code.co_freevars,
            code.co_cellvars, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount,
            code.co_flags, getattr(code, "co_exceptiontable", b""),
        )  # fmt: skip
        for position, constant in enumerate(code.co_consts):
            if position == 0 and docstring is not None and constant == docstring:
                continue
            if isinstance(constant, types.CodeType):
                self.add_code(constant)
            else:
                self.add(constant)

    def _add_class(self, value: type) -> None:
        if not _is_own(value.__module__):
            self._put("class", value.__module__, value.__qualname__)
            return
        self._put("own class")
        self.add(value.__bases__)
        for name, each in sorted(vars(value).items()):
            if name not in _OF_CLASSES:
                self._put("attribute", name)
                self.add(each)

    def _add_object(self, value: Any) -> None:
        self.add(type(value))
        if callable(value) and _is_own(type(value).__module__):
            self.has_code = True
        if hasattr(value, "dtype") and hasattr(value, "tobytes") and hasattr(value, "shape"):
            few = value.size * value.dtype.itemsize <= _ARRAY
            self._put(str(value.dtype), value.shape, value.tobytes() if few else "large")
        elif inspect.isbuiltin(value):
            self._put(value.__module__, value.__qualname__)
        elif _is_own(type(value).__module__):
            self.add(getattr(value, "__dict__", None))
            slots = [n for each in type(value).__mro__ for n in getattr(each, "__slots__", ())]
            self.add([getattr(value, name, None) for name in slots if isinstance(name, str)])


_Part = tuple[str, Callable[[_Digest], None]]


def _parts(function: types.FunctionType) -> Iterator[_Part]:
    """What a function does depends on: each part with how to add it to a digest."""
    code = function.__code__

    def put_code(digest: _Digest) -> None:
        digest.add_code(code, function.__doc__)
        for name in sorted(set(_imports(code))):
            digest.add_import(name)

    yield "code", put_code
    defaults = [*(function.__defaults__ or ()), function.__kwdefaults__]
    yield "default values", lambda digest: digest.add(defaults)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not bound yet
            yield f"variable {name!r}", functools.partial(_Digest.add, value=cell.cell_contents)
    names = set(_names(code))
    for name in sorted(set(_globals(code)) & function.__globals__.keys()):
        if not name.startswith("__"):
            value = function.__globals__[name]
            yield (
                f"variable {name!r}",
                functools.partial(_Digest.add_named, value=value, names=names),
            )


def _wrapped(value: object) -> object | None:
    """The function within one that a cache, another decorator or Numba made of it."""
    if type(value).__module__.partition(".")[0] == "numba":
        return getattr(value, "py_func", None)
    return getattr(value, "__wrapped__", None) if callable(value) else None


def _alone(value: object) -> str:
    digest = _Digest()
    digest.add(value)
    return digest.sha.hexdigest()


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    for each in _codes(code):
        yield from each.co_names


def _globals(code: types.CodeType) -> Iterator[str]:
    for each in _codes(code):
        for step in dis.get_instructions(each):
            if step.opname in _GLOBAL:
                yield step.argval


def _imports(code: types.CodeType) -> Iterator[str]:
    for each in _codes(code):
        for step in dis.get_instructions(each):
            if step.opname == "IMPORT_NAME" and step.argval:
                yield step.argval


@functools.cache
def _is_own(name: str | None) -> bool:
    """Whether the module ``name`` is the user's own: neither Python's nor an installed package."""
    if name is None or name in ("__main__", "__mp_main__"):
        return True
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names or root == "dsice":
        return False
    try:
        found = importlib.util.find_spec(root)
    except (ImportError, ValueError, AttributeError):
        return True  # made by hand, as in a notebook
    if found is None:
        return True
    places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
    installed = _installed()
    return not any(Path(place).is_relative_to(each) for place in places for each in installed)


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = [site.getusersitepackages()] if hasattr(site, "getusersitepackages") else []
    more = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
    return tuple(str(Path(each)) for each in (*paths, *own, *more) if each)
