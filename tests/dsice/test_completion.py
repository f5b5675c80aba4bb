"""Shells that complete commands and options, and typos that are answered with a suggestion."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
BASH = '. "$1"; COMP_WORDS=({0}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_dsice; '
LACKING = "apt-get install "


def script(dsice: Dsice, shell: str, folder: Path) -> Path:
    done = dsice("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    path = folder / f"completion.{shell}"
    path.write_text(done.stdout)
    return path


def in_shell(shell: str, code: str, *arguments: object) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(LACKING + shell)
    command = [shell, "-c", code, *(["sh"] if shell == "bash" else []), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash(dsice: Dsice, tmp_path: Path) -> None:
    path = script(dsice, "bash", tmp_path)
    reply = 'echo "${COMPREPLY[@]}"'
    assert {"run", "report", "repair"} <= set(
        in_shell("bash", BASH.format("dsice r") + reply, path)
    )
    assert in_shell("bash", BASH.format("dsice run --para") + reply, path) == ["--parallel"]


def test_fish(dsice: Dsice, tmp_path: Path) -> None:
    path = script(dsice, "fish", tmp_path)
    found = in_shell("fish", f"source {path}; complete -C 'dsice run --para'")
    assert found[0] == "--parallel"


def test_zsh(dsice: Dsice, tmp_path: Path) -> None:
    path = script(dsice, "zsh", tmp_path)
    assert path.read_text().startswith("#compdef dsice\n")
    assert in_shell("zsh", f"zsh -n {path}") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rn study.toml", "invalid choice: 'rn': did you mean 'run'? (choose from "),
        ("run a.toml --trails 3", "dsice run: error: unrecognized arguments: --trails 3: did you "),
        ("run a.toml --trails=3", "unrecognized arguments: --trails=3: did you mean '--trials'?"),
        ("run a.toml --on slrm", "invalid choice: 'slrm': did you mean 'slurm'? (choose from "),
        ("best out b", "dsice best: error: unrecognized arguments: b\n"),
        ("best out --zzz", "dsice best: error: unrecognized arguments: --zzz\n"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_typos(dsice: Dsice, arguments: str, message: str) -> None:
    done = dsice(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_exit_codes_are_in_the_help(dsice: Dsice) -> None:
    told = dsice("--help").stdout.partition("exit codes:")[2]
    assert [line.split()[0] for line in told.splitlines() if line.strip()] == [
        *("0", "1", "2", "75", "130")
    ]
