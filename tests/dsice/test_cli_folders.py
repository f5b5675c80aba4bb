"""Folders and files that a user names: of other studies, in use, damaged, not writable."""

from __future__ import annotations

import os
from pathlib import Path

from dsice.study.directory import StudyDirectory
from tests.dsice.called import Dsice, StudyFile, one_line


def test_a_beginning_that_was_cut_short_is_no_hindrance(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 1")
    (tmp_path / "out").mkdir()
    for left in ("lock", "source.json", ".study.toml.4711"):
        (tmp_path / "out" / left).write_text("half")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0


def test_a_disk_that_cannot_be_written(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(run="trials = 2")
    (tmp_path / "file").touch()
    assert "cannot use" in one_line(dsice("run", "study.toml", "--in", "file"))
    assert "File name too long" in one_line(dsice("run", "study.toml", "--in", "x" * 300))
    assert "holds no study" in one_line(dsice("status", "x" * 300))


def test_a_journal_without_its_study_file_is_left_alone(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 2")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    (tmp_path / "out" / "study.toml").unlink()
    assert "study.toml cannot be read: No such file or directory" in one_line(
        dsice("run", "study.toml", "--in", "out")
    )


def test_directories_that_are_not_this_studys(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 2")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    before = (tmp_path / "out" / "journal.jsonl").read_bytes()
    study_file(run="trials = 2", grid="a = [1, 2]\nb = [1, 2]\nc = [1, 2]")
    assert "holds the study 'small', whose results do not fit: parameter 'c' is new" in one_line(
        dsice("run", "study.toml", "--in", "out")
    )
    study_file(run="trials = 2", top='minimize = "x"')
    assert "do not fit: the goal reads 'x'" in one_line(dsice("run", "study.toml", "--in", "out"))
    assert (tmp_path / "out" / "journal.jsonl").read_bytes() == before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious").touch()
    assert "is not empty and holds no study" in one_line(dsice("run", "study.toml", "--in", "home"))
    for command in ("status", "best", "report"):
        assert "holds no study" in one_line(dsice(command, "home"))
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious"]


def test_a_second_driver_is_refused(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(run="trials = 2")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    with StudyDirectory.at(tmp_path / "out").lock.held():
        line = one_line(dsice("run", "study.toml", "--in", "out", "--trials", 9))
        assert "is in use by another driver: process " in line
        assert "A driver is at work" in dsice("status", "out").stdout
    assert dsice("run", "study.toml", "--in", "out", "--trials", 3).returncode == 0


def test_what_a_user_names_is_written_into_and_never_replaced_by_a_file(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 2")
    assert dsice("run", "study.toml").returncode == 0
    null = Path(os.devnull).stat()
    (tmp_path / "kept").mkdir()
    writers = {
        "report": ["report", "runs/small", "--out"],
        "csv": ["export", "runs/small", "--csv"],
        "parquet": ["export", "runs/small", "--parquet"],
    }
    for name, command in writers.items():
        assert dsice(*command, "/dev/null").returncode == 0
        link = tmp_path / f"{name}-link"
        link.symlink_to(f"kept/{name}")
        assert dsice(*command, link.name).returncode == 0
        assert dsice(*command, link.name).returncode == 0
        assert link.is_symlink()
        assert (tmp_path / "kept" / name).stat().st_size > 0

    refused = dsice("export", "runs/small", "--optuna", "/dev/null")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "dsice: cannot use /dev/null: it is a device or a FIFO; name a file\n"
    )

    after = Path(os.devnull).stat()
    assert (after.st_mode, after.st_ino, after.st_rdev) == (
        null.st_mode,
        null.st_ino,
        null.st_rdev,
    )
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(writers)


def test_standard_output_can_be_named(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(run="trials = 2")
    assert dsice("run", "study.toml").returncode == 0
    table = dsice("export", "runs/small", "--csv", "/dev/stdout")
    assert len(table.stdout.splitlines()) == 3
    assert table.stderr == "Wrote /dev/stdout: 2 trials\n"
    page = dsice("report", "runs/small", "--out", "/dev/stdout")
    assert page.stdout.rstrip().endswith("</html>")
