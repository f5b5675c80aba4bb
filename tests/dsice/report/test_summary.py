from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dsice.launch.job import JobSpec
from dsice.report import summary
from dsice.report.details import all_details
from dsice.report.facts import Facts
from dsice.report.html import report
from dsice.report.savings import Savings
from dsice.report.timeline import Timeline

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell

FREE = """
name = "free"
maximize = "y"
[grid]
a = { choice = ["x y", "z"] }
[trial]
command = ["run", "{a}"]
env = { TOKEN = "secret" }
"""


def headline(story: Story) -> str:
    return summary.headline(Facts.of(story.study))


def test_the_headline_fits_the_state(tell: Tell) -> None:
    story = tell()
    assert headline(story) == "No trial has ended yet."
    story.session()
    story.stage("pretrain", 5, {"niqe": 7, "rmse": 10})
    trial = story.propose((0, 0, 0, 0))
    started = story.begin(trial)
    story.now += 5
    story.end(trial, started, verdict="failed", kind="exit code", reason="exit code 1")
    assert headline(story).startswith("Nothing was measured: 1 trial ended")
    for point, rmse in ((1, 12.5), (2, 11.0)):
        trial = story.propose((point, 0, 0, 0))
        started = story.begin(trial)
        story.now += 5
        story.end(trial, started, {"niqe": 5, "rmse": rmse})
    assert headline(story) == (
        "No trial keeps the bounds yet. Trial 3 came nearest: rmse = 11 instead of rmse ≤ 10.15."
    )
    trial = story.propose((3, 0, 0, 0))
    started = story.begin(trial)
    story.now += 5
    story.end(trial, started, {"niqe": 5.5, "rmse": 10.1})
    assert headline(story) == (
        "The best niqe = 5.5 was measured in trial 4; stage pretrain alone had 7."
    )


def test_goals_in_words(tell: Tell) -> None:
    assert summary.goal_text(Facts.of(tell(FREE).study)) == "make y as large as possible"
    assert summary.goal_text(Facts.of(tell().study)) == (
        "make niqe as small as possible, with rmse <= 1.015 * stage.pretrain.rmse"
    )


def test_tiles_say_what_matters(demo: Story) -> None:
    facts, timeline = Facts.of(demo.study), Timeline.of(demo.study)
    tiles = {
        tile.label: tile
        for tile in summary.tiles(facts, timeline, Savings.of(demo.study, timeline))
    }
    assert list(tiles) == ["best niqe", "rmse", "trials", "time taken", "time needed"]
    assert tiles["best niqe"].note == "stage pretrain alone: 6.91"
    assert tiles["trials"].value == "48"
    assert "failed" in tiles["trials"].note
    assert tiles["time taken"].note == "up to 2 jobs at once"
    assert tiles["time needed"].value.startswith("1/")


def test_the_command_is_exact_and_keeps_secrets(tell: Tell) -> None:
    story = tell(FREE)
    story.session()
    trial = story.propose((0,))
    started = story.begin(trial)
    story.now += 1
    story.end(trial, started, {"y": 1})
    facts = Facts.of(story.study)
    assert summary.best_command(facts) is None  # its file is not there
    folder = story.study.trials[0].folder
    spec = JobSpec("n", ("run", "x y"), str(folder.work), {"TOKEN": "secret"})
    folder.job(1).create(spec)
    command = summary.best_command(facts)
    assert command is not None
    assert command.arguments == ("run", "'x y'")
    assert command.variables == ("TOKEN",)
    assert "secret" not in repr(command)
    folder.job(1).spec_file.write_text("[]")
    assert summary.best_command(facts) is None


def test_the_table_has_every_trial_and_every_metric(demo: Story) -> None:
    demo.propose((1, 1, 1, 1))
    facts = Facts.of(demo.study)
    columns = summary.columns(facts)
    assert columns == [
        *("trial", "state", "w_mse", "w_vgg", "w_adv", "w_style"),
        *("niqe", "rmse", "psnr", "keeps the bounds", "time", "remark"),
    ]
    rows = summary.table(facts)
    assert len(rows) == 49
    assert {len(row.cells) for row in rows} == {len(columns)}
    assert sum(row.state == "best" for row in rows) == 1
    assert rows[-1].cells[1].text == "waiting"
    failed = next(row for row in rows if row.state == "failed")
    assert failed.cells[6].text == ""
    assert failed.cells[-1].text


def test_failures_are_grouped_by_reason(tell: Tell) -> None:
    story = tell(FREE)
    story.session()
    for k in range(16):
        trial = story.propose((k % 2,))
        started = story.begin(trial)
        story.now += 1
        reason = "took longer than 5 min" if k == 3 else "exit code 1"
        story.end(trial, started, verdict="failed", kind="exit code", reason=reason)
    often, once = summary.failures(Facts.of(story.study))
    assert often == summary.Failure(
        "exit code 1", "trials 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 3 more"
    )
    assert once == summary.Failure("took longer than 5 min", "trial 4")


def test_warnings_come_from_everywhere(tell: Tell) -> None:
    story = tell()
    assert summary.warnings(Facts.of(story.study)) == []
    story.study.warning = "its last line was cut short"
    story.session()
    stage = {"stage": "prepare"}
    started = story.begin(stage)
    story.end(stage, started, verdict="failed", kind="exit code", reason="exit code 2")
    story.stage("pretrain", 5, {"psnr": 20})
    journal, bound, failed = summary.warnings(Facts.of(story.study))
    assert journal == "its last line was cut short"
    assert "rmse" in bound
    assert failed == "Stage prepare failed: exit code 2"


def test_sessions_say_how_they_ended(tell: Tell) -> None:
    story = tell()
    story.session()
    story.now += 60
    story.session()
    story.tell("session_end", why="stopped on request")
    story.session()
    killed, stopped, running = summary.session_lines(Facts.of(story.study))
    assert killed.why == "killed, or its machine went down"
    assert (stopped.why, stopped.parallel) == ("stopped on request", 2)
    assert running.why == "not ended: at work, or killed"


def test_of_too_many_trials_a_selection_is_shown(
    demo: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsice.report.facts.MOST_SHOWN", 24)
    facts = Facts.of(demo.study)
    shown = [trial.number for trial in facts.shown]
    assert shown == sorted(set(shown))
    assert 12 <= len(shown) <= 24
    assert facts.best is not None
    assert {facts.best.number, 48} <= set(shown)
    assert {each.best.number for each in facts.incumbents[-6:]} <= set(shown)
    assert [row.cells[0].text for row in summary.table(facts)] == list(map(str, shown))
    assert set(all_details(facts)) == set(shown)
    assert f"Shown are {len(shown)} of 48 trials" in report(demo.study)
    monkeypatch.undo()
    assert "Shown are" not in report(demo.study)
