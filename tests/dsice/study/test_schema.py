"""The JSON Schema accepts what `parse` accepts, and refuses what an editor should mark."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dsice.errors import InvalidInput
from dsice.study.config import parse
from dsice.study.schema import attributes, schema
from dsice.study.tables import StudyFile
from tests.conftest import Dsice

ROOT = Path(__file__).parents[3]
SMALL = """
name = "small"
minimize = "y"
[grid]
a = [1, 2]
[trial]
command = ["true"]
"""
FILES = [
    *(path for folder in ("studies", "examples") for path in (ROOT / folder).rglob("*.toml")),
    *(ROOT / "src").rglob("*.toml"),
]


def findings(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(toml(text))]


def toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_it_is_a_json_schema(dsice: Dsice) -> None:
    printed = json.loads(dsice("schema").stdout)
    Draft202012Validator.check_schema(printed)
    assert printed == schema()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_accepts_the_study_files_of_the_repository(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "[grid]" not in text:
        pytest.fail(f"{path} is no study file; keep such files apart")
    assert findings(text) == []


def test_it_accepts_study_files_with_comments_taken_away() -> None:
    text = (ROOT / "src" / "dsice" / "study" / "template.toml").read_text(encoding="utf-8")
    head, table = text.split("# [run.slurm]")
    assert findings(head + "[run.slurm]" + table.replace("\n# ", "\n")) == []


@pytest.mark.parametrize(
    "line",
    [
        'trial.timeout = "3 x median"',
        "trial.timeout = 90",
        'maximize = ["a", "b"]\nminimize = ["c"]',
        'search = { name = "dsice", tolerance = 0.01 }',
        "grid.b = { geometric = [1e-4, 1], levels = 5 }",
        'grid.b = { choice = ["x", true, 3] }',
        'grid.b = { choice = ["x", true, 3], expect = "x" }',
        "grid.b = { integers = [1, 3], weights = [1, 5, 0.5] }",
        'run.pbs = { time = "2 h", memory = "16 GB", modules = ["cuda/12"] }',
        'stage.build = { command = ["make"], retries = 1 }',
        'report = { full_length = 9, pictures = [{ files = { best = "{best}/a.png" } }] }',
    ],
)
def test_it_accepts_what_parse_accepts(line: str, tmp_path: Path) -> None:
    text = replaced(line)
    parse(text, tmp_path)
    assert findings(text) == []


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ('minimise = "y"', "minimise"),
        ("seed = -1", "-1"),
        ('seed = "1"', "integer"),
        ('search = "dsise"', "dsise"),
        ('trial.timeout = "10 parsecs"', "parsecs"),
        ('trial.timout = "10 min"', "timout"),
        ("trial.retries = 1.5", "1.5"),
        ("trial.command = []", "[]"),
        ("grid.b = { linear = [0, 1, 2], levels = 3 }", "linear"),
        ("grid.b = { levels = 3 }", "levels"),
        ("grid.b = 3", "3"),
        ("grid.b = { values = [1, 2], weights = [1, -2] }", "-2"),
        ('run.on = "moon"', "moon"),
        ("run.parallel = 0", "0"),
        ('run.slurm = { queue = "gpu" }', "queue"),
        ('run.pbs = { memory = "16 apples" }', "apples"),
        ('run.pjm = { unit = "a b" }', "a b"),
    ],
)
def test_it_refuses_what_parse_refuses(line: str, about: str, tmp_path: Path) -> None:
    text = replaced(line)
    with pytest.raises(InvalidInput):
        parse(text, tmp_path)
    assert any(about in finding for finding in findings(text))


@pytest.mark.parametrize("missing", ["name", "minimize", "a", "command"])
def test_it_misses_what_parse_misses(missing: str, tmp_path: Path) -> None:
    text = re.sub(rf"^{missing} .*\n", "", SMALL, flags=re.MULTILINE)
    with pytest.raises(InvalidInput):
        parse(text, tmp_path)
    assert findings(text)


def test_every_key_is_explained() -> None:
    def check(table: dict[str, Any]) -> None:
        for key, value in table["properties"].items():
            assert value.get("description"), key

    whole = schema()
    check(whole)
    for table in whole["$defs"].values():
        assert table["description"]
        check(table)
    assert attributes(StudyFile).keys() == StudyFile.model_fields.keys()


def replaced(line: str) -> str:
    """The small study file with ``line``, which may say a key anew."""
    key = line.split("=")[0].strip()
    top = [kept for kept in SMALL.split("[grid]")[0].splitlines() if not kept.startswith(key)]
    if key == "maximize":
        top = [kept for kept in top if not kept.startswith("minimize")]
    rest = ["grid.a = [1, 2]"]
    if key != "trial.command":
        rest.append('trial.command = ["true"]')
    return "\n".join([*top, *rest, line])
