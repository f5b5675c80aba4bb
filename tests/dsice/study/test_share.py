"""Who may read a study, and that nobody but its owner may write in it, whatever the umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, Dsice, StudyFile

READERS = {"": 0o000, 'share = "group"': 0o050, 'share = "all"': 0o055}
SECRET = """
import json, os, pathlib
mask = os.umask(0)
pathlib.Path("made").touch(0o666)
print(json.dumps({"y": mask, "secret": len(os.environ["TOKEN"])}))
"""
SBATCH = """#!/bin/sh
find "{0}/runs" -printf '%m %y %P\\n' > "{0}/seen"
echo "sbatch: error: invalid partition specified: x" >&2
exit 1
"""


def run(
    folder: Path, umask: int, *options: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dsice.cli", "run", "study.toml", *options],
        cwd=folder,
        env=ENVIRONMENT | {"PATH": path + ENVIRONMENT["PATH"]},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=300,
    )


def entries(directory: Path) -> Iterator[tuple[str, int, bool]]:
    """The path of each file and folder, its permissions, and whether it is a folder."""
    for path in [directory, *directory.rglob("*")]:
        found = path.lstat().st_mode
        yield str(path.relative_to(directory)), stat.S_IMODE(found), stat.S_ISDIR(found)


def is_launchers(name: str) -> bool:
    return name.startswith("batch/")


def is_programs(name: str) -> bool:
    """Whether the program made it."""
    return name.endswith("/made")


@pytest.mark.parametrize("umask", [0o002, 0o077])
@pytest.mark.parametrize("share", READERS)
def test_all_of_a_study_is_as_open_as_its_directory(
    study_file: StudyFile, tmp_path: Path, share: str, umask: int
) -> None:
    path = study_file(
        run=f"trials = 2\n{share}",
        command='["python3", "-c", \'\'\'' + SECRET.replace("{", "{{").replace("}", "}}") + "''']",
        trial='env = { TOKEN = "sesame" }\nfiles = { "input" = "input.j2" }',
    )
    path.chmod(0o600)
    (tmp_path / "input.j2").write_text("{{ a }}")

    done = run(tmp_path, umask)

    assert done.returncode == 0, done.stderr
    assert f"y {umask}" in done.stdout  # the program's own files are as its user wants them
    readers = READERS[share]
    found = list(entries(tmp_path / "runs" / "small"))
    names = {name for name, _, _ in found}
    assert names >= {"study.toml", "journal.jsonl", "lock", "source.json"}
    assert names >= {f"trials/00001/attempt-1/{n}.json" for n in ("spec", "claim", "outcome")}
    assert names >= {"trials/00001/work/input", "trials/00001/params.json"}
    for name, mode, is_folder in found:
        if is_programs(name):
            continue
        wanted = 0o700 if is_folder else 0o600
        if not is_launchers(name):
            wanted |= readers & (0o055 if is_folder else 0o044)
        assert oct(mode) == oct(wanted), name


def test_what_waits_in_a_queue_can_be_changed_by_nobody_else(
    study_file: StudyFile, tmp_path: Path
) -> None:
    # Whoever could write into a pickle that waits would run commands as its owner.
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in {"srun": "#!/bin/sh\n", "sbatch": SBATCH.format(tmp_path)}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    study_file(
        run='trials = 1\nshare = "group"\non = "slurm"\n[run.slurm]\ntime = "5 min"',
    )

    done = run(tmp_path, 0o002, path=f"{commands}{os.pathsep}")

    assert "invalid partition" in done.stderr
    seen = [line.split(" ", 2) for line in (tmp_path / "seen").read_text().splitlines()]
    waves = [int(mode, 8) for mode, kind, name in seen if kind == "d" and "/batch/" in name]
    assert waves == [0o700]
    assert any(name.endswith(".pkl") and "/batch/" in name for _, _, name in seen)
    for mode, _, name in seen:
        if "/batch/" not in name and name:
            assert not int(mode, 8) & 0o022, name


def test_a_directory_that_was_there_is_made_private_and_what_is_in_use_stays_as_it_is(
    study_file: StudyFile, dsice: Dsice, tmp_path: Path
) -> None:
    study_file(run="trials = 1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o2775)
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert oct((tmp_path / "out").stat().st_mode & 0o7777) == "0o2700"

    (tmp_path / "out").chmod(0o2750)  # by hand, afterwards
    assert dsice("run", "study.toml", "--in", "out", "--trials", 2).returncode == 0
    assert oct((tmp_path / "out").stat().st_mode & 0o7777) == "0o2750"


def test_a_study_that_goes_on_is_opened_when_its_file_says_so(
    study_file: StudyFile, dsice: Dsice, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o600)
    study_file(run="trials = 1")
    assert dsice("run", "study.toml").returncode == 0
    place = tmp_path / "runs" / "small"
    (place / "trials" / "00001" / "work" / "link").symlink_to(outside)

    study_file(run='trials = 2\nshare = "all"')
    assert dsice("run", "study.toml").returncode == 0

    assert oct(outside.stat().st_mode & 0o777) == "0o600"
    for name, mode, is_folder in entries(place):
        if is_launchers(name):
            assert not is_folder or oct(mode) == "0o700"
        elif not name.endswith("link"):
            assert oct(mode) == ("0o755" if is_folder else "0o644"), name


def test_readers_are_named_by_words(study_file: StudyFile, dsice: Dsice) -> None:
    study_file(run='share = "everybody"')
    refused = dsice("run", "study.toml")
    assert refused.returncode == 2
    assert "run.share" in refused.stderr
    assert 'accepted is "group" or "all"' in refused.stderr


def test_a_report_in_a_private_folder_is_private(
    study_file: StudyFile, dsice: Dsice, tmp_path: Path
) -> None:
    study_file(run="trials = 1")
    assert dsice("run", "study.toml").returncode == 0
    assert dsice("report", "runs/small").returncode == 0
    (tmp_path / "public").mkdir()
    (tmp_path / "public").chmod(0o755)
    assert dsice("report", "runs/small", "--out", "public/page.html").returncode == 0
    assert oct((tmp_path / "runs/small/report.html").stat().st_mode & 0o777) == "0o600"
    (tmp_path / "public" / "other").touch()
    usual = (tmp_path / "public" / "other").stat().st_mode & 0o755
    assert oct((tmp_path / "public/page.html").stat().st_mode & 0o777) == oct(usual)
