"""`dsice repair` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

from dsice.study.directory import StudyDirectory
from tests.conftest import Dsice, StudyFile

TOP = 'minimize = "y"\nsearch = "random"'


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_restored_backup(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(top=TOP, run="trials = 6")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert dsice("repair", "out").stdout == "Nothing is wrong.\n"
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = next(k for k, line in enumerate(lines) if b'"trial":4' in line)
    journal.write_bytes(b"".join(lines[:cut]))
    before = tree(tmp_path / "out")

    refused = dsice("run", "study.toml", "--in", "out")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "trials/00004, trials/00005, trials/00006" in refused.stderr
    assert "dsice repair" in refused.stderr
    dry = dsice("repair", "out")
    assert dry.returncode == 1
    assert "trials/00004 is not in the journal: adopted, at a=" in dry.stdout
    assert tree(tmp_path / "out") == before

    with StudyDirectory.at(tmp_path / "out").lock.held():
        busy = dsice("repair", "out", "--write")
    assert busy.returncode == 2
    assert "in use by another driver" in busy.stderr
    assert dsice("repair", "out", "--write").returncode == 0
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert len((tmp_path / "calls").read_text().splitlines()) == 6
    assert json.loads(dsice("status", "out", "--json").stdout)["trials"]["done"] == 6

    aside = dsice("repair", "out", "--set-aside", "--write")
    assert aside.stdout == "Nothing is wrong.\n"


def test_damage_is_told_in_one_line_by_every_command(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top=TOP, run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"', b"#", 1)
    journal.write_bytes(b"".join(lines))
    commands = ["status", "best", "report", "explain", "repair"]
    for command in (*commands, "run"):
        arguments = ("study.toml", "--in", "out") if command == "run" else ("out",)
        told = dsice(command, *arguments)
        assert "Traceback" not in told.stderr
        if command == "repair":
            assert told.returncode == 1
            assert "line 4 of the journal had one bit changed" in told.stdout
        else:
            assert told.returncode == 2
            assert told.stderr.count("\n") == 1
            assert "line 4 cannot be read: its checksum does not match" in told.stderr
    assert dsice("repair", "out", "--write").returncode == 0
    assert dsice("status", "out").returncode == 0
    assert dsice("repair", "nowhere").returncode == 2
