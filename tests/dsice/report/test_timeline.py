from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from dsice.report.timeline import Pause, Timeline, outcome

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell


def test_nothing_yet(tell: Tell) -> None:
    timeline = Timeline.of(tell().study)
    assert (timeline.spans, timeline.seconds, timeline.slots) == ((), 0, 0)


def test_jobs_of_one_slot_do_not_overlap(demo: Story) -> None:
    timeline = Timeline.of(demo.study)
    assert timeline.slots == 2
    for slot in (1, 2):
        spans = [span for span in timeline.spans if span.slot == slot]
        assert len(spans) > 10
        assert all(a.end <= b.begin for a, b in pairwise(spans))


def test_the_axis_is_as_long_as_the_drivers_work(demo: Story) -> None:
    timeline = Timeline.of(demo.study)
    assert timeline.seconds == pytest.approx(demo.study.wall_seconds)
    assert not timeline.pauses
    assert not timeline.unattended


def test_running_counts_jobs(tell: Tell) -> None:
    story = tell()
    story.session()
    first, second = story.propose((0, 0, 0, 0)), story.propose((1, 0, 0, 0))
    a = story.begin(first)
    story.now += 10
    b = story.begin(second)
    story.now += 10
    story.end(first, a, {"niqe": 1, "rmse": 1})
    story.now += 10
    story.end(second, b, {"niqe": 1, "rmse": 1})
    assert Timeline.of(story.study).running() == [(0, 1), (10, 2), (20, 1), (30, 0)]


def test_a_night_without_work_takes_no_room(tell: Tell) -> None:
    story = tell()
    story.session()
    story.stage("prepare", 60, {})
    story.tell("session_end", why="stopped on request")
    story.now += 8 * 3600
    story.session()
    story.stage("pretrain", 40, {"niqe": 7, "rmse": 12})
    timeline = Timeline.of(story.study)
    assert timeline.seconds == 100
    assert timeline.pauses == (Pause(at=60, seconds=8 * 3600),)
    assert [(span.begin, span.end) for span in timeline.spans] == [(0, 60), (60, 100)]


def test_work_without_a_driver_counts_and_shows(tell: Tell) -> None:
    story = tell()
    story.session()
    trial = story.propose((0, 0, 0, 0))
    started = story.begin(trial)
    story.now += 500  # the driver is killed; the job goes on
    story.session()
    story.end(trial, started, {"niqe": 1, "rmse": 1})
    timeline = Timeline.of(story.study)
    assert timeline.seconds == 500
    assert timeline.unattended == ((0, 500),)
    assert not timeline.pauses


def test_what_became_of_jobs(tell: Tell) -> None:
    story = tell()
    story.session()
    story.stage("prepare", 5, {})
    repeated = story.propose((0, 0, 0, 0))
    started = story.begin(repeated)
    story.now += 5
    story.end(repeated, started, verdict="again", kind="cancelled", reason="cancelled")
    started = story.begin(repeated, attempt=2)
    story.now += 5
    story.end(repeated, started, {"niqe": 1, "rmse": 1}, attempt=2)
    failed = story.propose((1, 0, 0, 0))
    started = story.begin(failed)
    story.now += 5
    story.end(failed, started, verdict="failed", kind="exit code", reason="exit code 1")
    running = story.propose((2, 0, 0, 0))
    story.begin(running)
    lost = story.propose((3, 0, 0, 0))
    started = story.begin(lost)
    story.now += 5
    story.end(lost, started, verdict="again", kind="lost", reason="vanished")
    timeline = Timeline.of(story.study)
    assert [(span.name, outcome(span)) for span in timeline.spans] == [
        ("stage prepare", "stage"),
        ("trial 1", "to be repeated"),
        ("trial 1", "measured"),
        ("trial 2", "failed"),
        ("trial 3", "running"),
    ]
    assert timeline.vanished == 1
    assert timeline.running()[-1] == (25, 1)
