"""What tells one version of a function from another, in processes of their own."""

from __future__ import annotations

import functools
import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsice.fingerprint import fingerprint

SOURCE = """
import math
import numpy as np
import helper
from other import Model

FACTOR = 2.5
KINDS = {"one", "two", "three"}
TABLE = np.arange(4)
OFFSET = frozenset("abc")

def scaled(x):
    return FACTOR * x

def outer(y):
    def f(params, *, power=2):
        '''What f does.'''
        from late import last
        model = Model(y)
        wide = [math.sqrt(k) for k in range(3)]
        if params["kind"] in {"one", "two"} | KINDS:
            return {"y": scaled(model.run(params["x"])) ** power + helper.shift(1) + TABLE[0]}
        return {"y": len(OFFSET) + last() + sum(wide)}
    return f

f = outer(3)
"""
FILES = {
    "mine.py": SOURCE,
    "helper.py": "AMOUNT = 4\ndef shift(x): return x + AMOUNT\ndef unused(x): return x\n",
    "other.py": "class Model:\n    kind = 1\n    def __init__(self, y): self.y = y\n"
    "    def run(self, x): return x * self.y\n",
    "late.py": "def last(): return 7\n",
}


def parts_of(folder: Path, files: dict[str, str], module: str = "mine") -> dict[str, str]:
    """The fingerprint of ``f`` in a process of its own, with hashes of its own."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    code = (
        "import json; from dsice.fingerprint import fingerprint; "
        f"import {module}; print(json.dumps(fingerprint({module}.f)))"
    )
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    assert found
    return found


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return parts_of(tmp_path_factory.mktemp("first"), FILES)


def test_the_same_in_another_folder_and_file_on_other_lines(
    tmp_path: Path, first: dict[str, str]
) -> None:
    assert parts_of(tmp_path / "again", FILES) == first
    moved = "# a comment\n\n\n" + SOURCE.replace("    model =", "    # why\n\n        model =")
    moved = moved.replace("What f does", "What it is")
    assert parts_of(tmp_path / "moved", {**FILES, "renamed.py": moved}, "renamed") == first
    helper = FILES["helper.py"].replace("return x\n", "return 2 * x\n")  # of what is not used
    assert parts_of(tmp_path / "unused", {**FILES, "helper.py": helper}) == first


@pytest.mark.parametrize(
    ("file", "before", "after", "part"),
    [
        ("mine.py", "TABLE[0]", "TABLE[1]", "code"),
        ("mine.py", "math.sqrt(k)", "math.cos(k)", "code"),
        ("mine.py", 'in {"one", "two"}', 'in {"one", "four"}', "code"),
        ("late.py", "7", "8", "code"),
        ("mine.py", "power=2", "power=3", "default values"),
        ("mine.py", "outer(3)", "outer(4)", "variable 'y'"),
        ("mine.py", "FACTOR * x", "FACTOR + x", "variable 'scaled'"),
        ("mine.py", "FACTOR = 2.5", "FACTOR = 2.25", "variable 'scaled'"),
        ("mine.py", '"three"}', '"four"}', "variable 'KINDS'"),
        ("mine.py", "np.arange(4)", "np.arange(5)", "variable 'TABLE'"),
        ("mine.py", "np.arange(4)", "np.arange(4.0)", "variable 'TABLE'"),
        ("helper.py", "x + AMOUNT", "x - AMOUNT", "variable 'helper'"),
        ("helper.py", "AMOUNT = 4", "AMOUNT = 5", "variable 'helper'"),
        ("other.py", "x * self.y", "x / self.y", "variable 'Model'"),
        ("other.py", "kind = 1", "kind = 2", "variable 'Model'"),
    ],
)
def test_a_change_is_seen_and_its_part_named(
    tmp_path: Path, first: dict[str, str], file: str, before: str, after: str, part: str
) -> None:
    assert before in FILES[file]
    changed = parts_of(tmp_path, {**FILES, file: FILES[file].replace(before, after)})
    assert {name for name in first if first[name] != changed[name]} == {part}


def test_lambdas_and_what_wraps_functions() -> None:
    def make(offset: int) -> object:
        return lambda params: params["a"] + offset

    def scaled(factor: int, params: dict[str, int]) -> int:
        return factor * params["a"]

    class Call:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, params: dict[str, int]) -> int:
            return self.factor * params["a"]

        def method(self, params: dict[str, int]) -> int:
            return self.factor + params["a"]

    for one, same, other in [
        (make(1), make(1), make(2)),
        (lambda p: p["a"], lambda p: p["a"], lambda p: p["b"]),
        (*(functools.partial(scaled, k) for k in (1, 1, 2)),),
        (*(Call(k) for k in (1, 1, 2)),),
        (*(Call(k).method for k in (1, 1, 2)),),
        (*(functools.cache(functools.partial(scaled, k)) for k in (1, 1, 2)),),
    ]:
        assert fingerprint(one) == fingerprint(same) != fingerprint(other)  # type: ignore[arg-type]
        assert fingerprint(one)  # type: ignore[arg-type]


def test_a_function_that_refers_to_itself_and_to_what_contains_itself() -> None:
    loop: list[object] = [1]
    loop.append(loop)

    def f(n: int) -> int:
        return f(n - 1) if n else len(loop)

    assert fingerprint(f) == fingerprint(f)


def test_what_has_no_code_in_python_has_no_fingerprint() -> None:
    assert fingerprint(operator.itemgetter("a")) == {}
    assert fingerprint(dict) == {}
