from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dsice.report.facts import Facts
from dsice.report.parts import section
from dsice.report.savings import Savings
from dsice.report.summary import tiles
from dsice.report.timeline import Timeline

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell


def savings(story: Story) -> Savings | None:
    return Savings.of(story.study, Timeline.of(story.study))


def test_nothing_measured_saves_nothing(tell: Tell) -> None:
    assert savings(tell()) is None


def test_the_posters_arithmetic(tell: Tell) -> None:
    story = tell()
    story.session()
    story.stage("pretrain", 100, {"niqe": 7, "rmse": 12})
    first, second = story.propose((0, 0, 0, 0)), story.propose((1, 0, 0, 0))
    begun = story.begin(first), story.begin(second)
    story.now += 300
    story.end(first, begun[0], {"niqe": 1, "rmse": 1})
    story.end(second, begun[1], verdict="failed", kind="exit code", reason="exit code 1")
    saved = savings(story)
    assert saved is not None
    assert (saved.stages, saved.trials, saved.measured, saved.took) == (100, 600, 300, 400)
    assert saved.most == 2
    assert saved.one_by_one == 700
    assert saved.full_length == 8 * 300
    assert saved.by_parallel == pytest.approx(700 / 400)
    assert saved.by_shortening == pytest.approx(2400 / 700)
    assert saved.overall == pytest.approx(2400 / 400)


def test_both_factors_give_the_whole(demo: Story) -> None:
    saved = savings(demo)
    assert saved is not None
    assert saved.by_shortening is not None
    assert saved.overall == pytest.approx(saved.by_shortening * saved.by_parallel)


def test_jobs_that_ran_without_a_driver_cost_time(tell: Tell) -> None:
    story = tell('name = "a"\nminimize = "y"\n[grid]\nk = [1, 2]\n[trial]\ncommand = ["run"]')
    story.session()
    trial = story.propose((0,))
    started = story.begin(trial)
    story.now += 1000
    story.session()
    story.end(trial, started, {"y": 1})
    saved = savings(story)
    assert saved is not None
    assert saved.by_parallel == pytest.approx(1)
    assert saved.overall is None


def test_slower_than_one_after_another_is_said_so(tell: Tell) -> None:
    story = tell('name = "a"\nminimize = "y"\n[grid]\nk = [1, 2]\n[trial]\ncommand = ["run"]')
    story.session()
    both = [story.propose((0,)), story.propose((1,))]
    begun = [story.begin(trial) for trial in both]
    story.now += 10
    for trial, started in zip(both, begun, strict=True):
        story.end(trial, started, {"y": 1})
    story.now += 36
    story.tell("session_end", why="the budget of 2 trials is used")
    facts, timeline = Facts.of(story.study), Timeline.of(story.study)
    saved = Savings.of(story.study, timeline)
    assert saved is not None
    assert saved.by_parallel == pytest.approx(20 / 46)
    (needed,) = (t for t in tiles(facts, timeline, saved) if t.label == "time needed")
    assert (needed.value, needed.note) == ("2.3 times", "the time of all jobs one after another")
    text = section("saved", {"savings": saved})
    assert "in parallel: 2.3 times the time" in text
    assert "earlier" not in text
