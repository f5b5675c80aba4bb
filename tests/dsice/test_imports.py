"""The order of imports in docs/design.md, and the purity of the core, held against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dsice"
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
FACE = {"__init__", "__main__"}  # the public names, and python -m dsice
IMPURE = {
    *("asyncio", "concurrent", "datetime", "fcntl", "io", "logging", "multiprocessing", "os"),
    *("pathlib", "secrets", "shutil", "signal", "socket", "subprocess", "tempfile", "threading"),
    *("time", "uuid"),
}


def layers() -> list[set[str]]:
    """The units of the package, from the outermost layer to the innermost."""
    chain = next(
        block for block in re.findall(r"^```text\n(.*?)^```", DESIGN, re.S | re.M) if "cli" in block
    )
    return [{name.strip() for name in layer.split(",")} for layer in chain.split("->")]


def core() -> list[str]:
    sentence = re.search(r"The core \((.*?)\) knows no files, clocks", DESIGN)
    assert sentence
    return re.findall(r"`(\w+)`", sentence[1])


def unit(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def place(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_unit_has_one_place_in_the_chain() -> None:
    named = [name for layer in layers() for name in layer]
    assert sorted(named) == sorted({unit(path) for path in FILES} - FACE)


@pytest.mark.parametrize("path", [p for p in FILES if unit(p) not in FACE], ids=place)
def test_imports_run_one_way(path: Path) -> None:
    depth = {name: number for number, layer in enumerate(layers()) for name in layer}
    mine = unit(path)
    for module in imported(path):
        parts = module.split(".")
        if parts[0] == "dsice" and parts[1] != mine and parts[1] in depth:
            assert depth[parts[1]] > depth[mine], f"{mine} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if unit(p) in core()], ids=place)
def test_the_core_is_pure(path: Path) -> None:
    for module in imported(path):
        assert module.split(".")[0] not in IMPURE, module
        assert not module.startswith(("random.random", "random.choice", "numpy.random.rand"))
