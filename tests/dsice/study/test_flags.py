"""Parameters whose argument is there or left out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.grid import Axis
from dsice.study import command
from dsice.study.config import load, parse

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
ECHO = '["sh", "-c", "echo \\"$*\\"; echo y $#", "sh", "{fast}", "--a={a}", "x{fast}"]'


def test_arguments_of_a_flag() -> None:
    flags = {"fast": "--fast"}
    items = ["run", "{fast}", "--a={a}", "-f={fast}"]
    on = command.with_flags({"fast": True, "a": 1}, flags)
    assert command.filled(items, on) == ["run", "--fast", "--a=1", "-f=--fast"]
    off = command.with_flags({"fast": False, "a": 1}, flags)
    assert command.filled(items, off) == ["run", "--a=1"]
    # A parameter that is no flag and is false is an argument as ever.
    assert command.filled(["{b}"], command.with_flags({"b": False}, flags)) == ["false"]


def test_a_study_with_flags(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file(
        grid='a = [1, 2]\nfast = { flag = "--fast" }',
        command=ECHO,
        trial="metrics = { y = 'y (.*)' }\nenv = { FAST = \"{fast}\" }",
    )
    assert load(path).grid.axes[1] == Axis("fast", [False, True])
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    found = {}
    for trial in sorted((tmp_path / "out" / "trials").iterdir()):
        params = json.loads((trial / "params.json").read_text())
        spec = json.loads((trial / "attempt-1" / "spec.json").read_text())
        found[params["a"], params["fast"]] = (spec["command"][4:], spec["env"].get("FAST"))
    assert found == {
        (1, False): (["--a=1"], None),
        (1, True): (["--fast", "--a=1", "x--fast"], "--fast"),
        (2, False): (["--a=2"], None),
        (2, True): (["--fast", "--a=2", "x--fast"], "--fast"),
    }


def test_a_flag_may_be_conditional(study_file: StudyFile) -> None:
    path = study_file(grid='a = [1, 2]\nfast = { flag = "--fast", when = "a == 2" }', command=ECHO)
    assert load(path).grid.counts().points == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{ flag = "" }', "key 'grid.fast.flag' = \"\": accepted is a text that is not empty"),
        ('{ flag = "-f", levels = 2 }', "key 'grid.fast': flag has neither levels nor step"),
        ('{ flag = "-f", choice = ["a"] }', "found choice, flag"),
    ],
)
def test_mistakes(entry: str, message: str, tmp_path: Path) -> None:
    text = (
        f'name = "x"\nminimize = "y"\n[grid]\nfast = {entry}\n[trial]\ncommand = ["x", "{{fast}}"]'
    )
    with pytest.raises(InvalidInput) as error:
        parse(text, tmp_path)
    assert message in str(error.value)
