"""Output that cannot be written, or not in every character: one line or an escape, no traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import pytest

from dsice import cli
from tests.dsice.stories import Story

STUDY = """
name = "plain"
minimize = "fehler größe"
[grid]
a = [1, 2, 3, 4, 5, 6]
art = { choice = ["naïve", "日本"] }
[trial]
command = ["true"]
"""
COMMANDS = (
    ["status", "d"],
    ["status", "d", "--json"],
    ["best", "d"],
    ["best", "d", "--json"],
    ["explain", "d"],
    ["explain", "d", "2"],
    ["sweep", "d", "--bound", "z"],
    ["export", "d", "--csv", "out.csv"],
    ["report", "d"],
    ["stop", "d"],
    ["run", "d/study.toml", "--in", "new", "--dry-run"],
    ["schema"],
    ["--help"],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study in ``d``, whose texts are not all ASCII."""
    folder = tmp_path_factory.mktemp("folder")
    story = Story(STUDY, folder / "d")
    story.write()
    story.session()
    for k in range(12):
        trial = story.propose((k % 6, k // 6))
        started = story.begin(trial)
        story.now += 10
        story.end(trial, started, {"fehler größe": k + 1.0, "z": 12.0 - k})
    story.tell("session_end", why="the budget is used")
    return folder


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run at once are told of a narrow terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


@contextmanager
def writing_to(stream: TextIO) -> Iterator[None]:
    """Within, what is printed goes there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        yield
    with suppress(OSError):  # what could not be written is still in its buffer
        stream.close()


def code_of(arguments: list[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return int(error.code or 0)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_and_a_reader_who_has_left(
    folder: Path,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    with writing_to(Path("/dev/full").open("w", encoding="utf-8")):
        assert code_of(arguments) == 1
    error = capsys.readouterr().err
    assert error == "dsice: cannot write the output: No space left on device\n"
    reader, writer = os.pipe()
    os.close(reader)
    with writing_to(os.fdopen(writer, "w", encoding="utf-8")):
        assert code_of(arguments) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_characters_that_an_encoding_lacks_are_escaped(
    folder: Path,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    written = io.BytesIO()
    with writing_to(io.TextIOWrapper(written, encoding="ascii")):
        assert code_of(arguments) == 0
        text = written.getvalue().decode("ascii")
    assert capsys.readouterr().err == ""
    if arguments == ["best", "d"]:
        assert text.startswith("fehler gr\\xf6\\xdfe 1  (trial 1, ")
    named = arguments[0] in ("status", "best", "explain", "sweep", "run")
    assert ("gr\\xf6\\xdfe" in text) == (named and "--json" not in arguments)


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"}],
    ids=" ".join,
)
def test_the_command_itself(folder: Path, variables: dict[str, str]) -> None:
    """Also what the interpreter says at its end."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | variables

    def said(*arguments: str, to: str) -> tuple[int, str]:
        with Path(to).open("wb") as stdout:
            done = subprocess.run(
                [sys.executable, "-m", "dsice.cli", *arguments],
                cwd=folder,
                env=environment,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=120,
            )
        return done.returncode, done.stderr.decode()

    full = "dsice: cannot write the output: No space left on device\n"
    assert said("best", "d", to="/dev/full") == (1, full)
    assert said("--version", to="/dev/full") == (1, full)
    assert said("best", "d", to="/dev/null") == (0, "")
    code, error = said("best", "naïve", to="/dev/full")
    assert (code, error.count("\n")) == (2, 1)
