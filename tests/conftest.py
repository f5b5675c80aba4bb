"""What tests share: programs to run as trials, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]

ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "error", "COLUMNS": "200"}


@pytest.fixture
def dsice(tmp_path: Path) -> Dsice:
    """Run ``dsice ARGUMENTS...`` in ``tmp_path`` as a user would, and return what it printed."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dsice.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file of a small quadratic in awk, with parts replaced."""

    def write(
        top: str = 'minimize = "y"',
        grid: str = "a = { integers = [0, 9] }\nb = { integers = [0, 9] }",
        trial: str = "",
        run: str = "trials = 5",
        more: str = "",
        command: str = """["sh", "-c", 'echo "{\\"y\\": $((($1-3)*($1-3)+($2-6)*($2-6)))}"', """
        """"-", "{a}", "{b}"]""",
        name: str = "study.toml",
    ) -> Path:
        # In a TOML literal string a brace of the shell's must be doubled as for any field.
        if command.startswith('["sh", "-c", \'echo "{'):
            command = command.replace('echo "{', 'echo "{{').replace('))}"', '))}}"')
        path = tmp_path / name
        path.write_text(
            f'name = "small"\n{top}\n[grid]\n{grid}\n{more}\n'
            f"[trial]\ncommand = {command}\n{trial}\n[run]\n{run}\n"
        )
        return path

    return write
