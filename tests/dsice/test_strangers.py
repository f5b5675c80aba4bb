"""A study's directory that a stranger prepared: looking at it does nothing and never hangs."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import pytest

from dsice import load
from dsice.cli import main
from dsice.errors import DsiceError
from dsice.launch.job import Claim, JobSpec
from dsice.live import connections, news
from dsice.live.news import News
from dsice.study import templates
from tests.conftest import Dsice, StudyFile
from tests.dsice.stories import Story

PRECIOUS = "precious\n"
STUDY = """
name = "strange"
minimize = "y"
[grid]
a = { integers = [0, 9] }
b = { integers = [0, 9] }
[trial]
command = ["touch", "TOUCHED"]
files = { "input" = "input.j2" }
env = { TOKEN = "sesame" }
[run]
trials = 3
[[report.pictures]]
files = { "a picture" = "{best}/picture.png" }
"""
LOOKS = {
    "status": ["status", "study"],
    "json": ["status", "study", "--json"],
    "best": ["best", "study"],
    "explain": ["explain", "study"],
    "trial": ["explain", "study", "2"],
    "watch": ["watch", "study"],
    "report": ["report", "study", "--out", "page.html"],
    "export": ["export", "study", "--csv", "table.csv"],
    "simulate": ["simulate", "own.toml", "--history", "study", "--repetitions", "1"],
    "repair": ["repair", "study"],
    "sweep": ["sweep", "study", "--bound", "z", "1:5"],
    "dry run": ["run", "own.toml", "--dry-run", "--in", "study"],
    "import": ["import", "study", "known.csv", "--dry-run"],
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def nested(path: Path) -> None:
    path.write_text("[" * 100_000 + "\n")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk


ODD: list[Callable[[Path], None]] = [
    fifo, endless, folder, dangling, looping, listening, nested, huge,
]  # fmt: skip


@contextmanager
def patience() -> Iterator[None]:
    """Within, what hangs or takes all memory is an error."""

    def over(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(120)
    # Nor does it take all memory, and the machine with it.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2_000_000_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A study in which twelve trials have ended and one runs, with all files that there can be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dsice.report.html.vega", lambda: "")
    monkeypatch.setattr("dsice.study.journal.LONGEST", 1_000_000)
    story = Story(STUDY, tmp_path / "study")
    story.write()
    story.session()
    for k in range(13):
        task = story.propose((k % 10, (3 * k) % 10))
        started = story.begin(task)
        story.now += 5
        if k < 12:
            story.end(task, started, {"y": float(k % 7), "z": float(k % 5)})
        job = story.study.trials[k].job
        job.create(
            JobSpec(f"strange.{k}.1", ("touch", "TOUCHED"), str(job.path), env={"TOKEN": "sesame"})
        )
        job.path.joinpath("claim.json").write_text(json.dumps(asdict(Claim("job", 1, "far"))))
        job.progress.write_text('{"y": 1}\n')
        job.stdout.write_text("out\n")
        job.stderr.write_text("err\n")
        job.path.joinpath("alive.lock").touch()
        task_folder = story.study.trials[k].folder
        task_folder.work.mkdir()
        (task_folder.work / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
        task_folder.params.write_text(json.dumps({"a": k % 10, "b": (3 * k) % 10}))
    shutil.copy(tmp_path / "study" / "study.toml", tmp_path / "own.toml")
    (tmp_path / "input.j2").write_text("{{ a }}")
    (tmp_path / "study" / "input.j2").write_text("{{ a }}")
    (tmp_path / "known.csv").write_text("a,b,y\n1,1,2\n")
    return story


def look(command: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command, and what it printed; it must not fail in an unforeseen way."""
    with patience():
        code = main(command)
    printed = capsys.readouterr()
    assert code in (0, 1, 2), command
    assert code == 0 or len(printed.err.splitlines()) <= 2, command
    return code, printed.out + printed.err


