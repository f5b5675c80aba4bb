from __future__ import annotations

import io
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dsice.errors import InvalidInput
from dsice.live import follow
from dsice.live.follow import Followed
from dsice.live.watch import watch
from dsice.study.lock import DriverLock
from dsice.terminal import Terminal
from tests.dsice.stories import Story, demo_story

REASON = "at 4 of 9: 1 % chance to become the best"
Dsice = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A study on disk in which three trials have ended."""
    return demo_story(tmp_path / "study", trials=3, written=True)


def test_the_study_is_as_its_journal_says_however_it_grew(story: Story) -> None:
    followed = Followed(story.study.directory.path)
    assert followed.look().finished == story.study.finished
    assert (followed.look(), followed.version) == (followed.look(), 1)
    story.trials(2, seed=1)
    assert len(followed.look().finished) == 5
    assert followed.version == 2


def test_what_is_gone_or_was_never_there_is_said(story: Story, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no study"):
        Followed(tmp_path)
    followed = Followed(story.study.directory.path)
    story.study.directory.journal.unlink()
    with pytest.raises(InvalidInput, match=r"cannot read .*No such file"):
        followed.look()


def test_a_line_that_is_being_written_is_no_warning(story: Story) -> None:
    place = story.study.directory
    with place.journal.open("a") as file:
        file.write('{"t": 1, "event": "tri')
    assert "cut short" in Followed(place.path).look().warning
    with place.lock.held():
        assert Followed(place.path).look().warning == ""


def test_watching_goes_on_until_the_driver_ends(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_ASK", -1.0)
    text = io.StringIO()
    lock = story.study.directory.lock.held()
    waits = 0

    def wait(seconds: float) -> None:
        nonlocal waits
        waits += 1
        story.trials(1, seed=waits, failures=0)
        if waits == 3:
            lock.__exit__(None, None, None)

    lock.__enter__()
    with Terminal(console=Console(file=text, width=200), watching=True) as terminal:
        study = watch(story.study.directory.path, terminal, wait)
    assert len(study.finished) == 6
    lines = text.getvalue().splitlines()
    assert "3 trials have ended so far." in lines
    assert [line[:6] for line in lines if line.startswith("[")] == ["[4/?] ", "[5/?] ", "[6/?] "]


def test_plain_lines_say_which_trials_ended_early(tmp_path: Path) -> None:
    text = demo_story(tmp_path / "none").study.config.text + "[trial.progress]\nfull = 9\n"
    story = Story(text, tmp_path / "study")
    story.session()
    output = io.StringIO()
    with Terminal(console=Console(file=output, width=200)) as terminal:
        terminal.show(story.study)
        task = story.propose((0, 0, 0, 0))
        started = story.begin(task)
        story.tell("reported", **task, step=4.0, share=4 / 9, metrics={"niqe": 9.0})
        facts = {"attempt": 1, "step": 4.0, "full": 9.0, "chance": 0.01, "rival": None}
        story.tell("end_asked", **task, **facts)
        story.end(task, started, verdict="stopped", kind="cancelled", reason=REASON)
        for _ in range(2):
            terminal.show(story.study)
    said = [line for line in output.getvalue().splitlines() if "ended early" in line]
    assert len(said) == 1
    assert said[0].startswith(f"- trial 1 ended early, {REASON}  w_mse=")


def test_looking_writes_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    place = story.study.directory
    place.lock.path.write_text('{"pid": 1, "host": "elsewhere", "since": "now"}')
    for path in [place.path, *place.path.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = place.path.stat().st_mtime_ns
    followed = Followed(place.path)
    assert followed.is_driven()
    assert len(followed.look().finished) == 3
    assert place.path.stat().st_mtime_ns == before
    # Not even for a moment: root may write in spite of the modes.
    monkeypatch.setattr(Path, "touch", lambda path: pytest.fail(f"{path} was touched"))
    assert DriverLock(place.lock.path).is_held(touching=False)


def test_the_command_shows_a_study_whose_driver_has_ended(story: Story, dsice: Dsice) -> None:
    done = dsice("watch", story.study.directory.path)
    assert done.returncode == 0
    assert "The driver ended at" in done.stdout
    assert "3 trials have ended so far." in done.stderr
    assert dsice("watch", "nowhere").returncode == 2
