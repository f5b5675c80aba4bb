"""What tests share: programs to run as trials, and the command line as a user runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forked import Forked

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

# Wide, so that lines are not broken; strict, as the tests are.
ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "error", "COLUMNS": "200"}

# Logs its call, then prints (a - 3)^2 + (b - 6)^2.
PROGRAM = """#!/bin/sh
echo "$1 $2" >> "$(dirname "$0")/calls"
y=$((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6)))
echo "{\\"y\\": $y, \\"z\\": $1}"
"""


# Markers of what is skipped unless its target of the Makefile sets a variable.
ASKED_FOR = {"slurm": "DSICE_TEST_SLURM", "package": "DSICE_TEST_PACKAGE"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a cluster or builds the package, unless asked for."""
    for item in items:
        for marker, variable in ASKED_FOR.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"make test-{marker}"))


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """Runs commands in processes that are forked."""
    commands = Forked(ENVIRONMENT)
    yield commands
    commands.close()


@pytest.fixture
def dsice(tmp_path: Path, forked: Forked) -> Dsice:
    """Run ``dsice ARGUMENTS...`` in ``tmp_path`` as a user would, and return what it printed."""
    return lambda *arguments: forked.run(
        list(map(str, arguments)), cwd=tmp_path, env=ENVIRONMENT, timeout=300
    )


@pytest.fixture
def study_file(tmp_path: Path) -> StudyFile:
    """Write ``program.sh`` and a study file that tunes it, with parts replaced."""

    def write(
        top: str = 'minimize = "y"',
        grid: str = "a = { integers = [0, 9] }\nb = { integers = [0, 9] }",
        more: str = "",
        command: str = '["{study}/program.sh", "{a}", "{b}"]',
        trial: str = "",
        run: str = "trials = 5",
        program: str = PROGRAM,
        file: str = "study.toml",
    ) -> Path:
        script = tmp_path / "program.sh"
        script.write_text(program)
        script.chmod(0o755)
        path = tmp_path / file
        path.write_text(
            f'name = "small"\n{top}\n[grid]\n{grid}\n{more}\n'
            f"[trial]\ncommand = {command}\n{trial}\n[run]\n{run}\n"
        )
        return path

    return write


def calls(directory: Path) -> list[str]:
    """The program's own log of calls: ``"a b"`` for each, in order."""
    return (directory / "calls").read_text().splitlines()


@pytest.fixture
def program_calls(tmp_path: Path) -> Callable[[], list[str]]:
    """The log of calls that the program of `study_file` keeps."""
    return lambda: calls(tmp_path)
