"""The folder for OptunaHub: laid out as its registry wants it, and only an import."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest

import optunahub
from dsice.optuna import DsiceSampler

REGISTRY = Path(__file__).parents[2] / "optunahub" / "package"
PACKAGE = REGISTRY / "samplers" / "dsice"


def load(package: str = "samplers/dsice") -> ModuleType:
    """As ``optunahub.load_module`` does once it has fetched the registry."""
    module: ModuleType = optunahub.load_local_module(package, registry_root=str(REGISTRY))
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
    monkeypatch.setattr(optunahub, "load_module", load)
    runpy.run_path(str(PACKAGE / "example.py"), run_name="__main__")
    assert "'layout': 'soa'" in capsys.readouterr().out
