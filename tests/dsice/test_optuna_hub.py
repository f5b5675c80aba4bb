"""The folder for OptunaHub: laid out as its registry wants it, and only an import."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dsice.optuna import DsiceSampler

PACKAGE = Path(__file__).parents[2] / "optunahub" / "package" / "samplers" / "dsice"


def load(package: str = "samplers/dsice") -> ModuleType:
    """As ``optunahub.load_module`` does once it has fetched the folder."""
    assert package == "samplers/dsice"
    spec = importlib.util.spec_from_file_location("hub_dsice", PACKAGE / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_package_is_the_sampler() -> None:
    assert load().DsiceSampler is DsiceSampler


def test_the_front_matter_is_complete() -> None:
    text = (PACKAGE / "README.md").read_text()
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert head is not None
    keys = dict(line.split(": ", 1) for line in head[1].splitlines())
    assert set(keys) == {"author", "title", "description", "tags", "optuna_versions", "license"}
    assert "sampler" in keys["tags"].strip("[]").split(", ")
    assert keys["license"] == "MIT License"
    assert (PACKAGE / "LICENSE").read_text().startswith("MIT License")


def test_the_example_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = ModuleType("optunahub")
    stand_in.load_module = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optunahub", stand_in)
    runpy.run_path(str(PACKAGE / "example.py"), run_name="__main__")
    assert "'layout': 'soa'" in capsys.readouterr().out