def test_looking_finds_nothing_odd_in_a_good_study(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, command in LOOKS.items():
        code, text = look(command, capsys)
        assert code == 0, (name, text)


@pytest.mark.parametrize("make", ODD)
def test_files_of_jobs_that_are_odd(
    story: Story, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["spec.json", "claim.json", "outcome.json", "wave.json", "stdout.txt", "stderr.txt"]
    names += ["metrics.json", "progress.jsonl", "alive.lock", "end-asked", "submitit"]
    for trial in story.study.trials:
        for path in [
            *(trial.job.path / name for name in names),
            trial.folder.params,
            trial.folder.work / "picture.png",
        ]:
            path.unlink(missing_ok=True)
            make(path)
    for name in ("status", "json", "trial", "watch", "report", "export", "repair"):
        code, text = look(LOOKS[name], capsys)
        assert code == 0 or name == "repair", (name, text)
    page = Path("page.html").read_text()
    assert "a picture: " in page


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["journal.jsonl", "study.toml", "source.json", "lock", "stop"])
def test_files_of_a_study_that_are_odd(
    story: Story, make: Callable[[Path], None], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = story.study.directory.path / name
    path.unlink(missing_ok=True)
    make(path)
    for what in ("status", "best", "repair", "dry run"):
        code, text = look(LOOKS[what], capsys)
        if name in ("lock", "stop"):
            assert code == 0 or what in ("repair", "dry run"), (what, text)
        elif what != "repair" and what != "dry run":
            assert code != 0, (what, text)
            assert "study" in text


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["journal.jsonl", "study.toml", "lock"])
def test_a_live_page_says_what_is_odd(
    story: Story, make: Callable[[Path], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "_LOOK", -1.0)
    with patience():
        served = News(story.study.directory.path)
        path = story.study.directory.path / name
        path.unlink(missing_ok=True)
        make(path)
        if name == "journal.jsonl":
            with pytest.raises((DsiceError, OSError)):
                served.versions()
        else:
            served.versions()


def test_looking_runs_nothing_and_changes_nothing(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {story.study.directory.path}/BOOM",)

    place = story.study.directory
    place.function.write_bytes(pickle.dumps(Bomb()))
    wave = place.batch / "strange-1"
    wave.mkdir(parents=True)
    (wave / "1_submitted.pkl").write_bytes(pickle.dumps(Bomb()))
    (place.path / "sitecustomize.py").write_text("open('BOOM', 'w')")
    (place.path / "json.py").write_text("open('BOOM', 'w')")

    def state() -> dict[str, object]:
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for path in place.path.rglob("*")
        }

    before = state()
    for command in LOOKS.values():
        look(command, capsys)
    assert len(load(place.path).trials) == 13
    assert state() == before


def test_a_report_goes_through_no_link_that_was_planted(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "victim").write_text(PRECIOUS)
    place = story.study.directory.report
    place.symlink_to(tmp_path / "victim")
    assert look(["report", "study"], capsys)[0] == 0
    assert (tmp_path / "victim").read_text() == PRECIOUS
    assert not place.is_symlink()
    assert "<html" in place.read_text()


def test_a_report_holds_no_secret_and_nothing_that_the_log_of_a_job_links_to(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "id_rsa").write_text("PRIVATE KEY\n")
    for trial in story.study.trials:
        trial.job.stderr.unlink()
        trial.job.stderr.symlink_to(tmp_path / "id_rsa")
    look(LOOKS["report"], capsys)
    page = Path("page.html").read_text()
    assert "TOKEN" in page
    assert "sesame" not in page
    assert "PRIVATE" not in page
    assert "PRIVATE" not in News(story.study.directory.path).page()


def test_the_page_on_trust_gives_the_numbers_that_are_in_force() -> None:
    page = Path(__file__).parents[2] / "docs" / "trust.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert f"At most {connections.MOST} connections" in text
    assert (connections.REQUEST, connections.ANSWER) == (60, 60)
    assert f"{templates.SECONDS} s of processor time and 1 GiB of memory" in text
    assert templates.MEMORY == 1024**3


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["lock", "journal.jsonl", "study.toml", "source.json", "stop"])
def test_what_a_link_leads_to_is_never_written(
    study_file: StudyFile,
    tmp_path: Path,
    name: str,
    there: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    study_file(run="trials = 1")
    assert main(["run", "study.toml", "--in", "out"]) == 0
    capsys.readouterr()
    victim = tmp_path / "victim"
    if there:
        victim.write_text(PRECIOUS)
    (tmp_path / "known.csv").write_text("a,b,y\n1,1,2\n")
    path = tmp_path / "out" / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim)

    for command in (
        ["status", "out"],
        ["stop", "out"],
        ["import", "study.toml", "known.csv", "--in", "out"],
        ["run", "study.toml", "--in", "out", "--trials", "2"],
        ["repair", "out", "--write"],
    ):
        with patience():
            main(command)

    assert victim.exists() == there
    assert not there or victim.read_text() == PRECIOUS


def test_a_lock_that_is_a_link_or_a_fifo_is_refused_in_a_line(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(run="trials = 1")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    lock = tmp_path / "out" / "lock"
    (tmp_path / "victim").write_text(PRECIOUS)
    for what in ("symbolic link", "FIFO"):
        lock.unlink()
        if what == "FIFO":
            fifo(lock)
        else:
            lock.symlink_to("../victim")
        done = dsice("run", "study.toml", "--in", "out", "--trials", 2)
        assert done.returncode == 1
        assert done.stderr == f"dsice: cannot use {lock}: it is a {what}, not a regular file\n"
    assert (tmp_path / "victim").read_text() == PRECIOUS
